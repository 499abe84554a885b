// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes and containers against prepared claims: what is attached and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "tests/pod/gate_fixture.hpp"

namespace drasriov::pod {
namespace {

using claim::ClaimRef;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Kind;
using testing::kVf;
using testing::sandbox;
using testing::SandboxGateTest;

TEST_F(SandboxGateTest, IsReadyWhileARuntimeIsSynchronised) {
  start();
  SandboxGate& gate = *gate_;
  const auto tell = [&](Kind kind, const std::string& source) {
    module::RuntimeEvent event;
    event.kind = kind;
    event.source = source;
    (void)gate.submit(std::move(event), [](const Status& status) { EXPECT_TRUE(status); });
  };
  EXPECT_EQ(Code::kUnavailable, gate.runtime_ready().error().code());
  tell(Kind::kSynchronised, "runtime-nri");
  EXPECT_TRUE(gate.runtime_ready());
  tell(Kind::kDisconnected, "another");
  EXPECT_TRUE(gate.runtime_ready()) << "another module's runtime went, not this one's";
  tell(Kind::kDisconnected, "runtime-nri");
  EXPECT_FALSE(gate.runtime_ready());
}

TEST_F(SandboxGateTest, BeforeItServesOnlyPodsWithANetworkClaimAreRefused) {
  start();
  prepared();
  ASSERT_TRUE(node_.prepare(node_.add_claim(2, {4})));
  const std::string imported = "uid-of-imported";
  gate_ = std::make_unique<SandboxGate>(*node_.journal,
                                        [&](std::string_view uid) { return uid == imported; });
  for (const Kind kind : {Kind::kRunPodSandbox, Kind::kCreateContainer}) {
    EXPECT_TRUE(send(kind, started("stranger", "s2"))) << "a pod without devices";
    for (const std::string pod : {"pod-a", "imported"}) {
      const Status refused = send(kind, started(pod, "s1"));
      ASSERT_FALSE(refused) << pod;
      EXPECT_EQ(refused.error().code(), Code::kUnavailable);
      EXPECT_EQ(refused.error().message(),
                "pod tenant/" + pod +
                    ": the SR-IOV driver is starting and cannot attach its network yet");
    }
  }
  EXPECT_TRUE(send(Kind::kStopPodSandbox, sandbox("pod-a", "s1")));
  serve();
  EXPECT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s3")));
}

TEST_F(SandboxGateTest, WhenTheQueueHasStoppedOnlyPodsThatMissTheirNetworkAreRefused) {
  start();
  const ClaimRef claim = prepared();
  prepared(2, {5}, {"pod-b"});
  const auto attached = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, attached));
  node_.queue->stop();
  for (const Kind kind : {Kind::kRunPodSandbox, Kind::kCreateContainer}) {
    EXPECT_TRUE(send(kind, started("stranger", "s2"))) << "a pod without devices";
    const Status refused = send(kind, started("pod-b", "s3"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(), "pod tenant/pod-b: the driver is stopping");
  }
  EXPECT_TRUE(send(Kind::kCreateContainer, attached)) << "it has what it needs";
  EXPECT_TRUE(send(Kind::kStopPodSandbox, attached)) << "the next start takes the device back";
  EXPECT_EQ(attachments(claim).size(), 1U);
}

TEST_F(SandboxGateTest, AttachesBeforeTheSandboxStartsAndDetachesWhenItStops) {
  start();
  const ClaimRef claim = prepared(1, {2, 3});
  const auto pod = started("pod-a", "s1");
  node_.recording.clear();
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("netconf.add 0000-08-00-2 s1", "netconf.add 0000-08-00-3 s1"));
  ASSERT_EQ(attachments(claim).size(), 1U);
  EXPECT_EQ(attachments(claim)[0].state, claim::AttachmentState::kAttached);
  EXPECT_TRUE(marked(claim, "s1"));
  EXPECT_TRUE(eventually([&] {
    const auto status = node_.events->status_of(claim.uid);
    return status.size() == 2 && status[0].network_ready && status[1].network_ready &&
           status[0].ips == std::vector<std::string>{"10.0.0.2/24"} &&
           status[0].hardware_address == "0a:00:00:00:00:01";
  }));

  node_.recording.clear();
  EXPECT_TRUE(send(Kind::kCreateContainer, pod));
  EXPECT_THAT(node_.recording.lines(), IsEmpty()) << "an attached pod's container costs a look-up";

  ASSERT_TRUE(send(Kind::kStopPodSandbox, pod));
  // Last device first; its binding modules settle it before the next is touched.
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("netconf.del 0000-08-00-3 s1", "vf-state.settle 0000-08-00-3",
                          "netconf.del 0000-08-00-2 s1", "vf-state.settle 0000-08-00-2"));
  expect_nothing_left(claim);
  EXPECT_TRUE(send(Kind::kRemovePodSandbox, pod)) << "Remove follows Stop";
  EXPECT_TRUE(node_.unprepare(claim));
  node_.expect_pristine();
}

TEST_F(SandboxGateTest, PodsWithoutANetworkClaimPass) {
  start();
  const ClaimRef plain = node_.add_claim(1, {4});
  ASSERT_TRUE(node_.prepare(plain));
  for (const Kind kind : {Kind::kRunPodSandbox, Kind::kCreateContainer, Kind::kStopPodSandbox,
                          Kind::kRemovePodSandbox}) {
    EXPECT_TRUE(send(kind, sandbox("pod-a", "s1"))) << "no namespace is opened";
    EXPECT_TRUE(send(kind, sandbox("stranger", "s2")));
  }
}

TEST_F(SandboxGateTest, AFailedAddIsAnsweredAndThenTakenBack) {
  start();
  const ClaimRef claim = prepared(1, {2, 3});
  node_.netconf.on("add", [](const module::Call&, const module::NetconfRequest& request) {
    return request.device->name == kVf ? Status()
                                       : Status(Error(Code::kUnavailable, "plugin sriov: code 11"));
  });
  const auto pod = started("pod-a", "s1");
  const Status refused = send(Kind::kRunPodSandbox, pod);
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message(),
      "pod tenant/pod-a: claim tenant/claim-1: netconf: attach 0000-08-00-3 as vfnet1: plugin "
      "sriov: code 11");
  EXPECT_TRUE(eventually([&] { return node_.netconf.attached().empty(); }));
  EXPECT_TRUE(send(Kind::kStopPodSandbox, pod)) << "the runtime takes its sandbox down";
  expect_nothing_left(claim);
  EXPECT_TRUE(node_.events->wait_for_event("AttachFailed uid-1: pod tenant/pod-a"));
}

TEST_F(SandboxGateTest, TheSameFailureInTheNextSandboxIsTheSameEvent) {
  start();
  prepared();
  node_.netconf.on("add", [](const module::Call&, const module::NetconfRequest& request) {
    return Status(Error(Code::kUnavailable, "no lease for " + std::string(request.container_id) +
                                                " in " + std::string(request.netns_path)));
  });
  for (const char digit : {'a', 'b'}) {
    const std::string id(64, digit);
    const auto pod = started("pod-a", id);
    const Status refused = send(Kind::kRunPodSandbox, pod);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr(id)) << "the answer is of this sandbox";
    EXPECT_TRUE(send(Kind::kStopPodSandbox, pod));
  }
  ASSERT_TRUE(eventually([&] { return node_.events->events().size() == 2; }));
  const auto events = node_.events->events();
  EXPECT_THAT(events, ::testing::Each(HasSubstr("pod tenant/pod-a: claim tenant/claim-1: ")));
  EXPECT_THAT(events, ::testing::Each(HasSubstr("no lease for <sandbox> in <netns>")));
  EXPECT_EQ(events.front(), events.back());
}

TEST_F(SandboxGateTest, AHangingPluginIsAnsweredInTimeAndCalledOff) {
  start();
  const ClaimRef claim = prepared();
  std::promise<void> called_off;
  node_.netconf.on("add", [&](const module::Call& call, const module::NetconfRequest&) {
    if (!eventually([&] { return (*call.cancelled)(); }))
      return Status(Error(Code::kInternal, "nobody called the plugin off"));
    called_off.set_value();
    return Status(Error(Code::kDeadlineExceeded, "killed"));
  });
  const auto pod = started("pod-a", "s1");
  const auto before = std::chrono::steady_clock::now();
  // Of 3 s the gate keeps 0.45 s back: enough for a machine that is busy with other tests.
  const Status refused = send(Kind::kRunPodSandbox, pod, seconds(3));
  const auto took = std::chrono::steady_clock::now() - before;
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("plugin_request_timeout"));
  EXPECT_LT(took, seconds(3)) << "a later answer counts as success for the runtime";
  ASSERT_EQ(called_off.get_future().wait_for(seconds(10)), std::future_status::ready);
  expect_nothing_left_soon(claim);
}

TEST_F(SandboxGateTest, ASuccessThatComesTooLateIsTakenBack) {
  start();
  const ClaimRef claim = prepared();
  std::promise<void> go;
  auto gone = go.get_future().share();
  node_.netconf.on("add", [gone](const module::Call&, const module::NetconfRequest&) {
    gone.wait();
    return Status();
  });
  EXPECT_FALSE(send(Kind::kRunPodSandbox, started("pod-a", "s1"), milliseconds(300)));
  go.set_value();
  EXPECT_TRUE(
      eventually([&] { return node_.recording.count("netconf.del 0000-08-00-2 s1") == 1; }));
  expect_nothing_left_soon(claim);
}

TEST_F(SandboxGateTest, CancelEndsAnAttach) {
  start();
  const ClaimRef claim = prepared();
  node_.netconf.on("add", [](const module::Call& call, const module::NetconfRequest&) {
    return eventually([&] { return (*call.cancelled)(); })
               ? Status(Error(Code::kAborted, "called off"))
               : Status(Error(Code::kInternal, "never called off"));
  });
  auto answer = send_later(Kind::kRunPodSandbox, started("pod-a", "s1"));
  ASSERT_TRUE(eventually([&] { return !node_.netconf.attached().empty(); }));
  gate_->cancel(last_event_);
  EXPECT_EQ(answer.get().error().code(), Code::kAborted);
  expect_nothing_left_soon(claim);
}

TEST_F(SandboxGateTest, AContainerMakesUpForAMissedSandbox) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  EXPECT_TRUE(send(Kind::kCreateContainer, pod));
  EXPECT_EQ(node_.netconf.attached().count(kVf), 1U);
  EXPECT_TRUE(marked(claim, "s1"));
}

TEST_F(SandboxGateTest, AContainerIsRefusedWhileItsNetworkIsMissing) {
  start();
  prepared();
  node_.netconf.on("add", [](const module::Call&, const module::NetconfRequest&) {
    return Status(Error(Code::kUnavailable, "no lease"));
  });
  const Status refused = send(Kind::kCreateContainer, started("pod-a", "s1"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("no lease"));
}

TEST_F(SandboxGateTest, ALostMarkerIsWrittenAgainBeforeAContainerStarts) {
  start();
  const ClaimRef claim = prepared();
  const auto pod = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, pod));
  std::filesystem::remove_all(node_.directory.path() / "attached");
  EXPECT_TRUE(send(Kind::kCreateContainer, pod));
  EXPECT_TRUE(marked(claim, "s1"));
  EXPECT_EQ(node_.recording.count("netconf.add 0000-08-00-2 s1"), 1U);
}

TEST_F(SandboxGateTest, ANewSandboxOfThePodTakesOver) {
  start();
  const ClaimRef claim = prepared();
  const auto old = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, old));
  const auto fresh = started("pod-a", "s2");
  node_.recording.clear();
  ASSERT_TRUE(send(Kind::kRunPodSandbox, fresh));
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("netconf.del 0000-08-00-2 s1", "vf-state.settle 0000-08-00-2",
                          "netconf.add 0000-08-00-2 s2"));
  EXPECT_FALSE(marked(claim, "s1"));
  EXPECT_TRUE(send(Kind::kStopPodSandbox, old)) << "late, and no longer its business";
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s2");
  EXPECT_TRUE(marked(claim, "s2"));
}

TEST_F(SandboxGateTest, ASecondPodIsRefusedWithTheHoldersName) {
  start();
  const ClaimRef claim = prepared(1, {2}, {"pod-a", "pod-b"});
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
  const Status refused = send(Kind::kRunPodSandbox, started("pod-b", "s2"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("device 0000-08-00-2 is attached to pod tenant/pod-a (sandbox s1)"));
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s1");
  EXPECT_TRUE(marked(claim, "s1"));
}

/// kubelet does not prepare the claim again for it, so that only the API tells of it.
TEST_F(SandboxGateTest, APodThatJoinsAClaimIsAttachedWhenItsHolderHasGone) {
  start();
  const ClaimRef claim = prepared();
  const auto holder = started("pod-a", "s1");
  ASSERT_TRUE(send(Kind::kRunPodSandbox, holder));
  node_.add_claim(1, {2}, {{"netAttachDefName", "net-a"}},
                  {claim::testing::reserved_for("pod-a"), claim::testing::reserved_for("pod-b")});
  std::atomic<int> asked = 0;
  node_.cluster.on_get([&](const cluster::ObjectKey&) {
    return ++asked == 1 ? Status(Error(Code::kUnavailable, "connection refused")) : Status();
  });
  const auto joined = started("pod-b", "s2");
  EXPECT_TRUE(send(Kind::kRunPodSandbox, joined))
      << "as any pod; the hook holds its containers back";
  EXPECT_EQ(asked, 0) << "a pod without devices costs a look-up, and so does this one";
  EXPECT_FALSE(marked(claim, "s2"));
  ASSERT_TRUE(send(Kind::kStopPodSandbox, holder));
  EXPECT_TRUE(eventually([&] { return marked(claim, "s2"); }));
  EXPECT_EQ(node_.netconf.attached().at(kVf), "s2");
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(send(Kind::kCreateContainer, joined));
  EXPECT_TRUE(send(Kind::kStopPodSandbox, joined)) << "it is the holder now";
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  node_.queue->stop();
}

TEST_F(SandboxGateTest, APodThatJoinedAClaimIsFoundAfterARestartToo) {
  settings_.join_delay = milliseconds(1500);  // it is killed before
  start();
  const ClaimRef claim = prepared();
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
  ASSERT_TRUE(send(Kind::kStopPodSandbox, sandbox("pod-a", "s1")));
  node_.add_claim(1, {2}, {{"netAttachDefName", "net-a"}},
                  {claim::testing::reserved_for("pod-a"), claim::testing::reserved_for("pod-b")});
  restart();
  const auto joined = started("pod-b", "s2");
  EXPECT_TRUE(send(Kind::kRunPodSandbox, joined));
  EXPECT_TRUE(eventually([&] { return marked(claim, "s2"); }));
  node_.queue->stop();
}

TEST_F(SandboxGateTest, AClaimIsLookedUpOnceHoweverManySandboxesLeaveIt) {
  settings_.join_delay = milliseconds(1000);
  start();
  prepared();
  std::atomic<int> asked = 0;
  node_.cluster.on_get([&](const cluster::ObjectKey&) {
    ++asked;
    return Status();
  });
  for (const char* id : {"s1", "s2", "s3"})
    EXPECT_TRUE(send(Kind::kStopPodSandbox, sandbox("pod-a", id)));
  std::promise<void> later;  // behind all that could have begun
  ASSERT_TRUE(node_.queue->post_at(claim::WorkQueue::Clock::now() + milliseconds(1500),
                                   [&] { later.set_value(); }));
  later.get_future().wait();
  node_.queue->stop();
  EXPECT_EQ(asked, 1);
}

TEST_F(SandboxGateTest, AClaimIsNotLookedUpWhileItIsAttachedOrGone) {
  settings_.join_delay = milliseconds(2000);
  start();
  const ClaimRef claim = prepared();
  const ClaimRef other = prepared(2, {5}, {"pod-b"});
  std::atomic<int> asked = 0;
  node_.cluster.on_get([&](const cluster::ObjectKey&) {
    ++asked;
    return Status();
  });
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s1")));
  ASSERT_TRUE(send(Kind::kStopPodSandbox, sandbox("pod-a", "s1")));
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-a", "s2"))) << "made anew";
  ASSERT_TRUE(send(Kind::kRunPodSandbox, started("pod-b", "s3")));
  ASSERT_TRUE(send(Kind::kStopPodSandbox, sandbox("pod-b", "s3")));
  ASSERT_TRUE(node_.unprepare(other));
  std::promise<void> later;  // behind both look-ups
  ASSERT_TRUE(node_.queue->post_at(claim::WorkQueue::Clock::now() + milliseconds(2500),
                                   [&] { later.set_value(); }));
  later.get_future().wait();
  node_.queue->stop();
  EXPECT_EQ(asked, 0);
}

TEST_F(SandboxGateTest, TheHostsNetworkIsRefusedOnlyWithANetworkClaim) {
  start();
  prepared();
  auto pod = sandbox("pod-a", "s1");
  pod.netns_path.clear();
  const Status refused = send(Kind::kRunPodSandbox, pod);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("remove hostNetwork from the pod"));
  auto stranger = sandbox("stranger", "s2");
  stranger.netns_path.clear();
  EXPECT_TRUE(send(Kind::kRunPodSandbox, stranger));
}

TEST_F(SandboxGateTest, AHostileSandboxIdBecomesNoPath) {
  start();
  const ClaimRef claim = prepared();
  for (const std::string id : {"../../etc", ".hidden", "a/b", ""}) {
    auto pod = sandbox("pod-a", id);
    pod.netns_path = "/netns/x";
    node_.namespaces.put(pod.netns_path);
    const Status refused = send(Kind::kRunPodSandbox, pod);
    ASSERT_FALSE(refused) << id;
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  }
  expect_nothing_left(claim);
}

}  // namespace
}  // namespace drasriov::pod
