// SPDX-License-Identifier: Apache-2.0
//
// The registry over static tables: roles in list order, contradictions of the list, start and stop.
#include "host/module/module_registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/module/scripted_module.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::module {
namespace {

using config::FailurePolicy;
using config::ModuleEntry;
using telemetry::KeptLog;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RegistryTest : public ::testing::Test {
 protected:
  /// Entries of the scripted module by these names.
  [[nodiscard]] static std::vector<ModuleEntry> entries(std::initializer_list<const char*> names) {
    std::vector<ModuleEntry> list;
    for (const char* name : names) list.push_back({.name = name, .module = "builtin:scripted"});
    return list;
  }

  [[nodiscard]] auto load(const std::vector<ModuleEntry>& list) {
    return ModuleRegistry::load(list, services_,
                                {.files = {}, .static_modules = {{"scripted", &table_}}});
  }

  [[nodiscard]] std::string refusal(const std::vector<ModuleEntry>& list) {
    auto registry = load(list);
    return registry ? "it was loaded" : registry.error().to_string();
  }

  void own(std::vector<drasriov_string> fields) {
    fields_ = std::move(fields);
    table_.claim_fields = fields_.data();
    table_.claim_field_count = fields_.size();
  }

  KeptLog log_;
  telemetry::Metrics metrics_{log_};
  HostServices services_{MachinePaths{}, log_, metrics_};
  testing::Scripts scripts_;
  drasriov_module_table table_ = testing::scripted_table();
  std::vector<drasriov_string> fields_;
};

TEST_F(RegistryTest, RolesInListOrder) {
  scripts_["a"].discovery = testing::scripted_discovery();
  scripts_["b"].binding = testing::scripted_binding();
  scripts_["c"].discovery = testing::scripted_discovery();
  scripts_["c"].binding = testing::scripted_binding();
  scripts_["d"].cdi = testing::scripted_cdi();
  scripts_["e"].netconf = testing::scripted_netconf();
  scripts_["f"].runtime_hooks = testing::scripted_runtime_hooks();
  const auto registry = load(entries({"a", "b", "c", "d", "e", "f"}));
  ASSERT_TRUE(registry) << registry.error().to_string();
  const Modules& modules = (*registry)->modules();
  const auto names = [](const auto& role) {
    std::vector<std::string> out;
    for (const auto* module : role) out.push_back(module->instance());
    return out;
  };
  EXPECT_THAT(names(modules.discovery), ElementsAre("a", "c"));
  EXPECT_THAT(names(modules.binding), ElementsAre("b", "c"));
  EXPECT_THAT(names(modules.runtime_hooks), ElementsAre("f"));
  ASSERT_NE(modules.cdi, nullptr);
  EXPECT_EQ(modules.cdi->instance(), "d");
  ASSERT_NE(modules.netconf, nullptr);
  EXPECT_EQ(modules.netconf->instance(), "e");
  EXPECT_THAT((*registry)->states().at(2).capabilities, ElementsAre("discovery/1", "binding/1"));
}

TEST_F(RegistryTest, StartsInOrderStopsAndDestroysInReverse) {
  for (const char* name : {"a", "b"}) scripts_[name].discovery = testing::scripted_discovery();
  {
    const auto registry = load(entries({"a", "b"}));
    ASSERT_TRUE(registry);
    ASSERT_TRUE((*registry)->start());
    EXPECT_EQ((*registry)->states().at(1).phase, ModuleState::Phase::kStarted);
    (*registry)->stop(std::chrono::seconds(30), [](const std::string&) { FAIL(); });
  }
  EXPECT_THAT(scripts_.journal, ElementsAre("create a", "create b", "start a", "start b", "stop b",
                                            "stop a", "destroy b", "destroy a"));
}

TEST_F(RegistryTest, AFailedStartStopsTheOthersAgain) {
  for (const char* name : {"a", "b", "c"}) scripts_[name].discovery = testing::scripted_discovery();
  scripts_["b"].on_start = [&](drasriov_error* error) {
    scripts_["b"].fail(error, DRASRIOV_UNAVAILABLE, "socket /run/nri.sock: Connection refused",
                       "start the runtime");
    return DRASRIOV_UNAVAILABLE;
  };
  const auto registry = load(entries({"a", "b", "c"}));
  ASSERT_TRUE(registry);
  const auto status = (*registry)->start();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kUnavailable);
  EXPECT_EQ(status.error().to_string(),
            "module b: socket /run/nri.sock: Connection refused — hint: start the runtime");
  EXPECT_THAT(scripts_.journal,
              ElementsAre("create a", "create b", "create c", "start a", "start b", "stop a"));
}

TEST_F(RegistryTest, IgnoreLeavesOutAModuleThatDoesNotStart) {
  for (const char* name : {"a", "b"}) scripts_[name].discovery = testing::scripted_discovery();
  scripts_["a"].on_start = [](drasriov_error*) { return DRASRIOV_NOT_FOUND; };
  auto list = entries({"a", "b"});
  list[0].failure_policy = FailurePolicy::kIgnore;
  const auto registry = load(list);
  ASSERT_TRUE(registry);
  const Modules& modules = (*registry)->modules();
  EXPECT_EQ(modules.discovery.size(), 2U);
  ASSERT_TRUE((*registry)->start());
  ASSERT_EQ(modules.discovery.size(), 1U);
  EXPECT_EQ(modules.discovery[0]->instance(), "b");
  EXPECT_EQ((*registry)->states()[0].phase, ModuleState::Phase::kFailed);
  EXPECT_EQ((*registry)->states()[0].error->to_string(),
            "module a: start failed with NOT_FOUND and no message — hint: look for log lines of "
            "module a; its vendor "
            "should call set_error");
  EXPECT_TRUE(log_.contains("starting without module a (failurePolicy Ignore): "));
  EXPECT_THAT(scripts_.journal,
              ElementsAre("create a", "create b", "start a", "destroy a", "start b"));
}

TEST_F(RegistryTest, TwoOwnersOfOneClaimField) {
  own({to_abi("driver"), to_abi("addVhostMount")});
  for (const char* name : {"binding-vfio", "acme-bind"})
    scripts_[name].binding = testing::scripted_binding();
  EXPECT_EQ(refusal(entries({"binding-vfio", "acme-bind"})),
            "modules binding-vfio and acme-bind both own the claim field driver — hint: set "
            "enabled: false on the one "
            "that is to be replaced");
  // A contradiction of the list is not the fault of one module: the policy does not help.
  auto list = entries({"binding-vfio", "acme-bind"});
  list[1].failure_policy = FailurePolicy::kIgnore;
  EXPECT_THAT(refusal(list), HasSubstr("both own the claim field"));
  list[1].enabled = false;
  EXPECT_EQ(refusal(list), "it was loaded");
}

TEST_F(RegistryTest, TwoCdiModulesAndTwoNetconfModules) {
  scripts_["cdi"].cdi = testing::scripted_cdi();
  scripts_["acme-cdi"].cdi = testing::scripted_cdi();
  EXPECT_EQ(refusal(entries({"cdi", "acme-cdi"})),
            "modules cdi and acme-cdi both offer cdi/1, and only one can be enabled — hint: set "
            "enabled: false on all "
            "but one");
  scripts_["cni"].netconf = testing::scripted_netconf();
  scripts_["acme-cni"].netconf = testing::scripted_netconf();
  EXPECT_EQ(refusal(entries({"cni", "acme-cni"})),
            "modules cni and acme-cni both offer netconf/1, and only one can be enabled — hint: "
            "set enabled: false on "
            "all but one");
}

TEST_F(RegistryTest, ClaimFieldsNeedABindingModuleAndAName) {
  own({to_abi("driver")});
  scripts_["a"].discovery = testing::scripted_discovery();
  EXPECT_EQ(refusal(entries({"a"})),
            "module a: it owns claim field driver, but has no binding/1 to act on it — hint: "
            "report it to the module's "
            "vendor");
  own({to_abi("../driver")});
  EXPECT_THAT(refusal(entries({"a"})), HasSubstr("its claim field \"../driver\" is no field name"));
}

TEST_F(RegistryTest, AModuleWithoutAKnownCapability) {
  EXPECT_EQ(refusal(entries({"a"})),
            "module a: it offers no capability that this host knows — hint: use a newer "
            "dra-driver-sriov, or disable the "
            "module");
}

TEST_F(RegistryTest, MandatoryMembersOfEveryCapability) {
  const auto refused = [&](auto set) {
    testing::Script& script = scripts_["a"] = testing::Script{};
    set(script);
    return refusal(entries({"a"}));
  };
  EXPECT_THAT(
      refused([](auto& s) { (s.discovery = testing::scripted_discovery()).scan = nullptr; }),
      HasSubstr("mandatory member scan of capability discovery/1 is null or outside struct_size"));
  EXPECT_THAT(
      refused([](auto& s) { (s.binding = testing::scripted_binding()).snapshot = nullptr; }),
      HasSubstr("mandatory member snapshot of capability binding/1"));
  EXPECT_THAT(refused([](auto& s) { (s.binding = testing::scripted_binding()).prepare = nullptr; }),
              HasSubstr("mandatory member prepare of capability binding/1"));
  EXPECT_THAT(
      refused([](auto& s) { (s.binding = testing::scripted_binding()).unprepare = nullptr; }),
      HasSubstr("mandatory member unprepare of capability binding/1"));
  EXPECT_THAT(
      refused([](auto& s) { (s.netconf = testing::scripted_netconf()).validate = nullptr; }),
      HasSubstr("mandatory member validate of capability netconf/1"));
  EXPECT_THAT(refused([](auto& s) { (s.netconf = testing::scripted_netconf()).add = nullptr; }),
              HasSubstr("mandatory member add of capability netconf/1"));
  EXPECT_THAT(refused([](auto& s) { (s.netconf = testing::scripted_netconf()).del = nullptr; }),
              HasSubstr("mandatory member del of capability netconf/1"));
  EXPECT_THAT(refused([](auto& s) { (s.cdi = testing::scripted_cdi()).write_spec = nullptr; }),
              HasSubstr("mandatory member write_spec of capability cdi/1"));
  EXPECT_THAT(refused([](auto& s) { (s.cdi = testing::scripted_cdi()).remove_spec = nullptr; }),
              HasSubstr("mandatory member remove_spec of capability cdi/1"));
  EXPECT_THAT(refused([](auto& s) { (s.cdi = testing::scripted_cdi()).list_specs = nullptr; }),
              HasSubstr("mandatory member list_specs of capability cdi/1"));
  EXPECT_THAT(refused([](auto& s) {
                (s.runtime_hooks = testing::scripted_runtime_hooks()).set_events = nullptr;
              }),
              HasSubstr("mandatory member set_events of capability runtime-hooks/1"));
  // A table that is too short has the member in memory, but must not be believed.
  EXPECT_THAT(
      refused([](auto& s) {
        s.binding = testing::scripted_binding();
        s.binding.struct_size = offsetof(drasriov_binding_v1, unprepare);
      }),
      HasSubstr(
          "mandatory member unprepare of capability binding/1 is null or outside struct_size"));
}

TEST_F(RegistryTest, OptionalMembersOutsideTheStructAreNotCalled) {
  scripts_["a"].discovery = testing::scripted_discovery();
  scripts_["a"].discovery.struct_size = offsetof(drasriov_discovery_v1, enrich);
  scripts_["a"].on_enrich = [](auto*, auto*) -> drasriov_status {
    ADD_FAILURE() << "called";
    return DRASRIOV_OK;
  };
  const auto registry = load(entries({"a"}));
  ASSERT_TRUE(registry);
  device::Device device;
  EXPECT_TRUE((*registry)->modules().discovery[0]->enrich({}, device));
  EXPECT_EQ((*registry)->modules().discovery[0]->watch([] {}).error().code(), Code::kUnimplemented);
}

TEST_F(RegistryTest, ExpectedCapabilitiesOfAStaticModule) {
  scripts_["a"].discovery = testing::scripted_discovery();
  auto list = entries({"a"});
  list[0].capabilities = {"binding/1"};
  EXPECT_EQ(refusal(list),
            "module a: the configuration expects binding/1, the module offers only discovery/1 — "
            "hint: choose the right "
            "module file, or correct capabilities of the module");
}

TEST_F(RegistryTest, BrokenSchemas) {
  scripts_["a"].discovery = testing::scripted_discovery();
  table_.config_schema = to_abi(R"({"oneOf":[]})");
  EXPECT_THAT(refusal(entries({"a"})),
              HasSubstr("module a: its config_schema: schema: keyword \"oneOf\" is not supported"));
  table_.config_schema = {};
  table_.claim_schema = to_abi("{");
  EXPECT_EQ(refusal(entries({"a"})), "module a: its claim_schema: schema: is no JSON");
}

}  // namespace
}  // namespace drasriov::module
