// SPDX-License-Identifier: Apache-2.0
//
// From a class to the C table and back: every trampoline, what crosses it, and the wall that no
// exception passes.
#include <drasriov/sdk/testing/module_under_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "tests/sdk/sample_module.hpp"

namespace drasriov::sdk_test {
namespace {

using sdk::Code;
using sdk::Device;
using sdk::Status;
using sdk::testing::CapturedError;
using sdk::testing::ChangeCounter;
using sdk::testing::FakeCall;
using sdk::testing::FakeHost;
using sdk::testing::ModuleUnderTest;
using sdk::testing::RecordedPrepare;
using sdk::testing::RecordedScan;
using sdk::testing::TestBindingRequest;
using sdk::testing::TestNetconfRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr sdk::ModuleInfo kInfo{.name = "sample",
                                .version = "1.2.3",
                                .vendor = "tests",
                                .license = "Apache-2.0",
                                .min_host_abi = "1.0"};
constexpr drasriov_module_table kTable = sdk::make_module_table<SampleModule, kInfo>();

class ModuleTest : public ::testing::Test {
 protected:
  std::unique_ptr<ModuleUnderTest> make(std::string_view config = "{}") {
    auto module = ModuleUnderTest::create(kTable, host_, "sample-a", config);
    EXPECT_TRUE(module.ok()) << module.error().message();
    return std::move(module).value();
  }
  static TestBindingRequest request() {
    TestBindingRequest request(Device("0000-08-00-2").fact(DRASRIOV_FACT_DRIVER, "iavf"));
    request.consumers.push_back({.name = "pod", .uid = "u"});
    return request;
  }

  FakeHost host_;
};

TEST_F(ModuleTest, TableSaysWhatTheClassSays) {
  EXPECT_EQ(kTable.struct_size, sizeof(drasriov_module_table));
  EXPECT_EQ(kTable.abi_major, 1U);
  EXPECT_EQ(kTable.abi_minor, 0U);
  EXPECT_EQ(kTable.min_host_minor, 0U);
  EXPECT_EQ(sdk::from_abi(kTable.name), "sample");
  EXPECT_EQ(sdk::from_abi(kTable.version), "1.2.3");
  EXPECT_EQ(sdk::from_abi(kTable.config_schema), SampleModule::config_schema);
  EXPECT_EQ(sdk::from_abi(kTable.claim_schema), SampleModule::claim_schema);
  ASSERT_EQ(kTable.claim_field_count, 2U);
  EXPECT_EQ(sdk::from_abi(kTable.claim_fields[0]), "driver");
  EXPECT_EQ(sdk::from_abi(kTable.claim_fields[1]), "addVhostMount");
}

TEST_F(ModuleTest, CapabilitiesFollowFromTheConcepts) {
  const auto module = make();
  for (const char* id : {DRASRIOV_CAPABILITY_DISCOVERY_1, DRASRIOV_CAPABILITY_BINDING_1,
                         DRASRIOV_CAPABILITY_NETCONF_1, DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1,
                         DRASRIOV_CAPABILITY_CDI_1}) {
    const auto* first = module->capability<void>(id);
    EXPECT_NE(first, nullptr) << id;
    EXPECT_EQ(first, module->capability<void>(id)) << id;
  }
  EXPECT_EQ(module->capability<void>("discovery/2"), nullptr);
  EXPECT_EQ(module->capability<void>(""), nullptr);
}

/// The smallest module: everything optional is absent from its tables.
class OnlyScan {
 public:
  OnlyScan(sdk::Host, std::string_view, std::string_view) {}
  Status scan(const sdk::Call&, sdk::DeviceSink&) { return {}; }
};

TEST_F(ModuleTest, OptionalMembersAreNullWhenTheClassLacksThem) {
  static constexpr drasriov_module_table kSmall = sdk::make_module_table<OnlyScan, kInfo>();
  EXPECT_EQ(kSmall.start, nullptr);
  EXPECT_EQ(kSmall.stop, nullptr);
  EXPECT_EQ(kSmall.claim_fields, nullptr);
  EXPECT_EQ(kSmall.config_schema.size, 0U);
  const auto module = ModuleUnderTest::create(kSmall, host_).value();
  const auto* discovery =
      module->capability<drasriov_discovery_v1>(DRASRIOV_CAPABILITY_DISCOVERY_1);
  ASSERT_NE(discovery, nullptr);
  EXPECT_NE(discovery->scan, nullptr);
  EXPECT_EQ(discovery->enrich, nullptr);
  EXPECT_EQ(discovery->watch, nullptr);
  EXPECT_EQ(module->capability<void>(DRASRIOV_CAPABILITY_BINDING_1), nullptr);
}

TEST_F(ModuleTest, InstancesAreIndependent) {
  const auto one = make();
  const auto two = make();
  ASSERT_NE(one->handle(), two->handle());
  ASSERT_TRUE(one->write_spec("v/c", "a", "{}").ok());
  EXPECT_THAT(one->list_specs("v/c").value(), ElementsAre("a"));
  EXPECT_THAT(two->list_specs("v/c").value(), ElementsAre());
}

// ---- errors and exceptions ----

TEST_F(ModuleTest, CreatePassesTheModulesErrorOn) {
  const auto module = ModuleUnderTest::create(kTable, host_, "a", R"({"create":"refuse"})");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(module.error().message(), "the sample is out of order");
  EXPECT_EQ(module.error().hint(), "repair it");
}

TEST_F(ModuleTest, CreateWrapsExceptionsOfConstruction) {
  const auto module = ModuleUnderTest::create(kTable, host_, "a", R"({"create":"throw"})");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().code(), Code::kInternal);
  EXPECT_EQ(module.error().message(), "create: unexpected exception: no luck");
  EXPECT_THAT(module.error().hint(), HasSubstr("vendor"));
}

TEST_F(ModuleTest, CreateWrapsWhatIsNoException) {
  const auto module = ModuleUnderTest::create(kTable, host_, "a", R"({"create":"throwInt"})");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().message(), "create: unexpected exception: not a std::exception");
}

TEST_F(ModuleTest, CreateRefusesWhatIsNoJson) {
  const auto module = ModuleUnderTest::create(kTable, host_, "a", "[]");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(module.error().message(), "the configuration is not a JSON object");
}

/// Every function that returns a status, by name.
struct Function {
  const char* name;
  Status (*call)(ModuleUnderTest&);

  friend void PrintTo(const Function& function, std::ostream* out) { *out << function.name; }
};

template <class T>
Status status_of(const sdk::Result<T>& result) {
  return result ? Status() : Status(result.error());
}

class StatusFunctions : public ModuleTest, public ::testing::WithParamInterface<Function> {};

TEST_P(StatusFunctions, PassesTheErrorOn) {
  const auto module = make(std::string(R"({"failIn":")") + GetParam().name + R"("})");
  const Status status = GetParam().call(*module);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kUnavailable);
  EXPECT_EQ(status.error().message(), std::string(GetParam().name) + " is busy");
  EXPECT_EQ(status.error().hint(), "wait");
}

TEST_P(StatusFunctions, TurnsAnExceptionIntoAnError) {
  const auto module = make(std::string(R"({"throwIn":")") + GetParam().name + R"("})");
  const Status status = GetParam().call(*module);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kInternal);
  EXPECT_EQ(status.error().message(),
            std::string(GetParam().name) + ": unexpected exception: thrown by sample-a");
}

INSTANTIATE_TEST_SUITE_P(
    All, StatusFunctions,
    ::testing::Values(
        Function{"start", [](ModuleUnderTest& m) { return m.start(); }},
        Function{"scan",
                 [](ModuleUnderTest& m) {
                   RecordedScan to;
                   return m.scan(to);
                 }},
        Function{"enrich",
                 [](ModuleUnderTest& m) {
                   RecordedScan to;
                   return m.enrich(Device("d").string("pciAddress", "x"), to);
                 }},
        Function{"watch",
                 [](ModuleUnderTest& m) {
                   ChangeCounter changes;
                   return m.watch(changes);
                 }},
        Function{"snapshot",
                 [](ModuleUnderTest& m) {
                   TestBindingRequest request(Device("d"));
                   return status_of(m.snapshot(request));
                 }},
        Function{"adopt",
                 [](ModuleUnderTest& m) {
                   TestBindingRequest request(Device("d"));
                   return status_of(m.adopt(request));
                 }},
        Function{"prepare",
                 [](ModuleUnderTest& m) {
                   TestBindingRequest request(Device("d"));
                   RecordedPrepare to;
                   return m.prepare(request, "", to);
                 }},
        Function{"unprepare",
                 [](ModuleUnderTest& m) {
                   TestBindingRequest request(Device("d"));
                   return m.unprepare(request, "", "");
                 }},
        Function{"settle",
                 [](ModuleUnderTest& m) {
                   TestBindingRequest request(Device("d"));
                   return m.settle(request, "");
                 }},
        Function{"validate",
                 [](ModuleUnderTest& m) {
                   TestNetconfRequest request;
                   return m.validate(request);
                 }},
        Function{"add",
                 [](ModuleUnderTest& m) {
                   TestNetconfRequest request;
                   return status_of(m.add(request));
                 }},
        Function{"del",
                 [](ModuleUnderTest& m) {
                   TestNetconfRequest request;
                   return m.del(request);
                 }},
        Function{"check",
                 [](ModuleUnderTest& m) {
                   TestNetconfRequest request;
                   return m.check(request);
                 }},
        Function{"status",
                 [](ModuleUnderTest& m) {
                   TestNetconfRequest request;
                   return m.status(request);
                 }},
        Function{"gc", [](ModuleUnderTest& m) { return m.gc("{}", {}); }},
        Function{"write_spec", [](ModuleUnderTest& m) { return m.write_spec("k", "i", "{}"); }},
        Function{"remove_spec", [](ModuleUnderTest& m) { return m.remove_spec("k", "i"); }},
        Function{"list_specs", [](ModuleUnderTest& m) { return status_of(m.list_specs("k")); }}),
    [](const auto& param) { return std::string(param.param.name); });

TEST_F(ModuleTest, ExceptionsOfFunctionsWithoutStatusAreLogged) {
  for (const char* function : {"stop", "handles", "set_events", "request_timeout", "reply"}) {
    FakeHost host;
    {
      const auto module =
          ModuleUnderTest::create(kTable, host, "sample-a",
                                  std::string(R"({"throwIn":")") + function + R"("})")
              .value();
      ASSERT_TRUE(module->start().ok());
      ASSERT_TRUE(module->set_events().ok());
      auto request = ModuleTest::request();
      // A module that cannot say takes part, so that prepare fails instead of nothing happening.
      EXPECT_EQ(module->handles(request).value(), std::string_view(function) == "handles");
      EXPECT_EQ(module->request_timeout().value().count(),
                std::string_view(function) == "request_timeout" ? 0 : 2'000'000'000);
      module->stop();
    }
    ASSERT_EQ(host.logs().size(), 1U) << function;
    EXPECT_EQ(host.logs()[0].level, sdk::Level::kError);
    EXPECT_EQ(host.logs()[0].value("function"), function);
    EXPECT_EQ(host.logs()[0].value("exception"), "thrown by sample-a");
  }
}

TEST_F(ModuleTest, LongExceptionTextIsCutNotOverrun) {
  CapturedError error;
  const std::string text(4096, 'x');
  const drasriov_status code =
      sdk::detail::report_exception(FakeHost::table(), error.handle(), "scan", text.c_str());
  EXPECT_EQ(code, DRASRIOV_INTERNAL);
  EXPECT_EQ(error.message.size(), 511U);
  EXPECT_EQ(error.message.substr(0, 28), "scan: unexpected exception: ");
}

// ---- what crosses ----

TEST_F(ModuleTest, DevicesCrossWithEveryKindOfValue) {
  const auto module = make();
  RecordedScan found;
  const FakeCall call{.id = "scan/1"};
  ASSERT_TRUE(module->scan(found, call).ok());
  ASSERT_EQ(found.devices.size(), 2U);
  const Device expected = Device("0000-08-00-2", DRASRIOV_DEVICE_VF)
                              .parent("0000-08-00-0")
                              .integer("vfID", 2)
                              .boolean("linkUp", true)
                              .string("pciAddress", "0000:08:00.2")
                              .version("firmware", "1.2.3")
                              .integers("queues", {4, 8})
                              .booleans("flags", {true, false})
                              .strings("labels", {"a", "b"})
                              .versions("versions", {{"1.0.0"}, {"2.0.0"}})
                              .capacity("bandwidth", "25G")
                              .fact(DRASRIOV_FACT_DRIVER, "iavf");
  EXPECT_TRUE(found.devices[0] == expected);
  EXPECT_TRUE(found.devices[1] == Device("0000-08-00-3"));
  EXPECT_THAT(found.problems, ElementsAre(sdk::Entry{"0000:08:00.4", "vanished"}));
  ASSERT_EQ(host_.logs().size(), 1U);
  EXPECT_EQ(host_.logs()[0].message, "scanned");
  EXPECT_EQ(host_.logs()[0].call_id, "scan/1");
}

TEST_F(ModuleTest, EnrichSeesTheDeviceAndAddsToIt) {
  const auto module = make();
  RecordedScan found;
  ASSERT_TRUE(
      module->enrich(Device("d", DRASRIOV_DEVICE_PF).string("pciAddress", "0000:08:00.0"), found)
          .ok());
  ASSERT_EQ(found.devices.size(), 1U);
  EXPECT_EQ(found.devices[0].kind(), DRASRIOV_DEVICE_PF);
  EXPECT_EQ(*found.devices[0].attribute("seen"), sdk::Value(std::string("0000:08:00.0")));
}

TEST_F(ModuleTest, WatchNotifies) {
  const auto module = make();
  ChangeCounter changes;
  ASSERT_TRUE(module->watch(changes).ok());
  EXPECT_EQ(changes.count(), 2);
}

TEST_F(ModuleTest, BindingRoundTrip) {
  const auto module = make();
  auto request = ModuleTest::request();
  request.config_json = R"({"driver":"vfio-pci"})";
  request.parameters_json = R"({"p":1})";
  request.netconf_json = R"({"type":"sriov"})";
  const auto snapshot = module->snapshot(request);
  ASSERT_TRUE(snapshot.ok());
  EXPECT_EQ(*snapshot, "iavf");
  RecordedPrepare results;
  ASSERT_TRUE(module->prepare(request, *snapshot, results).ok());
  EXPECT_EQ(results.state(), "made");
  EXPECT_THAT(results.edits, ElementsAre(R"({"env":["A=b"]})"));
  EXPECT_THAT(results.facts,
              ElementsAre(std::pair<const std::string, std::string>("netdev", "eth7")));
  const auto& sample = *sdk::detail::instance<SampleModule>(module->handle()).module;
  EXPECT_EQ(sample.last, R"(iavf/default/claim/11111111-2222-4333-8444-555555555555/vf/)"
                         R"({"driver":"vfio-pci"}/{"p":1}/{"type":"sriov"}/pods:pod:u)");
  EXPECT_TRUE(module->handles(request).value());
  ASSERT_TRUE(module->settle(request, "iavf").ok());
  EXPECT_EQ(module->adopt(request).value(), "adopted iavf");
  ASSERT_TRUE(module->unprepare(request, "iavf", results.state()).ok());
  EXPECT_EQ(sample.last, "iavf/made");
}

TEST_F(ModuleTest, AnEmptySnapshotIsNotPut) {
  const auto module = make();
  TestBindingRequest request(Device("without-driver"));
  EXPECT_EQ(module->snapshot(request).value(), "");
}

TEST_F(ModuleTest, StateThatIsNotDurableStopsPrepare) {
  const auto module = make();
  auto request = ModuleTest::request();
  RecordedPrepare results;
  results.state_outcome = Code::kResourceExhausted;
  const Status status = module->prepare(request, "", results);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(results.edits.empty());
  EXPECT_TRUE(results.facts.empty());
}

TEST_F(ModuleTest, ModulesSeeCancellationAndDeadline) {
  const auto module = make();
  auto request = ModuleTest::request();
  RecordedPrepare results;
  FakeCall cancelled;
  cancelled.cancelled = true;
  EXPECT_EQ(module->prepare(request, "", results, cancelled).error().code(), Code::kCancelled);
  FakeCall late;
  late.deadline = sdk::Call::Clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(module->prepare(request, "", results, late).error().code(), Code::kDeadlineExceeded);
  FakeCall early;
  early.deadline = sdk::Call::Clock::now() + std::chrono::hours(1);
  EXPECT_TRUE(module->prepare(request, "", results, early).ok());
  EXPECT_EQ(host_.call(early).deadline(), *early.deadline);
  EXPECT_EQ(host_.call().deadline(), sdk::Call::Clock::time_point::max());
}

TEST_F(ModuleTest, NetconfRoundTrip) {
  const auto module = make();
  const auto* table = module->capability<drasriov_netconf_v1>(DRASRIOV_CAPABILITY_NETCONF_1);
  EXPECT_EQ(table->flags, DRASRIOV_NETCONF_PARALLEL_SAFE);
  TestNetconfRequest request;
  ASSERT_TRUE(module->validate(request).ok());
  const auto& sample = *sdk::detail::instance<SampleModule>(module->handle()).module;
  EXPECT_EQ(sample.last, "bare");
  request.device.emplace("vf");
  request.pod = sdk::Pod{.uid = "u",
                         .namespace_ = "ns",
                         .name = "pod",
                         .sandbox_id = "s",
                         .labels = {{"l", "1"}},
                         .annotations = {{"a", "2"}}};
  request.netns_path = "/run/netns/x";
  request.netns_fd = 9;
  request.args = {{"K", "V"}};
  EXPECT_EQ(module->add(request).value(), "sandbox/net1//run/netns/x/9/vf/ns/pod/u/s/K=V/l=1/a=2");
  request.result_json = R"({"cniVersion":"1.0.0"})";
  ASSERT_TRUE(module->del(request).ok());
  EXPECT_EQ(sample.last, request.result_json);
  EXPECT_TRUE(module->check(request).ok());
  EXPECT_TRUE(module->status(request).ok());
  ASSERT_TRUE(module
                  ->gc("{}", {{sdk::to_abi("s1"), sdk::to_abi("net1")},
                              {sdk::to_abi("s2"), sdk::to_abi("net2")}})
                  .ok());
  EXPECT_EQ(sample.last, "{}/s1:net1/s2:net2");
}

TEST_F(ModuleTest, RuntimeEventsCrossAndTheReplyComesOnce) {
  host_.set_answer([](const sdk::RuntimeEvent&) { return std::pair(Code::kAborted, "later"); });
  const auto module = make();
  ASSERT_TRUE(module->set_events().ok());
  const auto& sample = *sdk::detail::instance<SampleModule>(module->handle()).module;
  EXPECT_EQ(sample.last, "10:later");
  ASSERT_EQ(host_.submitted().size(), 1U);
  const sdk::RuntimeEvent event = host_.submitted()[0];
  EXPECT_EQ(event.kind, sdk::EventKind::kSynchronised);
  EXPECT_EQ(event.budget, std::chrono::seconds(2));
  ASSERT_EQ(event.sandboxes.size(), 2U);
  EXPECT_EQ(event.sandboxes[1].pod.name, "two");
  EXPECT_EQ(event.sandboxes[1].netns_path, "/run/netns/two");
  EXPECT_EQ(event.sandboxes[1].runtime_handler, "runc");
  EXPECT_EQ(event.sandboxes[1].pid, 42);
  EXPECT_THAT(event.sandboxes[0].pod.labels, ElementsAre(sdk::Entry{"app", "one"}));
  EXPECT_THAT(event.sandboxes[1].pod.annotations,
              ElementsAre(sdk::Entry{"note", "two"}, sdk::Entry{"x", "y"}));
  ASSERT_EQ(event.containers.size(), 1U);
  EXPECT_EQ(event.containers[0].name, "main");
  EXPECT_TRUE(event.containers[0].running);
  EXPECT_TRUE(event.sandbox.pod.uid.empty());
  EXPECT_THAT(host_.cancelled_events(), ElementsAre(1U));
}

TEST_F(ModuleTest, CdiRoundTrip) {
  const auto module = make();
  ASSERT_TRUE(module->write_spec("v/c", "a", "{}").ok());
  ASSERT_TRUE(module->write_spec("v/c", "b", "{}").ok());
  EXPECT_THAT(module->list_specs("v/c").value(), ElementsAre("a", "b"));
  ASSERT_TRUE(module->remove_spec("v/c", "a").ok());
  EXPECT_THAT(module->list_specs("v/c").value(), ElementsAre("b"));
  EXPECT_THAT(module->list_specs("other/c").value(), ElementsAre());
}

}  // namespace
}  // namespace drasriov::sdk_test
