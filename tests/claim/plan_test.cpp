// SPDX-License-Identifier: Apache-2.0
//
// From the claim's JSON to the Plan: precedence, names, chains, holders. Refusals: plan_refused_test.cpp.
#include "host/claim/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using testing::reserved_for;
using testing::result_of;
using testing::virtual_function;

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

TEST_F(PlanTest, TheInterfacesThatEveryPodHasAreNotReplaced) {
  for (const char* name : {"lo", "eth0"}) {
    const auto made = plan(one({{"ifName", name}, {"netAttachDefName", "net-a"}}));
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code(), Code::kInvalidArgument);
    EXPECT_EQ(made.error().to_string(),
              "request \"main\", device 0000-08-00-0: VfConfig.ifName \"" + std::string(name) +
                  "\" is the name of an interface that every pod has — hint: choose another one, "
                  "like net1, or leave ifName out");
    const auto unused = plan(one({{"ifName", name}}));
    ASSERT_TRUE(unused) << unused.error().to_string();
    EXPECT_EQ(unused->devices[0].interface_name, name);
  }
  settings_.interface_prefix = "eth";
  EXPECT_EQ(plan_one({})->devices[0].interface_name, "eth1");
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
