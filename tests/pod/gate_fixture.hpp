// SPDX-License-Identifier: Apache-2.0
//
// A node with a gate that plays the runtime as the NRI specification orders its events: one at a time, Stop and Remove
// after a refused sandbox.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "host/pod/sandbox_gate.hpp"
#include "tests/claim/node.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::pod::testing {

using Kind = module::RuntimeEvent::Kind;

inline const std::string kVf = "0000-08-00-2";

inline module::Sandbox sandbox(const std::string& pod, const std::string& id) {
  module::Sandbox made;
  made.pod.uid = "uid-of-" + pod;
  made.pod.namespace_ = "tenant";
  made.pod.name = pod;
  made.pod.sandbox_id = id;
  made.netns_path = "/netns/" + id;
  return made;
}

class SandboxGateTest : public ::testing::Test {
 protected:
  SandboxGateTest() {
    settings_.retry_first = std::chrono::milliseconds(5);
    settings_.retry_longest = std::chrono::milliseconds(20);
    settings_.join_delay = std::chrono::milliseconds(5);
    settings_.background_budget = std::chrono::seconds(10);
  }
  ~SandboxGateTest() override { stop(); }

  void start() {
    ASSERT_TRUE(node_.start());
    gate_ = std::make_unique<SandboxGate>(*node_.journal);
    serve();
  }
  void serve() {
    gate_->serve(
        settings_,
        PodParts{
            *node_.queue, *node_.journal, *node_.attacher, log_,
            [this](const claim::Record& record) { node_.runner->tell_status(record); },
            [this](const claim::ClaimRef& claim, std::string reason, std::string message) {
              node_.runner->tell_warning(claim, std::move(reason), std::move(message));
            },
            [this](const claim::ClaimRef& claim) { return node_.runner->consumers_of(claim); }});
  }
  void stop() {
    if (node_.queue) node_.queue->stop();
    node_.stop();
    gate_.reset();
  }
  /// The process is killed and comes again; what the runtime knows, it tells again.
  void restart() {
    stop();
    start();
  }

  [[nodiscard]] std::future<Status> send_later(
      Kind kind, const module::Sandbox& of,
      std::chrono::milliseconds budget = std::chrono::seconds(10)) {
    module::RuntimeEvent event;
    event.kind = kind;
    event.source = "runtime-nri";
    event.sandbox = of;
    event.budget = budget;
    auto promise = std::make_shared<std::promise<Status>>();
    auto future = promise->get_future();
    last_event_ = gate_->submit(std::move(event),
                                [promise](const Status& status) { promise->set_value(status); });
    EXPECT_GT(last_event_, 0U);
    return future;
  }
  Status send(Kind kind, const module::Sandbox& of,
              std::chrono::milliseconds budget = std::chrono::seconds(10)) {
    return send_later(kind, of, budget).get();
  }
  void synchronise(std::vector<module::Sandbox> live) {
    module::RuntimeEvent event;
    event.kind = Kind::kSynchronised;
    event.source = "runtime-nri";
    event.sandboxes = std::move(live);
    std::optional<Status> answer;
    (void)gate_->submit(std::move(event), [&](const Status& status) { answer = status; });
    ASSERT_TRUE(answer && *answer) << "synchronised is answered at once";
  }

  /// A prepared claim of pod-a with VF 2 and a network.
  claim::ClaimRef prepared(int number = 1, const std::vector<int>& functions = {2},
                           const std::vector<std::string>& pods = {"pod-a"}) {
    claim::testing::Json reserved = claim::testing::Json::array();
    for (const std::string& pod : pods) reserved.push_back(claim::testing::reserved_for(pod));
    const claim::ClaimRef ref =
        node_.add_claim(number, functions, {{"netAttachDefName", "net-a"}}, reserved);
    const auto answer = node_.prepare(ref);
    EXPECT_TRUE(answer) << answer.error().to_string();
    return ref;
  }
  module::Sandbox started(const std::string& pod, const std::string& id) {
    auto made = sandbox(pod, id);
    node_.namespaces.put(made.netns_path);
    return made;
  }
  [[nodiscard]] std::vector<claim::Attachment> attachments(const claim::ClaimRef& claim) const {
    const auto record = node_.journal->find(claim.uid);
    return record ? record->devices.front().attachments : std::vector<claim::Attachment>();
  }
  [[nodiscard]] bool marked(const claim::ClaimRef& claim, const std::string& id) const {
    return std::filesystem::exists(node_.directory.path() / "attached" / claim.uid / id);
  }
  /// Waits for work that nobody is answered about.
  static bool eventually(const std::function<bool()>& condition) {
    const auto end = Deadline::after(std::chrono::seconds(10));
    while (!condition()) {
      if (end.expired()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  void expect_nothing_left(const claim::ClaimRef& claim) {
    EXPECT_THAT(node_.netconf.attached(), ::testing::IsEmpty());
    EXPECT_THAT(attachments(claim), ::testing::IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(node_.directory.path() / "attached" / claim.uid));
  }

  void expect_nothing_left_soon(const claim::ClaimRef& claim) {
    EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
    expect_nothing_left(claim);
  }

  claim::testing::Node node_;
  telemetry::KeptLog log_;
  PodSettings settings_;
  std::unique_ptr<SandboxGate> gate_;
  std::uint64_t last_event_ = 0;
};

}  // namespace drasriov::pod::testing
