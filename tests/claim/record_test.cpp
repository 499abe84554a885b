// SPDX-License-Identifier: Apache-2.0
//
// The text form of a Record: what is written is read back equal, and nothing else is read.
#include "host/claim/record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/base/encoding.hpp"
#include "tests/claim/fakes.hpp"

namespace drasriov::claim {
namespace {

using ::testing::HasSubstr;

/// A record in which every member differs from its default.
Record full_record() {
  Record record;
  record.state = RecordState::kUndoing;
  record.claim = {"tenant", "vfs", "claim-uid-1"};
  record.boot_id = "boot-1";
  record.consumers = {{"pods", "pod-a", "uid-a"}, {"podgroups.scheduling.k8s.io", "g", "uid-g"}};
  record.pod_uid = "uid-a";
  record.last_error = "line one\nline \"two\" \\ \x01 \xc3\xa9 \xf0\x9f\x98\x80";
  DeviceRecord device;
  device.plan.allocated = {"main/sub", "node-1", "0000-08-00-0", true, "share-1"};
  device.plan.interface_name = "net1";
  device.plan.net_attach_def_name = "net-a";
  device.plan.config_json = R"({"kind":"VfConfig"})";
  device.plan.netconf_json = "{ \"type\": \"sriov\" }";
  device.plan.published = testing::virtual_function(0);
  auto& attributes = device.plan.published.attributes;
  attributes["bool"] = true;
  attributes["version"] = device::Version{"1.2.3"};
  attributes["ints"] = std::vector<std::int64_t>{-1, 9'000'000'000};
  attributes["bools"] = std::vector<bool>{true, false};
  attributes["strings"] = std::vector<std::string>{"a", ""};
  attributes["versions"] = std::vector<device::Version>{{"1.0.0"}};
  device.plan.published.capacities["bandwidth"] = "10G";
  device.plan.chain = {{"vfio", R"({"iommu":true})"}, {"vhost", "{}"}};
  device.steps.resize(2);
  device.steps[0].snapshot = std::string("\0binary\xff", 8);
  device.steps[0].state = "state";
  device.steps[0].facts = {{"netdev", "eth0"}, {"driver", ""}};
  device.steps[0].edits_json = {R"({"env":["A=1"]})"};
  device.steps[1].undone = true;
  device.cdi_device_ids = {"k/vf=a", "k/vf=b"};
  device.attachments = {{AttachmentState::kDetaching, "sandbox", "uid-a", "tenant", "pod-a",
                         "/var/run/netns/x", 4, 0xffff'ffff'ffff'ffffU, "net1", "{}",
                         R"({"ips":[]})"}};
  record.devices = {device, DeviceRecord()};
  return record;
}

/// The text with another body and the checksum of that body.
std::string with_body(const std::string& text,
                      const std::function<void(nlohmann::ordered_json&)>& change) {
  auto json = nlohmann::ordered_json::parse(text);
  change(json["record"]);
  const std::string body = json["record"].dump();
  return R"({"format":1,"sha256":")" + sha256_hex(body) + R"(","record":)" + body + "}\n";
}

TEST(RecordText, IsReadBackEqual) {
  const Record record = full_record();
  const auto read = decode_record(encode_record(record));
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, record);
}

TEST(RecordText, IsOneLineOfJson) {
  const std::string text = encode_record(full_record());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json.at("format"), 1);
  EXPECT_EQ(json.at("record").at("devices").at(0).at("steps").at(0).at("snapshot"),
            base64_encode(std::string("\0binary\xff", 8)));
}

TEST(RecordText, StaysReadableWithBytesThatAreNoUtf8) {
  Record record = full_record();
  for (const char* bad : {"\xff", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xe2\x82", "\xf5"}) {
    record.last_error = std::string("a") + bad + "b";
    const auto read = decode_record(encode_record(record));
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_THAT(read->last_error, HasSubstr("\xef\xbf\xbd"));
    EXPECT_EQ(read->last_error.front(), 'a');
    EXPECT_EQ(read->last_error.back(), 'b');
  }
}

TEST(RecordText, EveryTruncationIsFound) {
  const std::string text = encode_record(full_record());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto read = decode_record(std::string_view(text).substr(0, size));
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code(), Code::kDataLoss);
  }
}

TEST(RecordText, EveryChangedByteIsFound) {
  const std::string text = encode_record(full_record());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    EXPECT_FALSE(decode_record(changed)) << i;
  }
}

TEST(RecordText, AnythingBehindIsFound) {
  EXPECT_FALSE(decode_record(encode_record(full_record()) + "\n"));
  EXPECT_FALSE(decode_record(encode_record(full_record()) + "{}"));
}

TEST(RecordText, ADamagedRecordCanBeLookedAtWithoutItsChecksum) {
  std::string text = encode_record(full_record());
  text[text.find("0000-08-00-0") + 11] = '1';
  EXPECT_EQ(decode_record(text).error().message(), "its checksum does not match");
  const auto read = decode_record(text, /*check_sum=*/false);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->devices[0].plan.allocated.device, "0000-08-00-1");
}

struct StrictCase {
  const char* name;
  std::function<void(nlohmann::ordered_json&)> change;
  const char* message;
};

class Strict : public ::testing::TestWithParam<StrictCase> {};

TEST_P(Strict, IsRefused) {
  const auto read = decode_record(with_body(encode_record(full_record()), GetParam().change));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message(), GetParam().message);
}

using OrderedJson = nlohmann::ordered_json;
INSTANTIATE_TEST_SUITE_P(
    Members, Strict,
    ::testing::Values(
        StrictCase{"Unknown", [](OrderedJson& r) { r["color"] = 1; }, "record.color is unknown"},
        StrictCase{"UnknownInside", [](OrderedJson& r) { r["devices"][0]["steps"][0]["x"] = 1; },
                   "record.devices[0].steps[0].x is unknown"},
        StrictCase{"Missing", [](OrderedJson& r) { r.erase("bootID"); },
                   "record.bootID is missing"},
        StrictCase{"OtherType", [](OrderedJson& r) { r["devices"][0]["adminAccess"] = "yes"; },
                   "record.devices[0].adminAccess is not a boolean"},
        StrictCase{"OtherState", [](OrderedJson& r) { r["state"] = "Frozen"; },
                   "record.state is unknown: Frozen"},
        StrictCase{"NoBase64",
                   [](OrderedJson& r) { r["devices"][0]["steps"][0]["snapshot"] = "%"; },
                   "record.devices[0].steps[0].snapshot: base64: length is not a multiple of 4"},
        StrictCase{"OtherAttribute",
                   [](OrderedJson& r) {
                     r["devices"][0]["published"]["attributes"]["bool"] = {{"float", 1}};
                   },
                   "record.devices[0].published.attributes.bool has the unknown type float"},
        StrictCase{
            "AttributeOfTwoTypes",
            [](OrderedJson& r) { r["devices"][0]["published"]["attributes"]["bool"]["int"] = 1; },
            "record.devices[0].published.attributes.bool is not one value"},
        StrictCase{"DevicesAreNoList", [](OrderedJson& r) { r["devices"] = 3; },
                   "record.devices is not a list"},
        StrictCase{"UidThatIsAPath", [](OrderedJson& r) { r["uid"] = "../x"; },
                   "the UID of the claim is not a UID"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Record, FactsOfEarlierModulesReachLaterOnes) {
  DeviceRecord device;
  device.plan.published = testing::virtual_function(0);
  device.plan.published.facts["driver"] = "iavf";
  device.plan.chain = {{"a", "{}"}, {"b", "{}"}};
  device.steps.resize(2);
  device.steps[0].facts = {{"driver", ""}, {"vfio", "12"}};
  device.steps[1].facts = {{"vfio", "13"}};
  EXPECT_EQ(*device_for_step(device, 0).fact("driver"), "iavf");
  EXPECT_EQ(device_for_step(device, 1).fact("driver"), nullptr) << "an empty value removes it";
  EXPECT_EQ(*device_for_step(device, 1).fact("vfio"), "12");
  EXPECT_EQ(*device_for_step(device, 2).fact("vfio"), "13") << "what the network step sees";
}

TEST(Record, SameAllocationIgnoresOrderAndNothingElse) {
  const Record record = full_record();
  std::vector<AllocatedDevice> devices = {record.devices[1].plan.allocated,
                                          record.devices[0].plan.allocated};
  EXPECT_TRUE(same_allocation(record, devices));
  for (const auto& change : std::vector<std::function<void(AllocatedDevice&)>>{
           [](auto& d) { d.device = "0000-08-00-7"; }, [](auto& d) { d.request = "other"; },
           [](auto& d) { d.pool = "node-2"; }, [](auto& d) { d.admin_access = false; },
           [](auto& d) { d.share_id.reset(); }}) {
    auto changed = devices;
    change(changed[1]);
    EXPECT_FALSE(same_allocation(record, changed));
  }
  devices.pop_back();
  EXPECT_FALSE(same_allocation(record, devices));
}

}  // namespace
}  // namespace drasriov::claim
