// SPDX-License-Identifier: Apache-2.0
#include "host/claim/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/claim/checkpoint_text.hpp"

namespace drasriov::claim {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BothGenerations : public ::testing::TestWithParam<const char*> {};

TEST_P(BothGenerations, AreReadAsTheGoDriverWroteThem) {
  const std::string driver = GetParam();
  const auto checkpoint = decode_checkpoint(go_checkpoint(driver));
  ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
  EXPECT_TRUE(checkpoint->refused.empty());
  ASSERT_EQ(checkpoint->claims.size(), 2U);

  const CheckpointClaim& net = checkpoint->claims[0];
  EXPECT_EQ(net.claim, (ClaimRef{"ns", "net", kNet}));
  EXPECT_EQ(net.pod_uid, kNetPod);
  ASSERT_EQ(net.devices.size(), 2U);
  EXPECT_EQ(net.devices[0].request, "vf");
  EXPECT_EQ(net.devices[0].pool, "worker-1");
  EXPECT_EQ(net.devices[0].device, "0000-11-10-0");
  EXPECT_EQ(net.devices[0].share_id, std::nullopt);
  EXPECT_THAT(net.devices[0].cdi_device_ids,
              ElementsAre(driver + "/vf=" + kNet + "-0000-11-10-0", driver + "/vf=" + kNetPod));
  EXPECT_EQ(net.devices[0].pci_address, "0000:11:10.0");
  EXPECT_EQ(net.devices[0].config.driver, "");
  EXPECT_EQ(net.devices[0].config.net_attach_def_name, "vf-net");
  EXPECT_EQ(net.devices[0].original_driver, "");
  EXPECT_EQ(net.devices[1].interface_name, "vfnet1");
  EXPECT_THAT(net.devices[1].netconf_json, HasSubstr(R"("deviceID":"0000:11:10.4")"));

  const CheckpointClaim& dpdk = checkpoint->claims[1];
  EXPECT_EQ(dpdk.claim, (ClaimRef{"ns", "dpdk", kDpdk}));
  ASSERT_EQ(dpdk.devices.size(), 1U);
  EXPECT_EQ(dpdk.devices[0].config.driver, "vfio-pci");
  EXPECT_TRUE(dpdk.devices[0].config.add_vhost_mount);
  EXPECT_EQ(dpdk.devices[0].original_driver, "igbvf");
  EXPECT_EQ(dpdk.devices[0].interface_name, "net1");
  const auto edits = Ordered::parse(dpdk.devices[0].edits_json);
  EXPECT_EQ(edits["deviceNodes"].size(), 4U);
  EXPECT_EQ(edits["deviceNodes"][0]["path"], "/dev/vfio/10");
}

TEST_P(BothGenerations, CutShortAnywhereIsDamage) {
  const std::string whole = go_checkpoint(GetParam());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto cut = decode_checkpoint(std::string_view(whole).substr(0, length));
    ASSERT_FALSE(cut) << "cut after " << length << " bytes";
    ASSERT_EQ(cut.error().code(), Code::kDataLoss) << length;
  }
}

TEST_P(BothGenerations, EveryChangedByteIsFound) {
  const std::string whole = go_checkpoint(GetParam());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(text[at] ^ 1);
    ASSERT_FALSE(decode_checkpoint(text)) << "byte " << at;
  }
}

INSTANTIATE_TEST_SUITE_P(GoDriver, BothGenerations, ::testing::Values(kFirstName, kLaterName),
                         [](const auto& tested) {
                           return std::string(tested.param == std::string(kFirstName) ? "First"
                                                                                      : "Later");
                         });

TEST(Checkpoint, OfAFirstStartHoldsNothing) {
  const auto checkpoint = decode_checkpoint(go_file("empty.json"));
  ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
  EXPECT_TRUE(checkpoint->claims.empty());
  EXPECT_TRUE(checkpoint->refused.empty());
}

TEST(Checkpoint, ChecksumIsKubelets) {
  // Figures that the Go driver wrote itself.
  EXPECT_EQ(checkpoint_checksum(R"({"checksum":0,"v1":{}})"), 1083090442U);
  // FNV-1a of "([]uint8)[]".
  EXPECT_NE(checkpoint_checksum(""), checkpoint_checksum("0"));
}

TEST(Checkpoint, DamagedFilesSayWhatIsWrong) {
  const struct {
    std::string text;
    const char* says;
  } kCases[] = {
      {"", "not valid JSON"},
      {"null", "not a JSON object"},
      {"[]", "not a JSON object"},
      {R"({"v1":{}})", "begin with a checksum"},
      {R"({"checksum":1,"v1":{}})", "its checksum is 1, that of its content 1083090442"},
      {R"({"checksum":-1,"v1":{}})", "begin with a checksum"},
      {R"({"checksum":99999999999999999999,"v1":{}})", "begin with a checksum"},
      {sealed(Ordered::parse(R"({"checksum":0})")), "v1 is missing"},
      {sealed(Ordered::parse(R"({"checksum":0,"v1":null})")), "v1 is missing"},
      {sealed(Ordered::parse(R"({"checksum":0,"v1":7})")), "an object is expected"},
      {sealed(Ordered::parse(R"({"checksum":0,"v1":{"preparedClaimsByPodUID":[1]}})")),
       "not an object"},
      {sealed(Ordered::parse(R"({"checksum":0,"v1":{"preparedClaimsByPodUID":{"a":[]}}})")),
       "not an object"},
      {R"({"checksum":1083090442,"v1":{},"v1":{}})", "\"v1\" is there twice"},
      {R"({"checksum":1,"v1":)" + std::string(100000, '['), "nested deeper"},
      {R"({"checksum":1,"v1":)" + std::string(100000, '[') + std::string(100000, ']') + "}",
       "nested deeper"},
  };
  for (const auto& [text, says] : kCases) {
    const auto checkpoint = decode_checkpoint(text);
    ASSERT_FALSE(checkpoint) << text.substr(0, 80);
    EXPECT_EQ(checkpoint.error().code(), Code::kDataLoss) << text.substr(0, 80);
    EXPECT_THAT(checkpoint.error().message(), HasSubstr(says));
  }
}

TEST(Checkpoint, AnUnknownVersionIsNotDamage) {
  for (const char* text :
       {R"({"checksum":1,"v2":{}})", R"({"checksum":1,"v1":{},"v2":{"claims":[]}})"}) {
    const auto checkpoint = decode_checkpoint(text);
    ASSERT_FALSE(checkpoint);
    EXPECT_EQ(checkpoint.error().code(), Code::kUnimplemented);
    EXPECT_THAT(checkpoint.error().message(), HasSubstr("\"v2\""));
    EXPECT_NE(checkpoint.error().hint(), "");
  }
}

/// One thing of claim ns/dpdk is wrong: it is refused with a reason, ns/net is read.
struct Wrong {
  const char* what;
  std::function<void(Ordered& pods, Ordered& device)> change;
  const char* says;
};
const Wrong kWrong[] = {
    {"pod UID of a path",
     [](Ordered& pods, Ordered&) {
       pods["../../x"] = pods[kDpdkPod];
       pods.erase(kDpdkPod);
     },
     "not two UIDs"},
    {"claim UID of a path",
     [](Ordered& pods, Ordered&) {
       pods[kDpdkPod] = {{"../../x", pods[kDpdkPod][kDpdk]}};
     },
     "not two UIDs"},
    {"no devices", [](Ordered& pods, Ordered&) { pods[kDpdkPod][kDpdk] = Ordered::array(); },
     "not a list of devices"},
    {"null device", [](Ordered& pods, Ordered&) { pods[kDpdkPod][kDpdk] = {nullptr}; },
     "an object is expected"},
    {"another claim UID inside",
     [](Ordered&, Ordered& device) { device["ClaimNamespacedName"]["UID"] = "other"; },
     "of claim UID other"},
    {"claim name of a path",
     [](Ordered&, Ordered& device) { device["ClaimNamespacedName"]["Name"] = "../x"; },
     "Name: \"../x\""},
    {"no namespace",
     [](Ordered&, Ordered& device) { device["ClaimNamespacedName"].erase("Namespace"); },
     "Namespace is missing"},
    {"another pod inside", [](Ordered&, Ordered& device) { device["PodUID"] = "other"; },
     "another pod"},
    {"device name of a path",
     [](Ordered&, Ordered& device) { device["Device"]["device_name"] = "../../x"; }, "device_name"},
    {"address of a path", [](Ordered&, Ordered& device) { device["PciAddress"] = "../../x"; },
     "PciAddress \"../../x\""},
    {"address of another device",
     [](Ordered&, Ordered& device) { device["PciAddress"] = "0000:11:10.6"; }, "PciAddress"},
    {"driver of a path", [](Ordered&, Ordered& device) { device["Config"]["driver"] = "../../x"; },
     "driver: \"../../x\""},
    {"original driver of a path",
     [](Ordered&, Ordered& device) { device["OriginalDriver"] = "../../x"; },
     "OriginalDriver: \"../../x\""},
    {"interface of a path", [](Ordered&, Ordered& device) { device["IfName"] = "../x"; }, "IfName"},
    {"NAD of a path",
     [](Ordered&, Ordered& device) { device["Config"]["netAttachDefName"] = "../x"; },
     "netAttachDefName"},
    {"two requests",
     [](Ordered&, Ordered& device) {
       device["Device"]["request_names"] = {"a", "b"};
     },
     "one request"},
    {"a request of a path",
     [](Ordered&, Ordered& device) { device["Device"]["request_names"] = {"a/../b"}; },
     "one request"},
    {"CDI ids that are no list",
     [](Ordered&, Ordered& device) { device["Device"]["cdi_device_ids"] = "x"; }, "cdi_device_ids"},
    {"netconf that is no JSON",
     [](Ordered&, Ordered& device) { device["NetAttachDefConfig"] = "{"; }, "NetAttachDefConfig"},
    {"edits that are no object",
     [](Ordered&, Ordered& device) { device["ContainerEdits"] = "env"; }, "ContainerEdits"},
    {"a number for a name", [](Ordered&, Ordered& device) { device["IfName"] = 7; },
     "IfName is not a string"},
    {"device of the other claim",
     [](Ordered&, Ordered& device) {
       device["PciAddress"] = "0000:11:10.4";
       device["Device"]["device_name"] = "0000-11-10-4";
     },
     "0000-11-10-4 is listed twice"},
    {"claim under two pods",
     [](Ordered& pods, Ordered&) {
       const std::string third = "6f1c0a52-3b0e-4a53-9d6a-0c1f7a4b9e00";
       pods[third] = {{kNet, pods[kNetPod][kNet]}};
       for (Ordered& device : pods[third][kNet]) device["PodUID"] = third;
       pods.erase(kDpdkPod);
     },
     "under two pods"},
};

TEST(Checkpoint, AWrongClaimIsRefusedAndTheOthersLive) {
  for (const Wrong& wrong : kWrong) {
    SCOPED_TRACE(wrong.what);
    const auto checkpoint = decode_checkpoint(
        changed([&](Ordered& pods) { wrong.change(pods, pods[kDpdkPod][kDpdk][0]); }));
    ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
    ASSERT_EQ(checkpoint->refused.size(), 1U);
    EXPECT_THAT(checkpoint->refused[0].reason, HasSubstr(wrong.says));
    ASSERT_EQ(checkpoint->claims.size(), 1U);
    EXPECT_EQ(checkpoint->claims[0].claim.name, "net");
  }
}

TEST(Checkpoint, WhatGoLeavesOutIsEmpty) {
  const auto checkpoint = decode_checkpoint(changed([](Ordered& pods) {
    Ordered& device = pods[kDpdkPod][kDpdk][0];
    for (const char* name : {"Config", "ContainerEdits", "IfName"}) device[name] = nullptr;
    for (const char* name : {"NetAttachDefConfig", "OriginalDriver"}) device.erase(name);
    device["Device"]["request_names"] = {"main/sub"};
    device["Device"]["share_id"] = "5f7c0a52-3b0e-4a53-9d6a-0c1f7a4b9e01";
    device["FieldOfALaterRelease"] = {1, 2};
  }));
  ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
  ASSERT_EQ(checkpoint->claims.size(), 2U);
  const CheckpointDevice& device = checkpoint->claims[1].devices[0];
  EXPECT_EQ(device.config, VfConfig());
  EXPECT_EQ(device.edits_json, "{}");
  EXPECT_EQ(device.request, "main/sub");
  EXPECT_EQ(device.share_id, "5f7c0a52-3b0e-4a53-9d6a-0c1f7a4b9e01");
}

}  // namespace
}  // namespace drasriov::claim
