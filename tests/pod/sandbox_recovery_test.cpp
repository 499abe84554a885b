// SPDX-License-Identifier: Apache-2.0
//
// What was missed or left by a gate, a runtime or a pod that went away: what is attached late, taken back, or left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>

#include "tests/pod/gate_fixture.hpp"

namespace drasriov::pod {
namespace {

using claim::ClaimRef;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Kind;
using testing::kVf;
using testing::sandbox;
using testing::SandboxGateTest;

TEST_F(SandboxGateTest, ASandboxThatStartedWithoutUsIsAttached) {
  start();
  const ClaimRef claim = prepared();
  int failures = 2;
  node_.netconf.on("add", [&](const module::Call&, const module::NetconfRequest&) {
    return failures-- > 0 ? Status(Error(Code::kUnavailable, "not yet")) : Status();
  });
  synchronise({started("pod-a", "s1")});
  EXPECT_TRUE(eventually([&] { return marked(claim, "s1"); })) << "tried until it is attached";
  EXPECT_EQ(node_.recording.count("netconf.add 0000-08-00-2 s1"), 3U);
}

TEST_F(SandboxGateTest, AStoppedSandboxThatIsStillListedIsLeftAlone) {
  start();
  prepared();
  synchronise({sandbox("pod-a", "dead"), started("pod-a", "s1")});
  EXPECT_TRUE(eventually([&] { return node_.netconf.attached().count(kVf) == 1; }));
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s1");
  EXPECT_EQ(node_.recording.count("netconf.add 0000-08-00-2 dead"), 0U);
  EXPECT_THAT(node_.events->events(), IsEmpty()) << "nobody is told of what is in order";
}

TEST_F(SandboxGateTest, WhatWasAttachedStaysOverARestart) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  restart();
  node_.recording.clear();
  synchronise({pod});
  EXPECT_TRUE(send(Kind::kCreateContainer, pod));
  EXPECT_THAT(node_.recording.lines(), IsEmpty());
  EXPECT_TRUE(send(Kind::kStopPodSandbox, pod));
  expect_nothing_left(claim);
}

TEST_F(SandboxGateTest, ASandboxThatWentWhileWeWereAwayIsTakenBack) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  stop();
  node_.namespaces.remove(pod.netns_path);
  start();
  EXPECT_EQ(attachments(claim).size(), 1U) << "only the runtime can say which sandboxes live";
  synchronise({});
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  EXPECT_EQ(node_.recording.count("netconf.del 0000-08-00-2 s1 gone"), 1U);
  expect_nothing_left(claim);
}

TEST_F(SandboxGateTest, TheClaimsOfOnePodAreDetachedOneAfterTheOther) {
  start();
  prepared();
  prepared(2, {5});
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  ASSERT_EQ(node_.netconf.attached().size(), 2U);
  std::mutex mutex;
  std::condition_variable entered;
  int inside = 0;
  int most = 0;
  node_.netconf.on("del", [&](const module::Call&, const module::NetconfRequest&) {
    std::unique_lock lock(mutex);
    most = std::max(most, ++inside);
    entered.notify_all();
    // Time for the other one, which must not come.
    (void)entered.wait_for(lock, milliseconds(200), [&] { return inside > 1; });
    --inside;
    return Status();
  });
  EXPECT_TRUE(send(Kind::kStopPodSandbox, pod));
  EXPECT_EQ(most, 1) << "the ABI: never two calls for one sandbox at a time";
  EXPECT_THAT(node_.netconf.attached(), IsEmpty());
}

TEST_F(SandboxGateTest, ASandboxThatIsNotListedButLivesKeepsItsDevice) {
  start();
  const ClaimRef claim = prepared();
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
  prepared(2, {5}, {"pod-b"});
  synchronise({started("pod-b", "s2")});
  // The same round looks at records first; what it began for the claim has its token before this does.
  ASSERT_TRUE(eventually([&] { return node_.netconf.attached().size() == 2; }));
  ASSERT_TRUE(node_.prepare(claim));
  EXPECT_EQ(node_.recording.count("netconf.del 0000-08-00-2 s1"), 0U);
  EXPECT_TRUE(claim::attached_to(*node_.journal->find(claim.uid), "s1"));
}

TEST_F(SandboxGateTest, APathThatNamesAnotherNamespaceByNowIsNotTouched) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  node_.namespaces.put(pod.netns_path);  // another one at the same path
  EXPECT_TRUE(send(Kind::kStopPodSandbox, pod));
  EXPECT_EQ(node_.recording.count("netconf.del 0000-08-00-2 s1 gone"), 1U);
  expect_nothing_left(claim);
}

TEST_F(SandboxGateTest, UnprepareTakesAnAttachedDeviceBackFirst) {
  start();
  const ClaimRef claim = prepared();
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
  node_.recording.clear();
  EXPECT_TRUE(node_.unprepare(claim));
  EXPECT_THAT(
      node_.recording.lines(),
      ::testing::IsSupersetOf({"netconf.del 0000-08-00-2 s1", "vf-state.settle 0000-08-00-2",
                               "vf-state.unprepare 0000-08-00-2"}));
  EXPECT_EQ(node_.recording.lines().front(), "netconf.del 0000-08-00-2 s1");
  node_.expect_pristine();
}

TEST_F(SandboxGateTest, ADetachThatFailsBlocksTheDeviceAndComesAgain) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  std::atomic<bool> broken = true;
  node_.netconf.on("del", [&](const module::Call&, const module::NetconfRequest&) {
    return broken ? Status(Error(Code::kUnavailable, "plugin sriov: code 11")) : Status();
  });
  EXPECT_FALSE(send(Kind::kStopPodSandbox, pod));
  ASSERT_EQ(attachments(claim).size(), 1U);
  EXPECT_EQ(attachments(claim)[0].state, claim::AttachmentState::kDetaching);
  EXPECT_FALSE(marked(claim, "s1")) << "no container may count on it";
  EXPECT_TRUE(node_.events->wait_for_event("DetachFailed"));
  broken = false;
  expect_nothing_left_soon(claim);
}

TEST_F(SandboxGateTest, ADetachThatTheJournalCannotRememberComesAgain) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  const auto away = node_.directory.path() / "away";  // no write succeeds, as on a full disk
  std::filesystem::rename(node_.claims(), away);
  const Status failed = send(Kind::kStopPodSandbox, pod);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message(), HasSubstr("journal"));
  ASSERT_EQ(attachments(claim).size(), 1U);
  EXPECT_EQ(attachments(claim)[0].state, claim::AttachmentState::kAttached);
  EXPECT_EQ(node_.recording.count("netconf.del 0000-08-00-2 s1"), 0U) << "not without a record";
  EXPECT_TRUE(node_.events->wait_for_event("DetachFailed"));
  std::filesystem::rename(away, node_.claims());
  expect_nothing_left_soon(claim);
  EXPECT_TRUE(node_.unprepare(claim));
}

TEST_F(SandboxGateTest, ADeviceThatIsGoneLikeItsSandboxIsNotWaitedFor) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  // As host-device, which looks for the PCI device first.
  node_.netconf.on("del", [&](const module::Call&, const module::NetconfRequest&) -> Status {
    return Error(Code::kUnknown, "plugin host-device: lstat /sys/bus/pci/devices/0000:08:00.2");
  });
  node_.set_devices({});
  EXPECT_FALSE(send(Kind::kStopPodSandbox, pod)) << "the namespace is there: it may be held";
  ASSERT_EQ(attachments(claim).size(), 1U);
  node_.namespaces.remove(pod.netns_path);
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  EXPECT_THAT(node_.journal->find(claim.uid)->last_error, HasSubstr("lstat /sys/bus/pci/devices"));
  EXPECT_TRUE(node_.unprepare(claim));
}

TEST_F(SandboxGateTest, ARebootReleasesLeasesWithoutANamespace) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  stop();
  node_.boot_id = "boot-2";
  node_.recording.clear();
  start();
  EXPECT_TRUE(eventually([&] {
    return node_.recording.count("netconf.del 0000-08-00-2 s1 gone") == 1;
  })) << "the path is there again, and is another boot's";
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  EXPECT_EQ(node_.recording.count("vf-state.settle 0000-08-00-2"), 0U);
  const Status refused = send(Kind::kRunPodSandbox, started("pod-a", "s2"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("was not prepared again since the node was rebooted"));
}

TEST_F(SandboxGateTest, ALateDelDoesNotTouchTheNextOwner) {
  start();
  const ClaimRef first = prepared();
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
  stop();
  node_.boot_id = "boot-2";
  node_.recording.clear();
  std::atomic<bool> broken = true;
  node_.netconf.on("del", [&](const module::Call&, const module::NetconfRequest&) {
    return broken ? Status(Error(Code::kUnavailable, "plugin sriov: code 11")) : Status();
  });
  start();
  // In the new boot the device is free, and another pod has it before the old lease could be released.
  const ClaimRef second = prepared(2, {2}, {"pod-b"});
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-b", "s2")));
  broken = false;
  EXPECT_TRUE(eventually([&] { return attachments(first).empty(); }));
  EXPECT_EQ(node_.recording.count("netconf.del 0000-08-00-2 s1"), 0U) << "without a namespace only";
  EXPECT_EQ(node_.recording.count("vf-state.settle 0000-08-00-2"), 0U);
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s2");
  EXPECT_TRUE(marked(second, "s2"));
  // The first pod's runtime speaks at last.
  EXPECT_TRUE(send(Kind::kStopPodSandbox, sandbox("pod-a", "s1")));
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s2");
  EXPECT_TRUE(send(Kind::kCreateContainer, sandbox("pod-b", "s2")));
}

TEST_F(SandboxGateTest, WhatTheGoDriverAttachedIsLeftInItsSandbox) {
  start();
  const ClaimRef claim = prepared();
  auto record = std::make_shared<claim::Record>(*node_.journal->find(claim.uid));
  record->devices.front().adopted_edits_json = "{}";
  ASSERT_TRUE(node_.journal->write(record));
  prepared(2, {5}, {"pod-b"});
  const auto old = started("pod-a", "s1");
  node_.recording.clear();
  synchronise({old, started("pod-b", "s2")});
  ASSERT_TRUE(eventually([&] { return node_.netconf.attached().size() == 1; }));
  const Status refused = send(Kind::kCreateContainer, old);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("started under the Go driver"));
  EXPECT_THAT(refused.error().to_string(), HasSubstr("delete the pod"));
  EXPECT_EQ(node_.recording.count("netconf.add 0000-08-00-2 s1"), 0U);
  EXPECT_EQ(node_.recording.count("netconf.del 0000-08-00-2 s1"), 0U);
  EXPECT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s3"))) << "a new sandbox is ours";
  EXPECT_TRUE(send(Kind::kCreateContainer, sandbox("pod-a", "s3")));
}

TEST_F(SandboxGateTest, StoppingAnswersWhatIsUnderWay) {
  start();
  prepared();
  node_.netconf.on("add", [](const module::Call& call, const module::NetconfRequest&) {
    return eventually([&] { return (*call.cancelled)(); })
               ? Status(Error(Code::kAborted, "called off"))
               : Status(Error(Code::kInternal, "never called off"));
  });
  auto answer = send_later(Kind::kRunPodSandbox, started("pod-a", "s1"));
  ASSERT_TRUE(eventually([&] { return !node_.netconf.attached().empty(); }));
  node_.queue->stop();
  EXPECT_EQ(answer.get().error().message(), "pod tenant/pod-a: the driver is stopping");
}

}  // namespace
}  // namespace drasriov::pod
