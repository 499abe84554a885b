// SPDX-License-Identifier: Apache-2.0
//
// What crosses the ABI in both directions: errors, requests, sinks, events, thread rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "host/module/device_convert.hpp"
#include "tests/module/adapters_fixture.hpp"

namespace drasriov::module {
namespace {

using device::Device;
using testing::AdaptersTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::sample_device;

// --- errors --------------------------------------------------------------------------------------

TEST_F(AdaptersTest, AModulesErrorKeepsCodeMessageAndHint) {
  const Error error = scan_error([&](auto*, auto*, drasriov_error* out) {
    script_.fail(out, DRASRIOV_UNAVAILABLE, "/sys/bus/pci: No such file or directory",
                 "mount sysfs");
    return DRASRIOV_UNAVAILABLE;
  });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_TRUE(error.retryable());
  EXPECT_EQ(error.to_string(),
            "module acme: /sys/bus/pci: No such file or directory — hint: mount sysfs");
}

TEST_F(AdaptersTest, AFailureWithoutMessageGetsASentence) {
  const Error error =
      scan_error([](auto*, auto*, auto*) { return DRASRIOV_DATA_LOSS; }, {.id = "scan/3"});
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_EQ(error.to_string(),
            "module acme: scan failed with DATA_LOSS and no message — hint: look for log lines of "
            "module acme (call "
            "scan/3); its vendor should call set_error");
}

TEST_F(AdaptersTest, ANumberThatIsNoStatus) {
  for (const drasriov_status status : {17, -1, 1000}) {
    const Error error = scan_error([&](auto*, auto*, drasriov_error* out) {
      script_.fail(out, DRASRIOV_ABORTED, "gave up");
      return status;
    });
    EXPECT_EQ(error.code(), Code::kInternal);
    EXPECT_EQ(error.message(), "module acme: scan returned " + std::to_string(status) +
                                   ", which is no status code: gave up");
  }
}

TEST_F(AdaptersTest, TheReturnedCodeCountsAndTheLastMessage) {
  const Error error = scan_error([&](auto*, auto*, drasriov_error* out) {
    script_.fail(out, DRASRIOV_ABORTED, "first");
    script_.fail(out, DRASRIOV_NOT_FOUND, "second\xff\nline");
    return DRASRIOV_PERMISSION_DENIED;
  });
  EXPECT_EQ(error.code(), Code::kPermissionDenied);
  EXPECT_EQ(error.message(), "module acme: second\xef\xbf\xbd line");
}

TEST_F(AdaptersTest, SuccessWithAnErrorIsSuccessAndAWarning) {
  script_.on_scan = [&](auto*, auto*, drasriov_error* out) {
    script_.fail(out, DRASRIOV_ABORTED, "half of it");
    return DRASRIOV_OK;
  };
  EXPECT_TRUE(discovery().scan({}));
  EXPECT_TRUE(log_.contains("module acme: scan succeeded, but left an error: half of it"));
}

TEST_F(AdaptersTest, AnExceptionEndsAtTheBoundary) {
  const Error error =
      scan_error([](auto*, auto*, auto*) -> drasriov_status { throw std::runtime_error("oops"); });
  EXPECT_EQ(error.code(), Code::kInternal);
  EXPECT_EQ(error.message(), "module acme: scan threw an exception: oops");
  EXPECT_EQ(scan_error([](auto*, auto*, auto*) -> drasriov_status { throw 7; }).message(),
            "module acme: scan threw an exception");
}

TEST_F(AdaptersTest, TheCallObject) {
  bool cancelled = false;
  const std::function<bool()> is_cancelled = [&] { return cancelled; };
  const Deadline deadline = Deadline::after(std::chrono::seconds(9));
  script_.on_scan = [&](const drasriov_call* call, auto*, auto*) {
    EXPECT_EQ(script_.table->call_deadline_ns(call), deadline.when().time_since_epoch().count());
    EXPECT_EQ(to_view(script_.table->call_id(call)), "scan/9");
    EXPECT_EQ(script_.table->call_is_cancelled(call), 0);
    cancelled = true;
    EXPECT_EQ(script_.table->call_is_cancelled(call), 1);
    return DRASRIOV_OK;
  };
  EXPECT_TRUE(discovery().scan({.deadline = deadline, .id = "scan/9", .cancelled = &is_cancelled}));
  script_.on_scan = [&](const drasriov_call* call, auto*, auto*) {
    EXPECT_EQ(script_.table->call_deadline_ns(call), INT64_MAX);
    EXPECT_EQ(script_.table->call_is_cancelled(call), 0);
    return DRASRIOV_OK;
  };
  EXPECT_TRUE(discovery().scan({}));
}

// --- binding ---------------------------------------------------------------------------------------

class KeptPreparation final : public PrepareSink {
 public:
  Status put_state(std::string_view state) override {
    if (fail_state)
      return Error(Code::kResourceExhausted, "write journal: No space left on device");
    states.emplace_back(state);
    return {};
  }
  Status add_edits(std::string_view json) override {
    edits.emplace_back(json);
    return {};
  }
  void set_fact(std::string_view key, std::string_view value) override {
    facts.emplace_back(key, value);
  }

  bool fail_state = false;
  std::vector<std::string> states;
  std::vector<std::string> edits;
  std::vector<std::pair<std::string, std::string>> facts;
};

class BindingAdapterTest : public AdaptersTest {
 protected:
  const Device device_ = sample_device();
  const std::vector<Consumer> consumers_ = {{"pods", "web", "u-2"}};
  const BindingRequest request_ = {.claim_namespace = "team",
                                   .claim_name = "nic",
                                   .claim_uid = "u-1",
                                   .request = "main/sub",
                                   .device = &device_,
                                   .config_json = R"({"driver":"vfio-pci"})",
                                   .parameters_json = R"({"speed":1})",
                                   .netconf_json = "",
                                   .consumers = &consumers_};
  KeptPreparation sink_;
};

TEST_F(BindingAdapterTest, TheRequestArrivesWhole) {
  script_.on_prepare = [&](const drasriov_binding_request* request, drasriov_bytes snapshot, auto*,
                           auto*) {
    EXPECT_EQ(request->struct_size, sizeof(drasriov_binding_request));
    EXPECT_EQ(to_view(request->claim_namespace), "team");
    EXPECT_EQ(to_view(request->claim_name), "nic");
    EXPECT_EQ(to_view(request->claim_uid), "u-1");
    EXPECT_EQ(to_view(request->request), "main/sub");
    EXPECT_EQ(to_view(request->config_json), R"({"driver":"vfio-pci"})");
    EXPECT_EQ(to_view(request->parameters_json), R"({"speed":1})");
    EXPECT_EQ(to_view(request->netconf_json), "");
    EXPECT_EQ(request->consumer_count, 1U);
    EXPECT_EQ(to_view(request->consumers[0].uid), "u-2");
    EXPECT_EQ(device_from_abi(request->device)->device, device_);
    EXPECT_EQ(to_view(snapshot), std::string_view("\0snap", 5));
    return DRASRIOV_OK;
  };
  EXPECT_TRUE(binding().prepare({}, request_, std::string_view("\0snap", 5), sink_));
  EXPECT_EQ(*binding().snapshot({}, request_), "snapshot of 0000-08-00-2");
  EXPECT_TRUE(binding().settle({}, request_, ""));
  EXPECT_TRUE(binding().unprepare({}, request_, "", ""));
  EXPECT_EQ(binding().adopt({}, request_).error().code(), Code::kUnimplemented);
}

TEST_F(BindingAdapterTest, StateGoesThroughAtOnceTheRestOnSuccess) {
  script_.on_prepare = [&](auto*, auto, const drasriov_prepare_sink* sink, auto*) {
    EXPECT_EQ(sink->put_state(sink->context, to_abi_bytes("one")), DRASRIOV_OK);
    EXPECT_THAT(sink_.states, ElementsAre("one"));
    EXPECT_EQ(sink->add_edits(sink->context, to_abi(R"({"env":["A=1"]})")), DRASRIOV_OK);
    sink->set_fact(sink->context, to_abi("vdpa"), to_abi("vdpa0"));
    EXPECT_THAT(sink_.edits, IsEmpty());
    EXPECT_THAT(sink_.facts, IsEmpty());
    return DRASRIOV_OK;
  };
  ASSERT_TRUE(binding().prepare({}, request_, "", sink_));
  EXPECT_THAT(sink_.edits, ElementsAre(R"({"env":["A=1"]})"));
  EXPECT_THAT(sink_.facts, ElementsAre(Pair("vdpa", "vdpa0")));
}

TEST_F(BindingAdapterTest, AFailedPrepareLeavesNoEditsAndNoFacts) {
  script_.on_prepare = [&](auto*, auto, const drasriov_prepare_sink* sink, auto*) {
    (void)sink->add_edits(sink->context, to_abi("{}"));
    sink->set_fact(sink->context, to_abi("vdpa"), to_abi("vdpa0"));
    return DRASRIOV_UNAVAILABLE;
  };
  ASSERT_FALSE(binding().prepare({}, request_, "", sink_));
  EXPECT_THAT(sink_.edits, IsEmpty());
  EXPECT_THAT(sink_.facts, IsEmpty());
}

// A module that does not look at put_state's code must not pass for prepared: undo would miss its state.
TEST_F(BindingAdapterTest, AFailureOfTheSinkFailsThePrepare) {
  sink_.fail_state = true;
  script_.on_prepare = [&](auto*, auto, const drasriov_prepare_sink* sink, auto*) {
    EXPECT_EQ(sink->put_state(sink->context, to_abi_bytes("one")), DRASRIOV_RESOURCE_EXHAUSTED);
    return DRASRIOV_OK;
  };
  auto status = binding().prepare({}, request_, "", sink_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
  EXPECT_EQ(status.error().message(), "module acme: write journal: No space left on device");

  script_.on_prepare = [&](auto*, auto, const drasriov_prepare_sink* sink, auto*) {
    EXPECT_EQ(sink->add_edits(sink->context, to_abi("[]")), DRASRIOV_INVALID_ARGUMENT);
    return DRASRIOV_OK;
  };
  status = binding().prepare({}, request_, "", sink_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(), "module acme: its containerEdits are no JSON object");

  script_.on_prepare = [&](auto*, auto, const drasriov_prepare_sink* sink, auto*) {
    sink->set_fact(sink->context, to_abi(""), to_abi("x"));
    return DRASRIOV_OK;
  };
  EXPECT_FALSE(binding().prepare({}, request_, "", sink_));
}

TEST_F(BindingAdapterTest, HandlesIsTheModulesOrTheFields) {
  EXPECT_TRUE(binding().handles(request_, true));
  EXPECT_FALSE(binding().handles(request_, false));
  script_.binding.handles = [](drasriov_module*,
                               const drasriov_binding_request* request) -> int32_t {
    return to_view(request->claim_name) == "nic" ? 1 : 0;
  };
  EXPECT_TRUE(binding().handles(request_, false));
  BindingRequest other = request_;
  other.claim_name = "other";
  EXPECT_FALSE(binding().handles(other, true));
}

TEST_F(BindingAdapterTest, ClaimParametersAgainstTheSchema) {
  EXPECT_EQ(binding().check_parameters(R"({"x":1})").error().to_string(),
            "modules.acme: unknown key \"x\" — hint: no keys are allowed here");
  registry_.reset();
  table_.claim_schema =
      to_abi(R"({"properties":{"speed":{"enum":[1,10]}},"additionalProperties":false})");
  EXPECT_TRUE(binding().check_parameters("{}"));
  EXPECT_TRUE(binding().check_parameters(R"({"speed":10})"));
  EXPECT_EQ(binding().check_parameters(R"({"speed":2})").error().to_string(),
            "modules.acme.speed: 2 is not allowed — hint: allowed: 1, 10");
}

// --- netconf, cdi ------------------------------------------------------------------------------------

TEST_F(BindingAdapterTest, NetconfAndCdi) {
  Netconf& netconf = *modules().netconf;
  const Pod pod = {.uid = "u-2", .namespace_ = "team", .name = "web", .sandbox_id = "s-1"};
  const NetconfRequest request = {.config_json = "{}",
                                  .container_id = "s-1",
                                  .interface_name = "net1",
                                  .device = &device_,
                                  .pod = &pod};
  const auto result = netconf.add({}, request);
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, R"({"ifname":"net1","pod":"web","device":"0000-08-00-2"})");
  EXPECT_FALSE(netconf.parallel_safe());
  EXPECT_EQ(netconf.check({}, request).error().code(), Code::kUnimplemented);
  EXPECT_TRUE(netconf.validate({}, {.config_json = "{}"}));
  EXPECT_TRUE(netconf.status({}, request));
  EXPECT_TRUE(netconf.gc({}, "{}", {{"s-1", "net1"}}));
  EXPECT_TRUE(netconf.del({}, request));

  EXPECT_TRUE(modules().cdi->write_spec({}, "vendor/class", "u-1", "{}"));
  EXPECT_THAT(*modules().cdi->list_specs({}, "vendor/class"), ElementsAre("vendor/class"));
  EXPECT_TRUE(modules().cdi->remove_spec({}, "vendor/class", "u-1"));
}

// --- runtime events ------------------------------------------------------------------------------------

class KeptEvents final : public RuntimeEvents {
 public:
  std::uint64_t submit(RuntimeEvent event, Reply reply) override {
    events.push_back(std::move(event));
    replies.push_back(std::move(reply));
    return events.size();
  }
  void cancel(std::uint64_t id) override { cancelled.push_back(id); }

  std::vector<RuntimeEvent> events;
  std::vector<Reply> replies;
  std::vector<std::uint64_t> cancelled;
};

struct Answer {
  int count = 0;
  drasriov_status code = -1;
  std::string message;

  static void take(void* context, drasriov_status code, drasriov_string message) {
    auto& self = *static_cast<Answer*>(context);
    ++self.count;
    self.code = code;
    self.message = to_view(message);
  }
};

TEST_F(AdaptersTest, RuntimeEventsAreCopiedAndAnsweredOnce) {
  KeptEvents events;
  modules().runtime_hooks.at(0)->set_events(events);
  ASSERT_NE(script_.events, nullptr);

  const drasriov_pair label = {to_abi("app"), to_abi("web")};
  drasriov_pod pod = {};
  pod.struct_size = sizeof(pod);
  pod.uid = to_abi("u-2");
  pod.namespace_ = to_abi("team");
  pod.name = to_abi("web");
  pod.sandbox_id = to_abi("s-1");
  pod.labels = &label;
  pod.label_count = 1;
  // A newer module's sandbox is longer: the stride carries it.
  struct Longer {
    drasriov_sandbox sandbox;
    uint64_t more;
  };
  std::array<Longer, 2> sandboxes = {};
  for (auto& longer : sandboxes) {
    longer.sandbox.struct_size = sizeof(Longer);
    longer.sandbox.pod = &pod;
    longer.sandbox.netns_path = to_abi("/run/netns/x");
  }
  sandboxes[1].sandbox.pid = 77;
  drasriov_runtime_event event = {};
  event.struct_size = sizeof(event);
  event.kind = DRASRIOV_EVENT_SYNCHRONISED;
  event.budget_ns = 2'000'000'000;
  event.sandboxes = &sandboxes[0].sandbox;
  event.sandbox_count = 2;
  event.sandbox_stride = sizeof(Longer);
  Answer answer;
  EXPECT_EQ(script_.events->submit(script_.host, &event, Answer::take, &answer), 1U);
  ASSERT_EQ(events.events.size(), 1U);
  const RuntimeEvent& copied = events.events[0];
  EXPECT_EQ(copied.kind, RuntimeEvent::Kind::kSynchronised);
  EXPECT_EQ(copied.source, "acme");
  EXPECT_EQ(copied.budget, std::chrono::seconds(2));
  ASSERT_EQ(copied.sandboxes.size(), 2U);
  EXPECT_EQ(copied.sandboxes[1].pid, 77);
  EXPECT_THAT(copied.sandboxes[1].pod.labels, ElementsAre(Pair("app", "web")));

  EXPECT_EQ(answer.count, 0);
  events.replies[0](Error(Code::kUnavailable, "device busy", "wait"));
  EXPECT_EQ(answer.count, 1);
  EXPECT_EQ(answer.code, DRASRIOV_UNAVAILABLE);
  EXPECT_EQ(answer.message, "device busy — hint: wait");
  script_.events->cancel(script_.host, 1);
  EXPECT_THAT(events.cancelled, ElementsAre(1U));
}

TEST_F(AdaptersTest, AMalformedRuntimeEventIsAnsweredByTheAdapter) {
  KeptEvents events;
  modules().runtime_hooks.at(0)->set_events(events);
  drasriov_runtime_event event = {};
  event.struct_size = sizeof(event);
  event.kind = DRASRIOV_EVENT_RUN_POD_SANDBOX;  // without sandbox
  Answer answer;
  const uint64_t id = script_.events->submit(script_.host, &event, Answer::take, &answer);
  EXPECT_GT(id, 0U);
  EXPECT_EQ(answer.count, 1);
  EXPECT_EQ(answer.code, DRASRIOV_INVALID_ARGUMENT);
  EXPECT_THAT(answer.message, HasSubstr("runtime event is malformed: no or short sandbox"));
  script_.events->cancel(script_.host, id);
  event.kind = 99;
  (void)script_.events->submit(script_.host, &event, Answer::take, &answer);
  EXPECT_EQ(answer.count, 2);
  EXPECT_THAT(events.events, IsEmpty());
  EXPECT_THAT(events.cancelled, IsEmpty());
}

// --- thread rules --------------------------------------------------------------------------------------

#ifndef NDEBUG
TEST_F(AdaptersTest, TwoControlFunctionsAtOnceAbort) {
  script_.on_scan = [&](auto*, auto*, auto*) {
    (void)discovery().scan({});
    return DRASRIOV_OK;
  };
  EXPECT_DEATH((void)discovery().scan({}),
               "module acme: \\[control\\] function scan was called while scan is running");
}

TEST_F(BindingAdapterTest, TwoWorkersForOneDeviceAbort) {
  script_.on_prepare = [&](auto*, auto, auto*, auto*) {
    BindingRequest other = request_;
    other.claim_uid = "u-9";
    (void)binding().snapshot({}, other);
    return DRASRIOV_OK;
  };
  EXPECT_DEATH((void)binding().prepare({}, request_, "", sink_),
               "module acme: \\[worker\\] function snapshot was called while a call for device "
               "0000-08-00-2 is running");
}
#endif

TEST_F(BindingAdapterTest, WorkersForOtherClaimsAndDevicesRunTogether) {
  script_.on_prepare = [&](auto*, auto, auto*, auto*) {
    Device other_device = device_;
    other_device.name = "other";
    BindingRequest other = request_;
    other.claim_uid = "u-9";
    other.device = &other_device;
    EXPECT_TRUE(binding().snapshot({}, other));
    return DRASRIOV_OK;
  };
  EXPECT_TRUE(binding().prepare({}, request_, "", sink_));
}

}  // namespace
}  // namespace drasriov::module
