// SPDX-License-Identifier: Apache-2.0
#include "host/claim/cdi_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

namespace drasriov::claim {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kDriver = "sriovnetwork.openshift.io";
constexpr std::string_view kClaimUid = "0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11";
constexpr std::string_view kPodUid = "9b0d2e51-7c11-4a04-8b55-0e6f3a9c4d22";

CdiDeviceInput vf(std::string name, std::string address, std::vector<std::string> edits = {}) {
  return {.device_name = std::move(name),
          .pci_address = std::move(address),
          .edits_json = std::move(edits)};
}

CdiClaimInput claim_of(std::vector<CdiDeviceInput> devices, bool one_pod = true,
                       std::string_view uid = kClaimUid) {
  CdiClaimInput claim{.claim_uid = std::string(uid), .devices = std::move(devices)};
  if (one_pod) claim.pod_uid = std::string(kPodUid);
  return claim;
}

/// One device named by a UID that begins with a letter, so that only its edits decide the version.
CdiClaimInput with_edits(std::vector<std::string> edits) {
  return claim_of({vf("vf0", "0000:08:00.2", std::move(edits))}, true,
                  "a0000000-0000-4000-8000-000000000001");
}

json parsed(const Result<std::string>& spec) {
  EXPECT_TRUE(spec.ok()) << (spec ? "" : spec.error().to_string());
  return spec ? json::parse(*spec) : json();
}

TEST(CdiSpec, ClaimWithNetworkAttachment) {
  CdiClaimInput claim = claim_of({vf("0000-08-00-2", "0000:08:00.2")});
  claim.devices[0].net_attach_def_name = "vlan100";
  const auto spec = claim_spec(kDriver, claim);
  ASSERT_TRUE(spec.ok()) << spec.error().to_string();
  EXPECT_EQ(
      *spec,
      R"({"cdiVersion":"0.5.0","kind":"sriovnetwork.openshift.io/vf","devices":[)"
      R"({"name":"0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11-0000-08-00-2","containerEdits":{"env":[)"
      R"("SRIOVNETWORK_VF_DEVICE_0000_08_00_2=0000:08:00.2","SRIOVNETWORK_NET_ATTACH_DEF_NAME=vlan100"]}}]})");
}

TEST(CdiSpec, EditsOfModulesFollowOurVariablesInTheOrderOfTheSpecification) {
  const auto spec = claim_spec(
      kDriver,
      claim_of({vf(
          "0000-08-00-2", "0000:08:00.2",
          {R"({"deviceNodes":[{"path":"/dev/vfio/vfio","type":"c","permissions":"rw"},)"
           R"({"path":"/dev/vfio/42","hostPath":"/dev/vfio/noiommu-42","type":"c","permissions":"rw"}],)"
           R"("env":["SRIOVNETWORK_0000_08_00_2_VFIO_DEVICE=/dev/vfio/42"]})",
           R"({"mounts":[{"hostPath":"/run/a","containerPath":"/run/b","options":["bind"]}],)"
           R"("deviceNodes":[{"path":"/dev/vhost-net"}]})"})}));
  ASSERT_TRUE(spec.ok()) << spec.error().to_string();
  EXPECT_EQ(
      *spec,
      R"({"cdiVersion":"0.5.0","kind":"sriovnetwork.openshift.io/vf","devices":[)"
      R"({"name":"0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11-0000-08-00-2","containerEdits":{"env":[)"
      R"("SRIOVNETWORK_VF_DEVICE_0000_08_00_2=0000:08:00.2","SRIOVNETWORK_NET_ATTACH_DEF_NAME=",)"
      R"("SRIOVNETWORK_0000_08_00_2_VFIO_DEVICE=/dev/vfio/42"],"deviceNodes":[)"
      R"({"path":"/dev/vfio/vfio","type":"c","permissions":"rw"},)"
      R"({"path":"/dev/vfio/42","hostPath":"/dev/vfio/noiommu-42","type":"c","permissions":"rw"},)"
      R"({"path":"/dev/vhost-net"}],"mounts":[{"hostPath":"/run/a","containerPath":"/run/b",)"
      R"("options":["bind"]}]}}]})");
}

/// At the level of the document: a container of the claim runs it once, whichever of the claim's devices it is given.
TEST(CdiSpec, HookOfAClaimWithANetworkStep) {
  CdiClaimInput claim = with_edits({});
  EXPECT_FALSE(parsed(claim_spec(kDriver, claim)).contains("containerEdits"));
  claim.hook = {"/data/dra-driver-sriov-hook", "ns/net", "/data \"1\""};
  const json spec = parsed(claim_spec(kDriver, claim));
  EXPECT_EQ(spec["cdiVersion"], "0.3.0") << "a hook needs no newer one";
  EXPECT_EQ(spec["containerEdits"], json::parse(R"({"hooks":[{"hookName":"createRuntime",)"
                                                R"("path":"/data/dra-driver-sriov-hook","args":)"
                                                R"(["dra-driver-sriov-hook",)"
                                                R"("a0000000-0000-4000-8000-000000000001",)"
                                                R"("ns/net","/data \"1\""]}]})"));
  EXPECT_FALSE(parsed(pod_spec(kDriver, kPodUid, {claim})).contains("containerEdits"));
  claim.hook->data_directory = "/\xff";
  EXPECT_FALSE(claim_spec(kDriver, claim).ok());
}

TEST(CdiSpec, SharedClaimListsItsAddressesInAClaimLevelDevice) {
  const CdiClaimInput claim = claim_of(
      {vf("0000-08-00-3", "0000:08:00.3"), vf("0000-08-00-2", "0000:08:00.2")}, /*one_pod=*/false);
  const json spec = parsed(claim_spec(kDriver, claim));
  ASSERT_EQ(spec["devices"].size(), 3U);
  EXPECT_EQ(spec["devices"][2]["name"], kClaimUid);
  EXPECT_EQ(spec["devices"][2]["containerEdits"],
            json::parse(R"({"env":["SRIOVNETWORK_PCI_ADDRESSES=0000:08:00.3,0000:08:00.2"]})"))
      << "allocation order, not sorted";
  EXPECT_THAT(
      cdi_device_ids(kDriver, claim, "0000-08-00-2"),
      ElementsAre("sriovnetwork.openshift.io/vf=0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11-0000-08-00-2",
                  "sriovnetwork.openshift.io/vf=0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11"));
}

TEST(CdiSpec, ClaimOfOnePodNamesThePodsDevice) {
  EXPECT_THAT(
      cdi_device_ids(kDriver, claim_of({vf("0000-08-00-2", "0000:08:00.2")}), "0000-08-00-2"),
      ElementsAre("sriovnetwork.openshift.io/vf=0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11-0000-08-00-2",
                  "sriovnetwork.openshift.io/vf=9b0d2e51-7c11-4a04-8b55-0e6f3a9c4d22"));
}

TEST(CdiSpec, EveryIdOfTheAnswerIsADeviceOfOneOfTheDocuments) {
  for (const bool one_pod : {true, false}) {
    const CdiClaimInput claim =
        claim_of({vf("0000-08-00-2", "0000:08:00.2"), vf("0000-08-00-3", "0000:08:00.3")}, one_pod);
    std::vector<std::string> offered;
    const auto offer = [&](const json& spec) {
      for (const json& device : spec["devices"]) {
        offered.push_back(spec["kind"].get<std::string>() + "=" +
                          device["name"].get<std::string>());
      }
    };
    offer(parsed(claim_spec(kDriver, claim)));
    if (one_pod) offer(parsed(pod_spec(kDriver, kPodUid, {claim})));
    std::set<std::string> asked;  // two devices name the list's device twice
    for (const CdiDeviceInput& device : claim.devices) {
      for (std::string& id : cdi_device_ids(kDriver, claim, device.device_name))
        asked.insert(std::move(id));
    }
    EXPECT_THAT(asked, ::testing::IsSubsetOf(offered));
  }
}

TEST(CdiSpec, PodIsTheUnionOfItsClaimsWhateverTheirOrder) {
  const CdiClaimInput first =
      claim_of({vf("0000-08-00-5", "0000:08:00.5"), vf("0000-08-00-2", "0000:08:00.2")});
  const CdiClaimInput second =
      claim_of({vf("0000-08-00-4", "0000:08:00.4")}, true, "1f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11");
  const auto spec = pod_spec(kDriver, kPodUid, {second, first});
  ASSERT_TRUE(spec.ok()) << spec.error().to_string();
  EXPECT_EQ(*spec, R"({"cdiVersion":"0.5.0","kind":"sriovnetwork.openshift.io/vf","devices":[)"
                   R"({"name":"9b0d2e51-7c11-4a04-8b55-0e6f3a9c4d22","containerEdits":{"env":[)"
                   R"("SRIOVNETWORK_PCI_ADDRESSES=0000:08:00.5,0000:08:00.2,0000:08:00.4"]}}]})");
  EXPECT_EQ(*spec, pod_spec(kDriver, kPodUid, {first, second}).value());
}

TEST(CdiSpec, PodRefusesClaimsThatAreNotItsAlone) {
  const CdiClaimInput shared = claim_of({vf("vf0", "0000:08:00.2")}, /*one_pod=*/false);
  const auto refused = pod_spec(kDriver, kPodUid, {shared});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(),
            "pod 9b0d2e51-7c11-4a04-8b55-0e6f3a9c4d22: claim "
            "0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11 is not reserved for it alone");
  const CdiClaimInput own = claim_of({vf("vf0", "0000:08:00.2")});
  EXPECT_FALSE(pod_spec(kDriver, "another-pod", {own}).ok());
  EXPECT_FALSE(pod_spec(kDriver, kPodUid, {}).ok());
  EXPECT_FALSE(pod_spec(kDriver, kPodUid, {own, own}).ok());
}

struct VersionCase {
  const char* name;
  const char* edits;
  const char* version;
  friend void PrintTo(const VersionCase& row, std::ostream* out) { *out << row.name; }
};

class CdiSpecVersion : public ::testing::TestWithParam<VersionCase> {};

TEST_P(CdiSpecVersion, IsTheLowestThatTheContentsAllow) {
  EXPECT_EQ(parsed(claim_spec(kDriver, with_edits({GetParam().edits})))["cdiVersion"],
            GetParam().version);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, CdiSpecVersion,
    ::testing::Values(
        VersionCase{"Env", R"({"env":["A=b"]})", "0.3.0"},
        VersionCase{"NodeWithoutHostPath", R"({"deviceNodes":[{"path":"/dev/a"}]})", "0.3.0"},
        VersionCase{"EmptyHostPath", R"({"deviceNodes":[{"path":"/dev/a","hostPath":""}]})",
                    "0.3.0"},
        VersionCase{"UntypedMount", R"({"mounts":[{"hostPath":"/a","containerPath":"/b"}]})",
                    "0.3.0"},
        VersionCase{"EmptyGids", R"({"additionalGids":[]})", "0.3.0"},
        VersionCase{"Hook", R"({"hooks":[{"hookName":"createRuntime","path":"/h"}]})", "0.3.0"},
        VersionCase{"TypedMount",
                    R"({"mounts":[{"hostPath":"/a","containerPath":"/b","type":"bind"}]})",
                    "0.4.0"},
        VersionCase{"HostPath", R"({"deviceNodes":[{"path":"/dev/a","hostPath":"/dev/b"}]})",
                    "0.5.0"},
        VersionCase{"Gids", R"({"additionalGids":[36]})", "0.7.0"},
        VersionCase{"Rdt", R"({"intelRdt":{"closID":"a"}})", "0.7.0"},
        VersionCase{"RdtMonitoringOff", R"({"intelRdt":{"enableMonitoring":false}})", "0.7.0"},
        VersionCase{"RdtMonitoringOn", R"({"intelRdt":{"enableMonitoring":true}})", "1.1.0"},
        VersionCase{"RdtSchemata", R"({"intelRdt":{"schemata":["MB:0=70"]}})", "1.1.0"},
        VersionCase{"NetDevice", R"({"netDevices":[{"hostInterfaceName":"eth2","name":"net1"}]})",
                    "1.1.0"}),
    [](const auto& row) { return row.param.name; });

TEST(CdiSpec, DigitFirstNeedsFiveInEitherDocument) {
  EXPECT_EQ(parsed(claim_spec(kDriver, claim_of({vf("vf0", "0000:08:00.2")})))["cdiVersion"],
            "0.5.0");
  CdiClaimInput claim = with_edits({});
  EXPECT_EQ(parsed(claim_spec(kDriver, claim))["cdiVersion"], "0.3.0");
  EXPECT_EQ(parsed(pod_spec(kDriver, kPodUid, {claim}))["cdiVersion"], "0.5.0");
  claim.pod_uid = "b0000000-0000-4000-8000-000000000002";
  EXPECT_EQ(parsed(pod_spec(kDriver, *claim.pod_uid, {claim}))["cdiVersion"], "0.3.0");
}

TEST(CdiSpec, EqualEntriesOfTwoModulesStandOnce) {
  const std::string vfio =
      R"({"env":["A=b"],"deviceNodes":[{"path":"/dev/vfio/vfio"}],"additionalGids":[36],)"
      R"("intelRdt":{"closID":"a"},"hooks":[{"hookName":"poststop","path":"/h"}]})";
  const json edits =
      parsed(claim_spec(kDriver, with_edits({vfio, vfio})))["devices"][0]["containerEdits"];
  EXPECT_EQ(edits["env"].size(), 3U);
  EXPECT_EQ(edits["deviceNodes"].size(), 1U);
  EXPECT_EQ(edits["additionalGids"].size(), 1U);
  EXPECT_EQ(edits["hooks"].size(), 2U) << "a hook may run twice on purpose";
}

struct RefusedCase {
  const char* name;
  const char* first;
  const char* second;
  Code code;
  const char* message;
  friend void PrintTo(const RefusedCase& row, std::ostream* out) { *out << row.name; }
};

class CdiSpecRefused : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(CdiSpecRefused, NamesClaimDeviceAndEdits) {
  const auto spec = claim_spec(kDriver, with_edits({GetParam().first, GetParam().second}));
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.error().code(), GetParam().code);
  EXPECT_EQ(
      spec.error().message(),
      std::string("claim a0000000-0000-4000-8000-000000000001: device vf0: container edits 2: ") +
          GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, CdiSpecRefused,
    ::testing::Values(
        RefusedCase{"NotJson", "{}", "{", Code::kInvalidArgument, "not valid JSON"},
        RefusedCase{"NotUtf8", "{}", "{\"env\":[\"A=\xff\"]}", Code::kInvalidArgument,
                    "not valid JSON"},
        RefusedCase{"NotAnObject", "{}", "[]", Code::kInvalidArgument, "not a JSON object"},
        RefusedCase{"UnknownMember", "{}", R"({"devicenodes":[]})", Code::kInvalidArgument,
                    R"(unknown member "devicenodes" of containerEdits)"},
        RefusedCase{"NotAList", "{}", R"({"env":"A=b"})", Code::kInvalidArgument,
                    "env is not an array"},
        RefusedCase{"EnvIsNoText", "{}", R"({"env":[1]})", Code::kInvalidArgument,
                    "env: an entry is not a string"},
        RefusedCase{"EnvWithoutEquals", "{}", R"({"env":["A"]})", Code::kInvalidArgument,
                    R"(env: "A" is not of the form NAME=value)"},
        RefusedCase{"EnvWithoutName", "{}", R"({"env":["=b"]})", Code::kInvalidArgument,
                    R"(env: "=b" is not of the form NAME=value)"},
        RefusedCase{"NodeWithoutPath", "{}", R"({"deviceNodes":[{"hostPath":"/dev/a"}]})",
                    Code::kInvalidArgument, R"(deviceNodes: an entry has no string "path")"},
        RefusedCase{"OtherVariable", R"({"env":["A=b"]})", R"({"env":["A=c"]})",
                    Code::kFailedPrecondition,
                    R"(variable "A" is already there with other contents)"},
        RefusedCase{
            "OurVariable", "{}", R"({"env":["SRIOVNETWORK_VF_DEVICE_vf0=x"]})",
            Code::kFailedPrecondition,
            R"(variable "SRIOVNETWORK_VF_DEVICE_vf0" is already there with other contents)"},
        RefusedCase{"OtherNode", R"({"deviceNodes":[{"path":"/dev/a"}]})",
                    R"({"deviceNodes":[{"path":"/dev/a","hostPath":"/dev/b"}]})",
                    Code::kFailedPrecondition,
                    R"(device node "/dev/a" is already there with other contents)"},
        RefusedCase{"OtherMount", R"({"mounts":[{"hostPath":"/a","containerPath":"/c"}]})",
                    R"({"mounts":[{"hostPath":"/b","containerPath":"/c"}]})",
                    Code::kFailedPrecondition,
                    R"(mount "/c" is already there with other contents)"},
        RefusedCase{"OtherRdt", R"({"intelRdt":{"closID":"a"}})", R"({"intelRdt":{"closID":"b"}})",
                    Code::kFailedPrecondition, "intelRdt is already there with other contents"}),
    [](const auto& row) { return row.param.name; });

TEST(CdiSpec, BadNamesAreRefusedBeforeTheyReachAFile) {
  const CdiClaimInput good = claim_of({vf("vf0", "0000:08:00.2")});
  for (const std::string_view driver : {"", "a", "9driver.example.com", "Driver", "a/b", "a..b"}) {
    EXPECT_FALSE(claim_spec(driver, good).ok()) << driver;
  }
  const auto refuses = [](auto&& change) {
    CdiClaimInput claim = claim_of({vf("vf0", "0000:08:00.2"), vf("vf1", "0000:08:00.3")});
    change(claim);
    return !claim_spec(kDriver, claim).ok();
  };
  EXPECT_FALSE(refuses([](CdiClaimInput&) {}));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.claim_uid = "../../etc/passwd"; }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.claim_uid.clear(); }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.pod_uid = ""; }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.devices.clear(); }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.devices[1].device_name = "vf0"; }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.devices[1].device_name = "vf.1"; }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.devices[1].pci_address = "a,b"; }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.devices[1].pci_address = "\xff"; }));
  EXPECT_TRUE(refuses([](CdiClaimInput& claim) { claim.devices[1].net_attach_def_name = "a b"; }));
}

}  // namespace
}  // namespace drasriov::claim
