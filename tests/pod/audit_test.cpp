// SPDX-License-Identifier: Apache-2.0
//
// What is done after a synchronisation behind everybody's back: CNI's GC and CHECK.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <set>

#include "host/base/durable_file.hpp"
#include "tests/pod/gate_fixture.hpp"

namespace drasriov::pod {
namespace {

using claim::ClaimRef;
using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Kind;
using testing::kVf;
using ::testing::Not;
using testing::SandboxGateTest;

/// The collections that the netconf module was asked for. What it keeps outlives it: work may still run.
class Collections {
 public:
  struct One {
    std::string config;
    std::set<std::string> alive;
  };
  explicit Collections(claim::testing::FakeNetconf& netconf, const Status& answer = {}) {
    netconf.on_gc(
        [kept = kept_, answer](std::string_view config, const std::set<std::string>& alive) {
          const std::lock_guard lock(kept->mutex);
          kept->all.push_back({std::string(config), alive});
          return answer;
        });
  }
  [[nodiscard]] std::vector<One> all() const {
    const std::lock_guard lock(kept_->mutex);
    return kept_->all;
  }

 private:
  struct Kept {
    std::mutex mutex;
    std::vector<One> all;
  };
  const std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

class AuditTest : public SandboxGateTest {
 protected:
  AuditTest() { settings_.audit_pause = milliseconds(1); }
};

TEST_F(AuditTest, WhatNobodyKnowsIsCollectedAfterASynchronisation) {
  Collections collections(node_.netconf);
  start();
  prepared(1, {2, 3});
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  EXPECT_THAT(collections.all(), IsEmpty()) << "only the runtime's word makes the records whole";
  synchronise({pod});
  ASSERT_TRUE(eventually([&] { return !collections.all().empty(); }));
  EXPECT_THAT(collections.all().front().config, HasSubstr("net-a"));
  EXPECT_EQ(collections.all().front().alive, (std::set<std::string>{"s1 vfnet0", "s1 vfnet1"}));
}

TEST_F(AuditTest, AuditsKeepTheirDistance) {
  settings_.audit_pause = std::chrono::hours(1);
  Collections collections(node_.netconf);
  start();
  prepared();
  std::promise<void> checked;
  std::promise<void> again;
  std::atomic<int> checks = 0;
  node_.netconf.on("check", [&](const module::Call&, const module::NetconfRequest&) {
    if (++checks == 1) checked.set_value();
    if (checks == 2) again.set_value();
    return Status();
  });
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  for (int i = 0; i < 5; ++i) synchronise({pod});
  ASSERT_EQ(checked.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  for (int i = 0; i < 5; ++i) synchronise({pod});
  EXPECT_EQ(again.get_future().wait_for(milliseconds(300)), std::future_status::timeout);
  node_.queue->stop();
  EXPECT_EQ(collections.all().size(), 1U);
}

TEST_F(AuditTest, ACollectionAndAnAttachWaitForEachOther) {
  start();
  prepared();
  std::mutex mutex;
  std::condition_variable entered;
  bool adding = false;
  bool collecting = false;
  bool met = false;
  const auto inside = [&](bool& mine, const bool& other) {
    std::unique_lock lock(mutex);
    mine = true;
    entered.notify_all();
    // Time for the other one, which must not come.
    (void)entered.wait_for(lock, milliseconds(200), [&] { return other; });
    met = met || other;
    mine = false;
    return Status();
  };
  std::atomic<int> collections = 0;
  node_.netconf.on("add", [&](const module::Call&, const module::NetconfRequest&) {
    return inside(adding, collecting);
  });
  node_.netconf.on_gc([&](std::string_view, const std::set<std::string>&) {
    ++collections;
    return inside(collecting, adding);
  });
  synchronise({});
  ASSERT_TRUE(eventually([&] { return collections > 0; }));
  const auto pod = started("pod-a", "s1");
  auto answer = send_later(Kind::kRunPodSandbox, pod);
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return adding;
  })) << "it has its turn after the collection";
  synchronise({pod});
  EXPECT_TRUE(answer.get());
  EXPECT_TRUE(eventually([&] { return collections > 1; })) << "tried until it has its turn";
  node_.queue->stop();
  EXPECT_FALSE(met);
}

TEST_F(AuditTest, WhatTheGoDriverAttachedIsNotCollected) {
  Collections collections(node_.netconf);
  start();
  const ClaimRef claim = prepared();
  auto record = std::make_shared<claim::Record>(*node_.journal->find(claim.uid));
  record->devices.front().adopted_edits_json = "{}";
  ASSERT_TRUE(node_.journal->write(record));
  synchronise({});
  EXPECT_TRUE(eventually([&] { return log_.contains("is not looked for"); }));
  EXPECT_THAT(collections.all(), IsEmpty());
}

TEST_F(AuditTest, ADamagedRecordsAttachmentIsCollectedWhenItsClaimIsReleased) {
  Collections collections(node_.netconf);
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  stop();
  const auto file = node_.claims() / (claim.uid + ".json");
  std::string text = *read_file(file);
  text.replace(text.find("\"sha256\":\"") + 10, 4, "0000");
  std::ofstream(file) << text;
  node_.quarantine_released = [this](const claim::Record& record) { gate_->released(record); };
  start();
  prepared(2, {5}, {"pod-b"});
  synchronise({pod});
  EXPECT_TRUE(eventually([&] { return log_.contains("is not looked for"); }));
  EXPECT_THAT(collections.all(), IsEmpty()) << "the pod may run";
  ASSERT_TRUE(node_.unprepare(claim));
  ASSERT_TRUE(eventually([&] { return !collections.all().empty(); }));
  EXPECT_THAT(collections.all().front().alive, IsEmpty());
}

TEST_F(AuditTest, ItsNetworkIsCollectedThoughNoRecordNamesIt) {
  Collections collections(node_.netconf);
  start();
  const ClaimRef claim = prepared();
  const claim::Record gone = *node_.journal->find(claim.uid);
  ASSERT_TRUE(node_.unprepare(claim));
  gate_->released(gone);
  EXPECT_THAT(collections.all(), IsEmpty()) << "no runtime is synchronised";
  synchronise({});
  ASSERT_TRUE(eventually([&] { return !collections.all().empty(); }));
  EXPECT_THAT(collections.all().front().config, HasSubstr("net-a"));
}

TEST_F(AuditTest, ACollectionThatFailsIsLoggedAndNoMore) {
  Collections collections(node_.netconf, Error(Code::kUnavailable, "plugin host-local: code 5"));
  start();
  prepared();
  synchronise({});
  EXPECT_TRUE(eventually([&] { return log_.contains("host-local: code 5"); }));
  EXPECT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
}

TEST_F(AuditTest, AnAttachmentThatIsNotAsItWasIsTold) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  node_.netconf.on("check", [](const module::Call&, const module::NetconfRequest& request) {
    EXPECT_EQ(request.netns_path, "/netns/s1");
    EXPECT_THAT(std::string(request.result_json), HasSubstr("10.0.0.2/24"));
    return Status(Error(Code::kUnknown, "plugin host-device: no such interface"));
  });
  synchronise({pod});
  EXPECT_TRUE(node_.events->wait_for_event(
      "CheckFailed uid-1: its network is not as it was attached; nothing was changed: netconf: "
      "check of 0000-08-00-2 in pod tenant/pod-a: plugin host-device: no such interface"));
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s1");
  EXPECT_TRUE(marked(claim, "s1"));
}

TEST_F(AuditTest, ACheckThatHangsSaysNothingAboutTheNetwork) {
  start();
  prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  node_.netconf.on("check", [](const module::Call& call, const module::NetconfRequest&) {
    EXPECT_LT(call.deadline.remaining(), std::chrono::seconds(6)) << "a detach would wait for it";
    return Status(Error(Code::kDeadlineExceeded, "plugin dhcp: it hung"));
  });
  synchronise({pod});
  EXPECT_TRUE(eventually([&] { return log_.contains("plugin dhcp: it hung"); }));
  node_.queue->stop();
  EXPECT_THAT(node_.events->events(), Not(Contains(HasSubstr("CheckFailed"))));
}

TEST_F(AuditTest, ANetworkWithoutCheckIsInOrder) {
  start();
  prepared();
  prepared(2, {5});
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  std::atomic<int> checks = 0;
  node_.netconf.on("check", [&](const module::Call&, const module::NetconfRequest&) {
    ++checks;
    return Status(Error(Code::kUnimplemented, "CHECK needs CNI 0.4.0"));
  });
  synchronise({pod});
  EXPECT_TRUE(eventually([&] { return checks == 2; })) << "one claim after the other";
  node_.queue->stop();
  EXPECT_THAT(node_.events->events(), Not(Contains(HasSubstr("CheckFailed"))));
}

}  // namespace
}  // namespace drasriov::pod
