// SPDX-License-Identifier: Apache-2.0
//
// RuntimeLink against the real adaptation package of containerd and CRI-O, and the recorded bytes
// of such conversations.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "go_runtime.hpp"
#include "held_host.hpp"
#include "runtime_link.hpp"
#include "wire.hpp"

namespace drasriov::runtime_nri {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using sdk::EventKind;
using testing::GoRuntime;
using testing::HeldHost;

json pod(const std::string& id) {
  return {
      {"id", id},
      {"name", "web"},
      {"uid", "uid-" + id},
      {"namespace", "default"},
      {"labels", {{"app", "web"}}},
      {"annotations", {{"note", "text"}}},
      {"runtime_handler", "runc"},
      {"linux",
       {{"namespaces", {{{"type", "pid"}}, {{"type", "network"}, {"path", "/run/netns/" + id}}}},
        {"cgroup_parent", "/kubepods"}}},
      {"pid", 4711}};
}
std::string about(const char* what, const json& pod) {
  return json{{"do", what}, {"pod", pod}}.dump();
}
std::string create(const std::string& id, const std::string& sandbox) {
  return json{{"do", "create"},
              {"pod", pod(sandbox)},
              {"container", {{"id", id}, {"pod_sandbox_id", sandbox}, {"name", "app"}}}}
      .dump();
}

std::filesystem::path fixture(const std::string& version) {
  return std::filesystem::path(DRASRIOV_FIXTURES_DIR) / "nri" / (version + ".jsonl");
}

class NriAdaptation : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    program_ = GoRuntime::find(GetParam());
    if (!program_) GTEST_SKIP() << "nri-runtime is not there: run tests/nri/build " << GetParam();
  }
  void begin(const std::string& request_timeout, const std::string& record = {}) {
    runtime_.emplace(*program_, socket_, record, request_timeout);
  }
  void connect() {
    link_ = std::make_unique<RuntimeLink>(host_.host(), host_.runtime_events(), socket_,
                                          Session::Identity{.name = "sriov", .index = "10"},
                                          Backoff(1, 10ms, 10ms), request_timeout_ns_);
  }

  HeldHost host_;
  std::optional<std::filesystem::path> program_;
  std::string socket_ = (host_.root(sdk::Root::kData) / "nri.sock").string();
  std::atomic<std::int64_t> request_timeout_ns_ = 0;
  std::optional<GoRuntime> runtime_;
  std::unique_ptr<RuntimeLink> link_;
};

INSTANTIATE_TEST_SUITE_P(Versions, NriAdaptation, ::testing::Values("0.6", "0.12"),
                         [](const auto& row) {
                           return std::string(row.param) == "0.6" ? "StateChange" : "OwnCalls";
                         });

TEST_P(NriAdaptation, FollowsAPodThroughItsLife) {
  const bool recording = std::getenv("DRASRIOV_RECORD_NRI") != nullptr;
  const auto file = recording ? fixture(GetParam()) : host_.root(sdk::Root::kData) / "record";
  std::filesystem::create_directories(file.parent_path());
  begin("2s", file.native());
  const json known = pod("known");
  ASSERT_EQ(
      runtime_
          ->tell(json{{"do", "pods"},
                      {"pods", {known}},
                      {"containers", {{{"id", "c0"}, {"pod_sandbox_id", "known"}, {"state", 3}}}}}
                     .dump())
          .error,
      "");
  ASSERT_EQ(runtime_->tell(R"({"do": "start"})").error, "");
  connect();
  ASSERT_EQ(runtime_->tell(R"({"do": "await", "count": 1})").error, "");
  const auto synchronised = host_.event(0);
  ASSERT_TRUE(synchronised);
  EXPECT_EQ(synchronised->kind, EventKind::kSynchronised);
  EXPECT_EQ(synchronised->sandboxes, std::vector<std::string>{"known"});
  EXPECT_EQ(synchronised->containers, std::vector<std::string>{"c0"});
  EXPECT_EQ(request_timeout_ns_, 2'000'000'000);

  EXPECT_EQ(runtime_->tell(about("run", pod("s1"))).error, "");
  EXPECT_EQ(runtime_->tell(create("c1", "s1")).error, "");
  EXPECT_EQ(runtime_->tell(about("stop", pod("s1"))).error, "");
  EXPECT_EQ(runtime_->tell(about("remove", pod("s1"))).error, "");
  const EventKind kinds[] = {EventKind::kRunPodSandbox, EventKind::kCreateContainer,
                             EventKind::kStopPodSandbox, EventKind::kRemovePodSandbox};
  for (std::size_t i = 0; i < std::size(kinds); ++i) {
    const auto event = host_.event(i + 1);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, kinds[i]);
    EXPECT_EQ(event->sandbox, "s1");
    EXPECT_EQ(event->netns, "/run/netns/s1");
    EXPECT_GT(event->budget, 1s);
  }
  EXPECT_EQ(host_.event(2)->container, "c1");
  EXPECT_EQ(host_.count(), 5U);
}

TEST_P(NriAdaptation, ARefusalIsWhatThePodFailsWith) {
  host_.hold_hooks();
  host_.set_on_submit([](const HeldHost::Event& event) {
    if (event.kind == EventKind::kRunPodSandbox) {
      HeldHost::answer(event, sdk::Code::kUnavailable, "net1 of 0000:08:00.2 \xff is not there");
    }
  });
  begin("2s");
  ASSERT_EQ(runtime_->tell(R"({"do": "start"})").error, "");
  connect();
  ASSERT_EQ(runtime_->tell(R"({"do": "await", "count": 1})").error, "");
  const auto refused = runtime_->tell(about("run", pod("s1")));
  EXPECT_NE(refused.error.find("net1 of 0000:08:00.2 \xef\xbf\xbd is not there"), std::string::npos)
      << refused.error;
}

TEST_P(NriAdaptation, ALateHostFailsThePodAndThePluginStaysConnected) {
  host_.hold_hooks();
  begin("600ms");
  ASSERT_EQ(runtime_->tell(R"({"do": "start"})").error, "");
  connect();
  ASSERT_EQ(runtime_->tell(R"({"do": "await", "count": 1})").error, "");
  const auto late = runtime_->tell(about("run", pod("s1")));
  EXPECT_NE(late.error.find("the SR-IOV driver was not done within"), std::string::npos)
      << "a plugin without an answer is dropped and the pod starts: '" << late.error << "'";
  EXPECT_TRUE(host_.cancelled(1));
  HeldHost::answer(*host_.event(1));
  // Still connected: the next hook arrives.
  (void)runtime_->tell(about("run", pod("s2")));
  const auto next = host_.event(2);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->kind, EventKind::kRunPodSandbox);
  EXPECT_EQ(next->sandbox, "s2");
  HeldHost::answer(*next);
}

TEST_P(NriAdaptation, SynchronisesAgainWithARestartedRuntime) {
  begin("2s");
  ASSERT_EQ(runtime_->tell(R"({"do": "start"})").error, "");
  connect();
  ASSERT_EQ(runtime_->tell(R"({"do": "await", "count": 1})").error, "");
  ASSERT_EQ(runtime_->tell(R"({"do": "end"})").error, "");
  ASSERT_TRUE(host_.event(1));
  EXPECT_EQ(host_.event(1)->kind, EventKind::kDisconnected);
  ASSERT_EQ(runtime_->tell(json{{"do", "pods"}, {"pods", {pod("new")}}}.dump()).error, "");
  ASSERT_EQ(runtime_->tell(R"({"do": "start"})").error, "");
  ASSERT_EQ(runtime_->tell(R"({"do": "await", "count": 2})").error, "");
  const auto again = host_.event(2);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kind, EventKind::kSynchronised);
  EXPECT_EQ(again->sandboxes, std::vector<std::string>{"new"});
  EXPECT_EQ(runtime_->tell(about("run", pod("s1"))).error, "");
  EXPECT_EQ(host_.event(3)->sandbox, "s1");
}

TEST_P(NriAdaptation, SixMebibytesOfSandboxesArriveWholeOrInParts) {
  begin("20s");
  json pods = json::array();
  for (int i = 0; i < 600; ++i) {
    json one = pod("s" + std::to_string(i));
    one["annotations"]["padding"] = std::string(10000, 'x');
    pods.push_back(std::move(one));
  }
  ASSERT_EQ(runtime_->tell(json{{"do", "pods"}, {"pods", pods}}.dump()).error, "");
  ASSERT_EQ(runtime_->tell(R"({"do": "start"})").error, "");
  connect();
  ASSERT_EQ(runtime_->tell(R"({"do": "await", "count": 1})").error, "");
  const auto synchronised = host_.event(0);
  ASSERT_TRUE(synchronised);
  ASSERT_EQ(synchronised->sandboxes.size(), 600U);
  EXPECT_EQ(synchronised->sandboxes.back(), "s599");
  EXPECT_EQ(runtime_->tell(about("run", pod("late"))).error, "") << "the plugin is active";
  EXPECT_EQ(host_.event(1)->sandbox, "late");
}

class NriReplay : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Versions, NriReplay, ::testing::Values("0.6", "0.12"),
                         [](const auto& row) {
                           return std::string(row.param) == "0.6" ? "StateChange" : "OwnCalls";
                         });

TEST_P(NriReplay, TheRecordedRuntimeGetsTheRecordedAnswers) {
  std::ifstream file(fixture(GetParam()));
  ASSERT_TRUE(file) << fixture(GetParam());
  std::string from_runtime;
  std::string from_plugin;
  for (std::string line; std::getline(file, line);) {
    const json entry = json::parse(line);
    (entry.at("from") == "runtime" ? from_runtime : from_plugin) +=
        testing::unhex(entry.at("bytes").get<std::string>());
  }
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, from_runtime.size()}) {
    const Session::Clock::time_point now{1000s};
    Session session({.name = "sriov", .index = "10"}, now);
    std::vector<EventKind> hooks;
    for (std::size_t i = 0; i < from_runtime.size(); i += piece) {
      ASSERT_TRUE(session.receive(from_runtime.substr(i, piece), now));
      for (auto& event : session.take_events()) {
        if (const auto* synchronised = std::get_if<Session::Synchronised>(&event)) {
          ASSERT_EQ(synchronised->sandboxes.size(), 1U);
          EXPECT_EQ(synchronised->sandboxes[0].pod.uid, "uid-known");
          EXPECT_TRUE(synchronised->containers.at(0).running);
        } else if (const auto* hook = std::get_if<Session::Hook>(&event)) {
          hooks.push_back(hook->event.kind);
          EXPECT_EQ(hook->event.sandbox.netns_path, "/run/netns/s1");
          EXPECT_TRUE(session.answer(hook->token, sdk::Code::kOk, {}));
        }
      }
    }
    EXPECT_EQ(hooks, (std::vector{EventKind::kRunPodSandbox, EventKind::kCreateContainer,
                                  EventKind::kStopPodSandbox, EventKind::kRemovePodSandbox}));
    // What that runtime took from us then.
    EXPECT_EQ(session.output(), from_plugin);
  }
}

}  // namespace
}  // namespace drasriov::runtime_nri
