// SPDX-License-Identifier: Apache-2.0
//
// Session against a runtime that is only bytes and a clock that the test turns.
#include "session.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "wire.hpp"

namespace drasriov::runtime_nri {
namespace {

using namespace std::chrono_literals;
using testing::mux;
using testing::TestContainer;
using testing::TestPod;
using testing::Written;

class NriSession : public ::testing::Test {
 protected:
  /// What the session wrote since the last call, read as Go reads it.
  std::vector<Written> written() {
    auto messages = reader_.feed(std::exchange(session_.output(), {}));
    EXPECT_EQ(reader_.problem(), "");
    return messages;
  }
  Written only_answer() {
    auto messages = written();
    EXPECT_EQ(messages.size(), 1U);
    return messages.empty() ? Written{} : messages.front();
  }
  sdk::Status call(std::string_view method, std::string_view payload,
                   std::chrono::nanoseconds timeout = 2s) {
    stream_ += 2;
    return session_.receive(mux(1, testing::request_frame(stream_, method, payload, timeout)),
                            now_);
  }
  void handshake(std::string_view version = "v9.9.9") {
    ASSERT_EQ(written().size(), 1U);
    ASSERT_TRUE(session_.receive(mux(2, testing::response_frame(1)), now_));
    ASSERT_TRUE(call("Configure", testing::configure_request("containerd", 5000, 2000, version)));
    ASSERT_TRUE(call("Synchronize", testing::synchronize_request({}, {})));
    ASSERT_EQ(written().size(), 2U);
    ASSERT_EQ(session_.take_events().size(), 2U);
  }
  /// The one hook that the session told since the last call.
  std::optional<Session::Hook> hook() {
    auto events = session_.take_events();
    EXPECT_EQ(events.size(), 1U);
    if (events.size() != 1 || !std::holds_alternative<Session::Hook>(events[0])) return {};
    return std::get<Session::Hook>(std::move(events[0]));
  }

  Session::Clock::time_point now_{1000s};
  Session session_{{.name = "sriov", .index = "10"}, now_};
  testing::GoReader reader_;
  std::uint32_t stream_ = UINT32_MAX;  // the first call is stream 1
};

TEST_F(NriSession, RegistersThenSubscribesThenIsSynchronised) {
  const Written registration = only_answer();
  EXPECT_EQ(registration.connection, 2U);
  EXPECT_EQ(registration.stream, 1U);
  EXPECT_EQ(registration.method, "RegisterPlugin");
  EXPECT_EQ(registration.payload,
            "\x0a\x05sriov\x12\x02"
            "10");

  ASSERT_TRUE(session_.receive(mux(2, testing::response_frame(1)), now_));
  ASSERT_TRUE(call("Configure", testing::configure_request("containerd", 5000, 30000)));
  const Written subscription = only_answer();
  EXPECT_EQ(subscription.connection, 1U);
  EXPECT_EQ(subscription.stream, 1U);
  EXPECT_EQ(subscription.code, 0);
  EXPECT_EQ(subscription.payload, "\x10\x0f") << "Run, Stop, Remove, CreateContainer";
  auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<Session::Configured>(events[0]).request.request_timeout, 30s);
  EXPECT_FALSE(session_.synchronised());

  ASSERT_TRUE(call("Synchronize", testing::synchronize_request({TestPod{}}, {TestContainer{}})));
  EXPECT_EQ(only_answer().payload, "");
  EXPECT_TRUE(session_.synchronised());
  events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<Session::Synchronised>(events[0]).sandboxes.size(), 1U);
  EXPECT_EQ(std::get<Session::Synchronised>(events[0]).containers.size(), 1U);
  EXPECT_EQ(session_.next_deadline(), Session::Clock::time_point::max());
}

TEST_F(NriSession, TheAnswerToRegisterPluginMayComeLast) {
  (void)written();
  ASSERT_TRUE(call("Configure", testing::configure_request()));
  ASSERT_TRUE(call("Synchronize", testing::synchronize_request({}, {})));
  EXPECT_EQ(written().size(), 2U);
  ASSERT_TRUE(session_.receive(mux(2, testing::response_frame(1)), now_));
  EXPECT_TRUE(session_.synchronised());
}

TEST_F(NriSession, ARefusedRegistrationEndsIt) {
  const std::string refusal = testing::unhex("0a09080312056e6f205646");
  const auto status = session_.receive(mux(2, testing::response_frame(1, refusal)), now_);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message().find("no VF"), std::string::npos);
}

TEST_F(NriSession, PartsOfASynchronizeAreAnsweredAtOnceAndPutTogether) {
  (void)written();
  ASSERT_TRUE(call("Configure", testing::configure_request()));
  (void)written();
  (void)session_.take_events();
  TestPod second;
  second.id = "cafe02";
  ASSERT_TRUE(call("Synchronize", testing::synchronize_request({TestPod{}}, {}, true)));
  EXPECT_EQ(only_answer().payload, "\x10\x01");
  ASSERT_TRUE(call("Synchronize", testing::synchronize_request({second}, {}, true)));
  EXPECT_EQ(only_answer().payload, "\x10\x01");
  EXPECT_FALSE(session_.synchronised());
  EXPECT_TRUE(session_.take_events().empty());
  ASSERT_TRUE(call("Synchronize", testing::synchronize_request({}, {TestContainer{}})));
  EXPECT_EQ(only_answer().payload, "");
  auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  const auto& whole = std::get<Session::Synchronised>(events[0]);
  ASSERT_EQ(whole.sandboxes.size(), 2U);
  EXPECT_EQ(whole.sandboxes[1].pod.sandbox_id, "cafe02");
  EXPECT_EQ(whole.containers.size(), 1U);
}

TEST_F(NriSession, SixMebibytesFromAnOldRuntime) {
  (void)written();
  ASSERT_TRUE(call("Configure", testing::configure_request("containerd", 0, 0)));
  (void)session_.take_events();
  std::vector<TestPod> pods(1200);
  for (std::size_t i = 0; i < pods.size(); ++i) {
    pods[i].id = std::to_string(i);
    pods[i].annotations["padding"] = std::string(6000, 'x');
  }
  const std::string body = testing::synchronize_request(pods, {});
  ASSERT_GT(body.size(), 6U << 20);
  ASSERT_TRUE(session_.receive(
      testing::mux_in_pieces(1, testing::request_frame(3, "Synchronize", body), 4096), now_));
  auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<Session::Synchronised>(events[0]).sandboxes.size(), pods.size());
}

TEST_F(NriSession, BothFormsOfAHookAreTheSameEvent) {
  handshake();
  const struct {
    std::string_view method;
    int number;
    sdk::EventKind kind;
  } rows[] = {{"RunPodSandbox", 1, sdk::EventKind::kRunPodSandbox},
              {"StopPodSandbox", 2, sdk::EventKind::kStopPodSandbox},
              {"RemovePodSandbox", 3, sdk::EventKind::kRemovePodSandbox}};
  for (const auto& row : rows) {
    for (const bool dedicated : {true, false}) {
      ASSERT_TRUE(dedicated ? call(row.method, testing::hook_request(TestPod{}))
                            : call("StateChange", testing::state_change(row.number, TestPod{})));
      const auto told = hook();
      ASSERT_TRUE(told);
      EXPECT_EQ(told->event.kind, row.kind);
      EXPECT_EQ(told->event.budget, 2s);
      EXPECT_EQ(told->event.sandbox.pod.uid, "1234-uid");
      EXPECT_EQ(told->event.sandbox.netns_path, "/var/run/netns/cni-1");
      EXPECT_TRUE(written().empty()) << "the host has not answered yet";
      ASSERT_TRUE(session_.answer(told->token, sdk::Code::kOk, {}));
      const Written answer = only_answer();
      EXPECT_EQ(answer.stream, stream_);
      EXPECT_EQ(answer.code, 0);
      EXPECT_FALSE(session_.answer(told->token, sdk::Code::kOk, {})) << "a second answer";
    }
  }
}

TEST_F(NriSession, CreateContainerCarriesItsContainerAndARefusalItsReason) {
  handshake();
  ASSERT_TRUE(call("CreateContainer", testing::hook_request(TestPod{}, TestContainer{})));
  const auto told = hook();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->event.kind, sdk::EventKind::kCreateContainer);
  EXPECT_EQ(told->event.container.id, "c1");
  EXPECT_EQ(told->event.container.sandbox_id, "cafe01");
  ASSERT_TRUE(session_.answer(told->token, sdk::Code::kUnavailable, "net1 \xff is not there"));
  const Written answer = only_answer();
  EXPECT_EQ(answer.code, 14);
  EXPECT_EQ(answer.message, "net1 \xef\xbf\xbd is not there");
}

/// The runtime's answer code when the host refuses a sandbox.
int refused_sandbox(RefuseAt refuse_at, std::string_view version) {
  const Session::Clock::time_point now{1000s};
  Session session({.name = "sriov", .index = "10", .refuse_at = refuse_at}, now);
  testing::GoReader reader;
  const auto call = [&](std::uint32_t stream, std::string_view method, std::string_view payload) {
    EXPECT_TRUE(session.receive(mux(1, testing::request_frame(stream, method, payload)), now));
  };
  call(1, "Configure", testing::configure_request("containerd", 5000, 2000, version));
  call(3, "Synchronize", testing::synchronize_request({}, {}));
  call(5, "RunPodSandbox", testing::hook_request(TestPod{}));
  EXPECT_TRUE(session.answer(1, sdk::Code::kUnavailable, "no VF"));
  const auto messages = reader.feed(session.output());
  EXPECT_FALSE(messages.empty());
  return messages.empty() ? -1 : messages.back().code;
}

TEST(NriRefusal, IsAtTheSandboxUnlessTheRuntimeKeepsItOrTheConfigurationSaysSo) {
  EXPECT_EQ(refused_sandbox(RefuseAt::kAuto, "v2.3.3"), 14);
  EXPECT_EQ(refused_sandbox(RefuseAt::kAuto, "v2.1.9"), 0);
  EXPECT_EQ(refused_sandbox(RefuseAt::kSandbox, "v2.1.9"), 14);
  EXPECT_EQ(refused_sandbox(RefuseAt::kContainer, "v2.3.3"), 0);
}

TEST(NriRefusal, RuntimesThatKeepRefusedSandboxes) {
  for (const char* version : {"v2.0.0", "2.0.11", "2.1.9+unknown", "v2.1.5-k3s1", "2.1.9~ds1",
                              "v2.2.0-rc.1", "v2.2.5", "2.3.2"})
    EXPECT_TRUE(keeps_refused_sandboxes("containerd", version)) << version;
  for (const char* version :
       {"1.7.34", "v1.6.20~ds1", "v2.2.6", "v2.2.10", "2.3.3", "v2.4.0-beta.0", "v3.0.0",
        "v0.0.0-test", "", "v", "2", "2.1", "2.1.", "2.x.1", "devel", "2.99999999999999999999.1"})
    EXPECT_FALSE(keeps_refused_sandboxes("containerd", version)) << version;
  EXPECT_FALSE(keeps_refused_sandboxes("cri-o", "2.1.9"));
}

TEST_F(NriSession, OnlyTheSandboxOfARuntimeThatKeepsItGoesOn) {
  handshake("v2.1.9");
  for (const bool dedicated : {true, false}) {
    ASSERT_TRUE(dedicated ? call("RunPodSandbox", testing::hook_request(TestPod{}))
                          : call("StateChange", testing::state_change(1, TestPod{})));
    auto told = hook();
    ASSERT_TRUE(told);
    ASSERT_TRUE(session_.answer(told->token, sdk::Code::kUnavailable, "no VF"));
    EXPECT_EQ(only_answer().code, 0);
  }
  ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{}), 2s));
  ASSERT_TRUE(hook());
  ASSERT_TRUE(session_.expire(now_ + 1900ms));
  EXPECT_EQ(only_answer().code, 0) << "a late host";
  const auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Session::Late>(events[0]));

  ASSERT_TRUE(call("CreateContainer", testing::hook_request(TestPod{}, TestContainer{})));
  auto told = hook();
  ASSERT_TRUE(told);
  ASSERT_TRUE(session_.answer(told->token, sdk::Code::kUnavailable, "no VF"));
  EXPECT_EQ(only_answer().code, 14);
  ASSERT_TRUE(call("CreateContainer", testing::hook_request(TestPod{}, TestContainer{}), 2s));
  ASSERT_TRUE(hook());
  ASSERT_TRUE(session_.expire(now_ + 1900ms));
  EXPECT_EQ(only_answer().code, 4);
}

TEST_F(NriSession, ASandboxThatNobodyHearsOfGoesOnWhereItIsNotRefused) {
  handshake("v2.1.9");
  for (const char* method : {"RunPodSandbox", "StateChange"}) {
    ASSERT_TRUE(call(method, "\xff\xff\xff"));
    EXPECT_EQ(only_answer().code, 0) << method;
    const auto events = session_.take_events();
    ASSERT_EQ(events.size(), 1U) << method;
    EXPECT_NE(std::get<Session::Unheard>(events[0]).message.find("is not protobuf"),
              std::string::npos);
  }
  for (const char* method : {"StopPodSandbox", "CreateContainer"}) {
    ASSERT_TRUE(call(method, "\xff\xff\xff"));
    EXPECT_EQ(only_answer().code, 13) << method;
  }
  for (std::size_t i = 0; i < Session::kMaxPending; ++i)
    ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{})));
  EXPECT_TRUE(written().empty());
  (void)session_.take_events();
  ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{})));
  EXPECT_EQ(only_answer().code, 0);
  const auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_NE(std::get<Session::Unheard>(events[0]).message.find("1024 calls wait"),
            std::string::npos);
  ASSERT_TRUE(call("CreateContainer", testing::hook_request(TestPod{}, TestContainer{})));
  EXPECT_EQ(only_answer().code, 8);
}

TEST_F(NriSession, UnknownMethodsAndServicesAreUnimplemented) {
  handshake();
  ASSERT_TRUE(call("UpdateContainer", ""));
  Written answer = only_answer();
  EXPECT_EQ(answer.code, 12);
  EXPECT_EQ(answer.message, "method UpdateContainer");
  stream_ += 2;
  ASSERT_TRUE(session_.receive(
      mux(1, testing::request_frame(stream_, "Configure", "", 2s, "nri.pkg.api.v2.Plugin")), now_));
  answer = only_answer();
  EXPECT_EQ(answer.code, 12);
  EXPECT_EQ(answer.message, "service nri.pkg.api.v2.Plugin");
  // An event that we have not subscribed to is no error: the pod would fail.
  ASSERT_TRUE(call("StateChange", testing::state_change(6, TestPod{})));
  EXPECT_EQ(only_answer().code, 0);
  ASSERT_TRUE(call("Shutdown", ""));
  EXPECT_EQ(only_answer().code, 0);
  EXPECT_TRUE(session_.take_events().empty());
}

TEST_F(NriSession, ALateHostIsAnErrorBeforeTheRuntimesDeadline) {
  handshake();
  ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{}), 2s));
  const auto told = hook();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->runtime_deadline, now_ + 2s);
  EXPECT_EQ(session_.next_deadline(), now_ + 1900ms);
  ASSERT_TRUE(session_.expire(now_ + 1899ms));
  EXPECT_TRUE(written().empty());
  ASSERT_TRUE(session_.expire(now_ + 1900ms));
  const Written answer = only_answer();
  EXPECT_EQ(answer.stream, stream_);
  EXPECT_EQ(answer.code, 4);
  EXPECT_NE(answer.message.find("pod default/web: RunPodSandbox"), std::string::npos);
  EXPECT_NE(answer.message.find("1900 ms of the runtime's 2000 ms"), std::string::npos);
  auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<Session::Late>(events[0]).token, told->token);
  EXPECT_FALSE(session_.answer(told->token, sdk::Code::kOk, {}));
  EXPECT_TRUE(written().empty()) << "nothing is answered twice";
}

TEST_F(NriSession, AHookWithoutATimeoutHasTheConfiguredOne) {
  (void)written();
  ASSERT_TRUE(call("Configure", testing::configure_request("cri-o", 5000, 30000)));
  ASSERT_TRUE(call("Synchronize", testing::synchronize_request({}, {})));
  (void)session_.take_events();
  ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{}), 0s));
  const auto told = hook();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->event.budget, 30s);
  EXPECT_EQ(session_.next_deadline(), now_ + 28500ms);
}

TEST(NriReserve, FivePercentAtLeastATenthOfASecondAtMostHalf) {
  EXPECT_EQ(answer_reserve(2s), 100ms);
  EXPECT_EQ(answer_reserve(30s), 1500ms);
  EXPECT_EQ(answer_reserve(150ms), 75ms);
  EXPECT_EQ(answer_reserve(0s), 0s);
}

TEST_F(NriSession, ARuntimeThatNeverConfiguresOrSynchronisesIsLeft) {
  (void)written();
  EXPECT_TRUE(session_.expire(now_ + Session::kRegistrationPatience - 1ms));
  ASSERT_TRUE(call("Configure", testing::configure_request("containerd", 5000, 2000)));
  const auto limit = now_ + 5s + 2 * 2s + 5s;
  EXPECT_EQ(session_.next_deadline(), limit);
  EXPECT_TRUE(session_.expire(limit - 1ms));
  const auto status = session_.expire(limit);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(), "the runtime has not sent Synchronize in time");
}

TEST_F(NriSession, StreamsThatGoBackAreRefusedAndTheConnectionLives) {
  handshake();
  stream_ = 101;
  ASSERT_TRUE(session_.receive(mux(1, testing::request_frame(101, "Shutdown", "")), now_));
  for (const std::uint32_t stream : {101U, 99U, 200U}) {
    ASSERT_TRUE(session_.receive(mux(1, testing::request_frame(stream, "Shutdown", "")), now_));
  }
  const auto answers = written();
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0].code, 0);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(answers[i].code, 3);
  EXPECT_EQ(answers[3].stream, 200U);
}

TEST_F(NriSession, MalformedRequestsAreAnsweredAndTheConnectionLives) {
  handshake();
  ASSERT_TRUE(call("RunPodSandbox", "\xff\xff\xff"));
  EXPECT_EQ(only_answer().code, 13);
  ASSERT_TRUE(call("StateChange", "\x12\x7f"));
  EXPECT_EQ(only_answer().code, 13);
  ASSERT_TRUE(session_.receive(mux(1, testing::unhex("00000002000001010100ffff")), now_));
  EXPECT_EQ(only_answer().code, 3);
  ASSERT_TRUE(session_.receive(mux(1, testing::unhex("00000000000001030300")), now_));
  EXPECT_EQ(only_answer().code, 3) << "a data frame";
  EXPECT_TRUE(session_.take_events().empty());
}

TEST_F(NriSession, AFloodOfHooksIsBounded) {
  handshake();
  for (std::size_t i = 0; i < Session::kMaxPending; ++i) {
    ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{})));
  }
  EXPECT_EQ(session_.pending().size(), Session::kMaxPending);
  EXPECT_TRUE(written().empty());
  ASSERT_TRUE(call("RunPodSandbox", testing::hook_request(TestPod{})));
  EXPECT_EQ(only_answer().code, 8);
  EXPECT_EQ(session_.pending().size(), Session::kMaxPending);
}

TEST_F(NriSession, ARuntimeThatReadsNothingIsLeft) {
  handshake();
  sdk::Status status;
  for (int i = 0; i < 4000 && status; ++i) status = call(std::string(4000, 'm'), "");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), sdk::Code::kResourceExhausted);
}

}  // namespace
}  // namespace drasriov::runtime_nri
