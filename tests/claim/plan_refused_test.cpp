// SPDX-License-Identifier: Apache-2.0
//
// Each claim that is refused before anything is touched, with its whole sentence.
#include <gtest/gtest.h>

#include <string>

#include "tests/claim/plan_fixture.hpp"

namespace drasriov::claim {
namespace {

using testing::admin;
using testing::claim_object;
using testing::config_of;
using testing::Json;
using testing::kCaseName;
using testing::kClaim;
using testing::one;
using testing::PlanTest;
using testing::result_of;
using testing::with;

struct RefusedCase {
  const char* name;
  Json object;
  Code code;
  const char* message;  ///< whole sentence

  friend void PrintTo(const RefusedCase& refused, std::ostream* out) { *out << refused.name; }
};

class Refused : public PlanTest, public ::testing::WithParamInterface<RefusedCase> {};

TEST_P(Refused, WithTheSentence) {
  const auto made = plan(GetParam().object);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().to_string(), GetParam().message);
  EXPECT_EQ(made.error().code(), GetParam().code);
}

constexpr const char* kParameters = "/status/allocation/devices/config/0/opaque/parameters";

// Not among the cases below: every test of this program would make and copy them.
TEST_F(PlanTest, ParametersAreBoundedInSizeAndDepth) {
  Json deep = Json::object();
  for (int i = 0; i < 1000; ++i) {
    Json outer = Json::object();
    outer["a"] = std::move(deep);
    deep = std::move(outer);
  }
  for (const Json& object : {with(one({}), kParameters, std::string(1U << 20U, 'x')),
                             one({{"modules", {{"vfio", std::move(deep)}}}})}) {
    const auto made = plan(object);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().to_string(),
              "status.allocation.devices.config[0].opaque.parameters: larger than 10240 bytes or "
              "nested deeper than 16 levels");
    EXPECT_EQ(made.error().code(), Code::kInvalidArgument);
  }
}

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
            "gpu.example.com — hint: let a request's DeviceClass select device.driver == "
            "\"sriovnetwork.openshift.io\", or correct driverName of the driver"},
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
                    "pool is \"node-1\" — hint: the pool is the node's name: correct nodeName of "
                    "the driver if it is "
                    "not kubelet's, else delete the pod, so that the scheduler chooses again"},
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

}  // namespace
}  // namespace drasriov::claim
