// SPDX-License-Identifier: Apache-2.0
//
// From the claim's JSON to the Plan: precedence, names, chains, and each refusal with its sentence.
#include "host/claim/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/claim/fakes.hpp"

namespace drasriov::claim {
namespace {

using testing::claim_object;
using testing::config_of;
using testing::FakeBinding;
using testing::FakeHooks;
using testing::FakeNetconf;
using testing::Json;
using testing::kDriverName;
using testing::Recording;
using testing::reserved_for;
using testing::result_of;
using testing::virtual_function;

const ClaimRef kClaim{"tenant", "vfs", "claim-uid-1"};

constexpr auto kCaseName = [](const auto& tested) { return std::string(tested.param.name); };

class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    settings_.driver_name = kDriverName;
    settings_.pool_name = "node-1";
    modules_.binding = {&vf_state_, &vfio_, &vhost_};
    modules_.netconf = &netconf_;
    modules_.runtime_hooks = {&hooks_};
    modules_.cdi = &cdi_;
    vf_state_.takes_part = [](const module::BindingRequest& request, bool) {
      return !request.netconf_json.empty();
    };
    vfio_.check = [](std::string_view json) {
      return json == R"({"iommu":true})" || json == "{}"
                 ? Status()
                 : Status(Error(Code::kInvalidArgument, "iommu: want true or false"));
    };
    std::vector<device::Device> devices;
    for (int i = 0; i < 4; ++i) devices.push_back(virtual_function(i));
    device::Device pf;
    pf.name = "0000-07-00-0";
    pf.kind = "pf";
    devices.push_back(pf);
    inventory_ = std::make_shared<device::Inventory>(
        1, devices, std::vector<device::Problem>{{"0000:09:00.0", "no class file"}});
    networks_[{"tenant", "net-a"}] = R"({"type":"sriov","name":"net-a"})";
    networks_[{"shared", "net-s"}] = R"({"type":"sriov","name":"net-s"})";
  }

  Result<Plan> plan(const Json& object, const ClaimRef& ref = kClaim) {
    auto claim = decode_claim(object, ref, kDriverName);
    if (!claim) return std::move(claim).error();
    auto configs = decode_configs(object, kDriverName, module_fields(modules_));
    if (!configs) return std::move(configs).error();
    auto devices = resolve(*claim, *configs, *inventory_, settings_, modules_);
    if (!devices) return std::move(devices).error();
    for (const auto& key : networks_of(*devices))
      EXPECT_TRUE(networks_.contains(key)) << key.to_string();
    return make_plan(*claim, std::move(*devices), networks_, surroundings_, settings_, modules_);
  }
  /// One device for request "main" with these configuration entries.
  Result<Plan> plan_one(std::vector<Json> configs, const std::string& request = "main") {
    return plan(claim_object(kClaim, {result_of(request, "0000-08-00-0")}, configs));
  }
  static Json config_json(const Result<Plan>& plan, std::size_t i = 0) {
    return plan ? Json::parse(plan->devices.at(i).config_json) : Json(plan.error().to_string());
  }

  Recording recording_;
  FakeBinding vf_state_{"vf-state", {}, recording_};
  FakeBinding vfio_{"vfio", {"driver", "turbo"}, recording_};
  FakeBinding vhost_{"vhost", {"addVhostMount"}, recording_};
  FakeNetconf netconf_{recording_};
  FakeHooks hooks_;
  testing::FakeCdi cdi_{recording_};
  module::Modules modules_;
  PlanSettings settings_;
  Surroundings surroundings_;
  Networks networks_;
  device::InventorySnapshot inventory_;
};

TEST_F(PlanTest, NoConfigurationIsAllDefaults) {
  const auto made = plan_one({});
  ASSERT_TRUE(made) << made.error().to_string();
  ASSERT_EQ(made->devices.size(), 1U);
  const DevicePlan& device = made->devices[0];
  EXPECT_EQ(
      device.config_json,
      R"({"apiVersion":"sriovnetwork.openshift.io/v1alpha1","kind":"VfConfig","driver":"","ifName":"vfnet0",)"
      R"("netAttachDefName":"","netAttachDefNamespace":"","addVhostMount":false,"modules":{}})");
  EXPECT_EQ(device.netconf_json, "");
  EXPECT_TRUE(device.chain.empty());
  EXPECT_FALSE(made->changes_machine());
  EXPECT_FALSE(made->has_network());
  EXPECT_EQ(device.published, virtual_function(0));
  EXPECT_EQ(made->pod_uid, "uid-of-pod-a");
}

struct MergeCase {
  const char* name;
  std::vector<Json> configs;
  Json expected;  ///< fields that must hold
  const char* request = "main";
};

class Merge : public PlanTest, public ::testing::WithParamInterface<MergeCase> {};

TEST_P(Merge, ByPrecedenceFieldByField) {
  const auto made = plan_one(GetParam().configs, GetParam().request);
  ASSERT_TRUE(made) << made.error().to_string();
  const Json config = config_json(made);
  for (const auto& [field, value] : GetParam().expected.items())
    EXPECT_EQ(config.at(field), value) << field;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Merge,
    ::testing::Values(
        MergeCase{"EmptyRequestsAreAll",
                  {config_of("FromClaim", {}, {{"driver", "vfio-pci"}})},
                  {{"driver", "vfio-pci"}}},
        MergeCase{
            "ClaimOverClassWhateverTheOrder",
            {config_of("FromClaim", {"main"}, {{"driver", "vfio-pci"}}),
             config_of("FromClass", {"main"}, {{"driver", "default"}, {"addVhostMount", true}})},
            {{"driver", "vfio-pci"}, {"addVhostMount", true}}},
        MergeCase{"LaterOverEarlier",
                  {config_of("FromClaim", {}, {{"ifName", "net1"}, {"driver", "default"}}),
                   config_of("FromClaim", {}, {{"ifName", "net2"}})},
                  {{"ifName", "net2"}, {"driver", "default"}}},
        MergeCase{"EmptyStringThatIsGivenWins",
                  {config_of("FromClass", {}, {{"driver", "vfio-pci"}}),
                   config_of("FromClaim", {}, {{"driver", ""}})},
                  {{"driver", ""}}},
        MergeCase{"FalseThatIsGivenWins",
                  {config_of("FromClass", {}, {{"addVhostMount", true}}),
                   config_of("FromClaim", {}, {{"addVhostMount", false}})},
                  {{"addVhostMount", false}}},
        MergeCase{"NullIsAbsent",
                  {config_of("FromClass", {}, {{"driver", "vfio-pci"}}),
                   config_of("FromClaim", {}, {{"driver", nullptr}})},
                  {{"driver", "vfio-pci"}}},
        MergeCase{"OtherRequestsAreSkipped",
                  {config_of("FromClaim", {"other"}, {{"driver", "vfio-pci"}})},
                  {{"driver", ""}}},
        MergeCase{"SubrequestByItsBase",
                  {config_of("FromClaim", {"main"}, {{"driver", "vfio-pci"}})},
                  {{"driver", "vfio-pci"}},
                  "main/sub"},
        MergeCase{"SubrequestByItself",
                  {config_of("FromClaim", {"main/sub"}, {{"driver", "vfio-pci"}})},
                  {{"driver", "vfio-pci"}},
                  "main/sub"},
        MergeCase{"OtherSubrequestIsSkipped",
                  {config_of("FromClaim", {"main/other"}, {{"driver", "vfio-pci"}})},
                  {{"driver", ""}},
                  "main/sub"},
        MergeCase{"OtherDriversAreSkipped",
                  {{{"source", "FromClass"},
                    {"opaque", {{"driver", "gpu.example.com"}, {"parameters", {{"x", 1}}}}}},
                   config_of("FromClaim", {}, {{"ifName", "net1"}})},
                  {{"ifName", "net1"}}},
        MergeCase{"RepeatedByTheScheduler",
                  {config_of("FromClaim", {"main"}, {{"driver", "vfio-pci"}}),
                   config_of("FromClaim", {"main"}, {{"driver", "vfio-pci"}})},
                  {{"driver", "vfio-pci"}}},
        MergeCase{"ModulesInstanceByInstance",
                  {config_of("FromClass", {},
                             {{"modules", {{"vfio", {{"iommu", true}}}, {"vhost", {{"a", 1}}}}}}),
                   config_of("FromClaim", {}, {{"modules", {{"vhost", {{"b", 2}}}}}})},
                  {{"modules", {{"vfio", {{"iommu", true}}}, {"vhost", {{"b", 2}}}}}}},
        MergeCase{"NamespaceOfNetworkIsTheClaims",
                  {config_of("FromClaim", {}, {{"netAttachDefName", "net-a"}})},
                  {{"netAttachDefName", "net-a"}, {"netAttachDefNamespace", "tenant"}}},
        MergeCase{"FieldThatAModuleOwns",
                  {config_of("FromClaim", {}, {{"turbo", {{"level", 3}}}})},
                  {{"turbo", {{"level", 3}}}}}),
    kCaseName);

struct RefusedCase {
  const char* name;
  Json object;
  Code code;
  const char* message;  ///< whole sentence
};

class Refused : public PlanTest, public ::testing::WithParamInterface<RefusedCase> {};

TEST_P(Refused, WithTheSentence) {
  const auto made = plan(GetParam().object);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().to_string(), GetParam().message);
  EXPECT_EQ(made.error().code(), GetParam().code);
}

Json one(Json fields) {
  return claim_object(kClaim, {result_of("main", "0000-08-00-0")},
                      {config_of("FromClaim", {}, std::move(fields))});
}
Json with(Json object, const char* pointer, Json value) {
  object[Json::json_pointer(pointer)] = std::move(value);
  return object;
}
Json admin(Json fields) {
  Json result = result_of("main", "0000-08-00-0");
  result["adminAccess"] = true;
  return claim_object(kClaim, {result}, {config_of("FromClaim", {}, std::move(fields))});
}
Json deep(int levels) {
  Json value = Json::object();
  for (int i = 0; i < levels; ++i) value = Json{{"a", value}};
  return value;
}

constexpr const char* kParameters = "/status/allocation/devices/config/0/opaque/parameters";

INSTANTIATE_TEST_SUITE_P(
    Allocation, Refused,
    ::testing::Values(
        RefusedCase{
            "OtherUid",
            claim_object({"tenant", "vfs", "claim-uid-2"}, {result_of("main", "0000-08-00-0")}),
            Code::kNotFound,
            "its UID is claim-uid-2, kubelet asks for claim-uid-1 — hint: the claim was deleted "
            "and made anew; "
            "kubelet comes again with the new one"},
        RefusedCase{"NotAllocated", with(one({}), "/status/allocation", nullptr),
                    Code::kFailedPrecondition,
                    "it is not allocated — hint: the scheduler allocates a claim when it places "
                    "the first pod that "
                    "uses it"},
        RefusedCase{"NoStatus", with(one({}), "/status", nullptr), Code::kFailedPrecondition,
                    "it is not allocated — hint: the scheduler allocates a claim when it places "
                    "the first pod that "
                    "uses it"},
        RefusedCase{
            "OtherDriversOnly",
            claim_object(kClaim, {{{"request", "g"},
                                   {"driver", "gpu.example.com"},
                                   {"pool", "p"},
                                   {"device", "d"}}}),
            Code::kFailedPrecondition,
            "no device of driver sriovnetwork.openshift.io is allocated to it, only devices of "
            "gpu.example.com"},
        RefusedCase{"UnknownDevice", claim_object(kClaim, {result_of("main", "0000-99-00-0")}),
                    Code::kNotFound,
                    "request \"main\", device 0000-99-00-0: there is no such virtual function on "
                    "this node — hint: the "
                    "number of virtual functions was changed after the claim was allocated; delete "
                    "the pod, so that "
                    "the scheduler chooses again"},
        RefusedCase{"PhysicalFunction", claim_object(kClaim, {result_of("main", "0000-07-00-0")}),
                    Code::kNotFound,
                    "request \"main\", device 0000-07-00-0: there is no such virtual function on "
                    "this node — hint: the "
                    "number of virtual functions was changed after the claim was allocated; delete "
                    "the pod, so that "
                    "the scheduler chooses again"},
        RefusedCase{
            "DeviceThatDiscoveryCouldNotRead",
            claim_object(kClaim, {result_of("main", "0000-09-00-0")}), Code::kUnavailable,
            "request \"main\", device 0000-09-00-0: discovery could not read it: no class file"},
        RefusedCase{"OtherPool",
                    claim_object(kClaim, {result_of("main", "0000-08-00-0", "node-2")}),
                    Code::kFailedPrecondition,
                    "request \"main\", device 0000-08-00-0: it is of pool \"node-2\", this node's "
                    "pool is \"node-1\""},
        RefusedCase{
            "DeviceTwice",
            claim_object(kClaim, {result_of("a", "0000-08-00-0"), result_of("b", "0000-08-00-0")}),
            Code::kFailedPrecondition,
            "request \"b\", device 0000-08-00-0: it is allocated twice to this claim — hint: one "
            "device serves "
            "one request; ask for it once"},
        RefusedCase{
            "ReservedForNobody",
            claim_object(kClaim, {result_of("main", "0000-08-00-0")}, Json::array(), Json::array()),
            Code::kFailedPrecondition,
            "status.reservedFor is empty: no pod may use it — hint: the scheduler reserves a claim "
            "for its "
            "pods; the pod was deleted, or its nodeName was set by hand"},
        RefusedCase{"ReservedForIsAbsent", with(one({}), "/status/reservedFor", nullptr),
                    Code::kFailedPrecondition,
                    "status.reservedFor is empty: no pod may use it — hint: the scheduler reserves "
                    "a claim for its "
                    "pods; the pod was deleted, or its nodeName was set by hand"},
        RefusedCase{"PodUidThatIsAPath", with(one({}), "/status/reservedFor/0/uid", "../../etc"),
                    Code::kInvalidArgument, "status.reservedFor[0].uid: malformed, want a UID"},
        RefusedCase{"ResultsAreNoList", with(one({}), "/status/allocation/devices/results", "x"),
                    Code::kInvalidArgument,
                    "status.allocation.devices.results: malformed, want a list"},
        RefusedCase{"ResultWithoutDevice",
                    with(one({}), "/status/allocation/devices/results/0/device", nullptr),
                    Code::kInvalidArgument,
                    "status.allocation.devices.results[0].device: malformed, want a value, it is "
                    "empty or missing"},
        RefusedCase{
            "ConfigOfUnknownSource",
            with(one({}), "/status/allocation/devices/config/0/source", "FromPod"),
            Code::kInvalidArgument,
            "status.allocation.devices.config[0].source: malformed, want FromClass or FromClaim"}),
    kCaseName);

INSTANTIATE_TEST_SUITE_P(
    Parameters, Refused,
    ::testing::Values(
        RefusedCase{
            "UnknownField", one({{"ifname", "net1"}}), Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters.ifname: unknown field — hint: "
            "VfConfig has "
            "driver, ifName, netAttachDefName, netAttachDefNamespace, addVhostMount and modules"},
        RefusedCase{
            "WrongApiVersion",
            with(one({}), "/status/allocation/devices/config/0/opaque/parameters/apiVersion",
                 "sriovnetwork.openshift.io/v1"),
            Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters.apiVersion: is "
            "\"sriovnetwork.openshift.io/v1\", want \"sriovnetwork.openshift.io/v1alpha1\""},
        RefusedCase{
            "WrongKind",
            with(one({}), "/status/allocation/devices/config/0/opaque/parameters/kind", "PfConfig"),
            Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters.kind: is \"PfConfig\", want "
            "\"VfConfig\""},
        RefusedCase{
            "NoKind",
            with(one({}), "/status/allocation/devices/config/0/opaque/parameters/kind", nullptr),
            Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters.kind: is missing, want "
            "\"VfConfig\""},
        RefusedCase{
            "ParametersAreText", with(one({}), kParameters, "{not json"), Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters: is a string, want an object"},
        RefusedCase{"NoParameters", with(one({}), kParameters, nullptr), Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters: malformed, want an "
                    "object, it is missing"},
        RefusedCase{"MegabyteOfParameters", with(one({}), kParameters, std::string(1U << 20U, 'x')),
                    Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters: larger than 10240 "
                    "bytes or nested deeper "
                    "than 16 levels"},
        RefusedCase{"DeeplyNestedParameters", one({{"modules", {{"vfio", deep(1000)}}}}),
                    Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters: larger than 10240 "
                    "bytes or nested deeper "
                    "than 16 levels"},
        RefusedCase{"DriverIsANumber", one({{"driver", 5}}), Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.driver: is a number, "
                    "want a string"},
        RefusedCase{"DriverIsAPath", one({{"driver", "../../x"}}), Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.driver: \"../../x\" is "
                    "not the name of a "
                    "kernel driver — hint: 1-63 of a-z, 0-9, '_' and '-', or empty to leave the "
                    "driver as it is"},
        RefusedCase{"InterfaceNameWithSlash", one({{"ifName", "a/b"}}), Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.ifName: \"a/b\" is not "
                    "the name of a network "
                    "interface — hint: 1-15 bytes without '/', ':' and white space"},
        RefusedCase{"InterfaceNameTooLong", one({{"ifName", "abcdefghijklmnop"}}),
                    Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.ifName: "
                    "\"abcdefghijklmnop\" is not the name "
                    "of a network interface — hint: 1-15 bytes without '/', ':' and white space"},
        RefusedCase{"NetworkNameIsAPath", one({{"netAttachDefName", "../x"}}),
                    Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.netAttachDefName: "
                    "\"../x\" is not the name "
                    "of a NetworkAttachmentDefinition — hint: lower-case letters, digits, '-' and "
                    "'.' (RFC 1123 "
                    "subdomain)"},
        RefusedCase{
            "NetworkNamespaceIsNoLabel", one({{"netAttachDefNamespace", "A b"}}),
            Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters.netAttachDefNamespace: \"A b\" "
            "is not the "
            "name of a namespace — hint: lower-case letters, digits and '-' (RFC 1123 label)"},
        RefusedCase{"VhostIsText", one({{"addVhostMount", "yes"}}), Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.addVhostMount: is a "
                    "string, want true or "
                    "false"},
        RefusedCase{"ModulesIsAList", one({{"modules", Json::array()}}), Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.modules: is a list, "
                    "want an object"},
        RefusedCase{"ModuleParametersAreNoObject", one({{"modules", {{"vfio", 1}}}}),
                    Code::kInvalidArgument,
                    "status.allocation.devices.config[0].opaque.parameters.modules.vfio: is a "
                    "number, want an "
                    "object"},
        RefusedCase{
            "KeyWithControlBytes", one({{"a\nb", 1}}), Code::kInvalidArgument,
            "status.allocation.devices.config[0].opaque.parameters.\"a?b\": unknown field — hint: "
            "VfConfig has "
            "driver, ifName, netAttachDefName, netAttachDefNamespace, addVhostMount and modules"}),
    kCaseName);

INSTANTIATE_TEST_SUITE_P(
    Devices, Refused,
    ::testing::Values(
        RefusedCase{
            "EqualInterfaceNames",
            claim_object(kClaim,
                         {result_of("main", "0000-08-00-0"), result_of("main", "0000-08-00-1")},
                         {config_of("FromClaim", {}, {{"ifName", "net1"}})}),
            Code::kInvalidArgument,
            "request \"main\", device 0000-08-00-1: interface name \"net1\" is already taken in "
            "the pod by "
            "request \"main\", device 0000-08-00-0 — hint: leave ifName out for a request of "
            "several devices, "
            "or give each request its own name"},
        RefusedCase{"UnknownInstance", one({{"modules", {{"acme", {{"x", 1}}}}}}),
                    Code::kFailedPrecondition,
                    "request \"main\", device 0000-08-00-0: VfConfig.modules.acme: no enabled "
                    "binding module has this "
                    "name — hint: the names are those of `modules` in the driver's configuration"},
        RefusedCase{"ParametersAgainstTheSchema", one({{"modules", {{"vfio", {{"iommu", 7}}}}}}),
                    Code::kInvalidArgument,
                    "request \"main\", device 0000-08-00-0: VfConfig.modules.vfio: iommu: want "
                    "true or false"},
        RefusedCase{"OtherNamespacesNetwork",
                    one({{"netAttachDefName", "net-s"}, {"netAttachDefNamespace", "shared"}}),
                    Code::kPermissionDenied,
                    "request \"main\", device 0000-08-00-0: VfConfig.netAttachDefNamespace "
                    "\"shared\" is neither the "
                    "claim's namespace nor allowed — hint: add it to netAttachDefNamespaces in the "
                    "driver's "
                    "configuration"},
        RefusedCase{"AdminAccessThatChanges", admin({{"driver", "vfio-pci"}}),
                    Code::kFailedPrecondition,
                    "request \"main\", device 0000-08-00-0: the request has adminAccess, which "
                    "only shows the device, "
                    "but its VfConfig asks to change it — hint: name the other requests in the "
                    "`requests` of that "
                    "configuration entry"},
        RefusedCase{"AdminAccessWithNetwork", admin({{"netAttachDefName", "net-a"}}),
                    Code::kFailedPrecondition,
                    "request \"main\", device 0000-08-00-0: the request has adminAccess, which "
                    "only shows the device, "
                    "but its VfConfig asks to change it — hint: name the other requests in the "
                    "`requests` of that "
                    "configuration entry"}),
    kCaseName);

TEST_F(PlanTest, AFieldThatNoModuleOwnsIsAnError) {
  modules_.binding = {&vfio_};
  const auto made = plan_one({config_of("FromClaim", {}, {{"addVhostMount", true}})});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().to_string(),
            "request \"main\", device 0000-08-00-0: VfConfig.addVhostMount is set, but no enabled "
            "module carries it out "
            "— hint: enable a module that owns this field, or remove the field");
  EXPECT_TRUE(plan_one({config_of("FromClaim", {}, {{"addVhostMount", false}})}))
      << "the default asks for nothing";
}

TEST_F(PlanTest, ANetworkWithoutNetconfOrHooksIsAnError) {
  modules_.netconf = nullptr;
  auto made = plan_one({config_of("FromClaim", {}, {{"netAttachDefName", "net-a"}})});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(),
            "request \"main\", device 0000-08-00-0: VfConfig.netAttachDefName is set, but no "
            "enabled module offers "
            "netconf/1");
  modules_.netconf = &netconf_;
  modules_.runtime_hooks.clear();
  made = plan_one({config_of("FromClaim", {}, {{"netAttachDefName", "net-a"}})});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(),
            "request \"main\", device 0000-08-00-0: VfConfig.netAttachDefName is set, but no "
            "enabled module offers "
            "runtime-hooks/1");
}

TEST_F(PlanTest, WithoutACdiModuleNothingIsPrepared) {
  modules_.cdi = nullptr;
  const auto made = plan_one({});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().to_string(),
            "no enabled module offers cdi/1, so containers would not get their devices — hint: "
            "enable the module cdi");
}

TEST_F(PlanTest, OtherNamespacesMayBeAllowed) {
  const std::vector<Json> configs = {config_of(
      "FromClaim", {}, {{"netAttachDefName", "net-s"}, {"netAttachDefNamespace", "shared"}})};
  for (const char* allowed : {"shared", "*"}) {
    settings_.net_attach_def_namespaces = {"elsewhere", allowed};
    const auto made = plan_one(configs);
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(made->devices[0].netconf_json, R"({"type":"sriov","name":"net-s"})");
    EXPECT_TRUE(made->has_network());
  }
}

TEST_F(PlanTest, HeldDevicesNameTheHolder) {
  surroundings_.holders["0000-08-00-0"] = {{"tenant", "other", "claim-uid-9"}, "Prepared", ""};
  auto made = plan_one({});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().to_string(),
            "request \"main\", device 0000-08-00-0: it is held by claim tenant/other "
            "(claim-uid-9), Prepared — hint: the "
            "device was allocated twice; delete one of the two pods");
  EXPECT_FALSE(made.error().retryable());

  surroundings_.holders["0000-08-00-0"] = {
      {"tenant", "other", "claim-uid-9"}, "Undoing", "vfio: held open by pid 7"};
  made = plan_one({});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(),
            "request \"main\", device 0000-08-00-0: it is held by claim tenant/other "
            "(claim-uid-9), Undoing: vfio: held "
            "open by pid 7");
  EXPECT_TRUE(made.error().retryable())
      << "it may be free in a second, kubelet comes back only after a minute";
}

TEST_F(PlanTest, AdminAccessSeesAHeldDeviceAndTakesNothing) {
  surroundings_.holders["0000-08-00-0"] = {{"tenant", "other", "claim-uid-9"}, "Prepared", ""};
  vfio_.takes_part = [](const module::BindingRequest&, bool) { return true; };
  const auto made = plan(admin({}));
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_TRUE(made->devices[0].chain.empty());
  EXPECT_EQ(made->devices[0].interface_name, "");
}

TEST_F(PlanTest, AShareIsHeldLikeAWholeDevice) {
  Json result = result_of("main", "0000-08-00-0");
  result["shareID"] = "2c6fe9a5-0000-4000-8000-000000000001";
  auto made = plan(claim_object(kClaim, {result}));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->devices[0].allocated.share_id, "2c6fe9a5-0000-4000-8000-000000000001");
  surroundings_.holders["0000-08-00-0"] = {{"tenant", "other", "claim-uid-9"}, "Prepared", ""};
  made = plan(claim_object(kClaim, {result}));
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), ::testing::HasSubstr("held by claim tenant/other"));
}

TEST_F(PlanTest, NamesAreCountedOverThePod) {
  surroundings_.interface_names["vfnet0"] = {"tenant", "first", "claim-uid-7"};
  surroundings_.interface_names["vfnet2"] = {"tenant", "first", "claim-uid-7"};
  const auto made =
      plan(claim_object(kClaim,
                        {result_of("a", "0000-08-00-0"), result_of("b", "0000-08-00-1"),
                         result_of("c", "0000-08-00-2")},
                        {config_of("FromClaim", {"b"}, {{"ifName", "vfnet1"}})}));
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->devices[0].interface_name, "vfnet3");
  EXPECT_EQ(made->devices[1].interface_name, "vfnet1");
  EXPECT_EQ(made->devices[2].interface_name, "vfnet4");
  EXPECT_EQ(config_json(made, 2).at("ifName"), "vfnet4");
}

TEST_F(PlanTest, ANameOfAnotherClaimOfThePodIsRefused) {
  surroundings_.interface_names["net1"] = {"tenant", "first", "claim-uid-7"};
  const auto made = plan(one({{"ifName", "net1"}}));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(),
            "request \"main\", device 0000-08-00-0: interface name \"net1\" is already taken in "
            "the pod by claim "
            "tenant/first");
}

TEST_F(PlanTest, NamesBeforeARebootStayUnlessTaken) {
  surroundings_.previous_names["0000-08-00-0"] = "vfnet5";
  EXPECT_EQ(plan_one({})->devices[0].interface_name, "vfnet5");
  surroundings_.interface_names["vfnet5"] = {"tenant", "first", "claim-uid-7"};
  EXPECT_EQ(plan_one({})->devices[0].interface_name, "vfnet0");
}

TEST_F(PlanTest, APrefixThatIsTooLongIsTheOperatorsError) {
  settings_.interface_prefix = "fifteen-letters";
  const auto made = plan_one({});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().to_string(),
            "request \"main\", device 0000-08-00-0: default interface name \"fifteen-letters0\" is "
            "not valid — hint: "
            "shorten defaultInterfacePrefix in the driver's configuration");
}

TEST_F(PlanTest, TheChainIsInListOrderOfThoseThatTakePart) {
  const auto made = plan(claim_object(
      kClaim,
      {result_of("a", "0000-08-00-0"), result_of("b", "0000-08-00-1"),
       result_of("c", "0000-08-00-2")},
      {config_of("FromClaim", {"a"}, {{"addVhostMount", true}, {"driver", "vfio-pci"}}),
       config_of("FromClaim", {"b"}, {{"netAttachDefName", "net-a"}}),
       config_of("FromClaim", {"c"}, {{"modules", {{"vfio", {{"iommu", true}}}}}})}));
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->devices[0].chain, (std::vector<ChainLink>{{"vfio", "{}"}, {"vhost", "{}"}}));
  EXPECT_EQ(made->devices[1].chain, (std::vector<ChainLink>{{"vf-state", "{}"}}));
  EXPECT_EQ(made->devices[1].netconf_json, R"({"type":"sriov","name":"net-a"})");
  EXPECT_EQ(made->devices[2].chain, (std::vector<ChainLink>{{"vfio", R"({"iommu":true})"}}));
  EXPECT_TRUE(made->changes_machine());
}

TEST_F(PlanTest, EntriesThatAreSmallAloneMayBeTooLargeTogether) {
  vfio_.check = nullptr;
  const Json half = {{"text", std::string(6000, 'x')}};
  const auto made = plan_one({config_of("FromClass", {}, {{"modules", {{"vfio", half}}}}),
                              config_of("FromClaim", {}, {{"modules", {{"vhost", half}}}})});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().to_string(),
              ::testing::MatchesRegex(
                  ".*: the merged VfConfig has 12[0-9]* bytes, the API takes 10240 — hint: shorten "
                  "the parameters of `modules`"));
}

TEST_F(PlanTest, SharedClaimsHaveNoPod) {
  auto made = plan(claim_object(kClaim, {result_of("main", "0000-08-00-0")}, Json::array(),
                                {reserved_for("pod-a"), reserved_for("pod-b")}));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->pod_uid, std::nullopt);
  made = plan(claim_object(kClaim, {result_of("main", "0000-08-00-0")}, Json::array(),
                           {{{"apiGroup", "scheduling.k8s.io"},
                             {"resource", "podgroups"},
                             {"name", "g"},
                             {"uid", "group-uid"}}}));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->pod_uid, std::nullopt) << "a consumer that is no pod";
}

TEST(NetworkConfig, IsTakenVerbatim) {
  const std::string text = "{ \"type\": \"sriov\" ,  \"vlan\": 5 }";
  const auto config = network_config(testing::net_attach_def("a", "b", text));
  ASSERT_TRUE(config);
  EXPECT_EQ(*config, text);
}

TEST(NetworkConfig, IsRefusedWithTheReason) {
  EXPECT_EQ(network_config(testing::net_attach_def("a", "b", "")).error().message(),
            "spec.config is missing or empty");
  EXPECT_EQ(network_config(Json{{"spec", Json::object()}}).error().message(),
            "spec.config is missing or empty");
  EXPECT_EQ(network_config(Json("text")).error().message(), "spec.config is missing or empty");
  EXPECT_EQ(network_config(testing::net_attach_def("a", "b", "{")).error().message(),
            "spec.config is not valid JSON");
  EXPECT_EQ(network_config(testing::net_attach_def("a", "b", "[]")).error().message(),
            "spec.config is not a CNI configuration");
}

TEST(ClaimRefs, AreCheckedBeforeUse) {
  EXPECT_TRUE(check_claim_ref({"ns", "name.x", "11111111-2222"}));
  EXPECT_EQ(check_claim_ref({"ns", "name", "../x"}).error().message(),
            "the UID of the claim is not a UID");
  EXPECT_EQ(check_claim_ref({"..", "name", "u"}).error().message(),
            "the namespace of the claim is not an RFC 1123 label");
  EXPECT_EQ(check_claim_ref({"ns", "a/b", "u"}).error().message(),
            "the name of the claim is not an RFC 1123 subdomain");
}

}  // namespace
}  // namespace drasriov::claim
