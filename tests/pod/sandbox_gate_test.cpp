// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes and containers against prepared claims: what is attached, what is refused, and what is taken back. The runtime
// is played as the NRI specification orders its events: one at a time, Stop and Remove after a refused sandbox.
#include "host/pod/sandbox_gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>

#include "tests/claim/node.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::pod {
namespace {

using claim::ClaimRef;
using claim::testing::Json;
using claim::testing::Node;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = module::RuntimeEvent::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kVf = "0000-08-00-2";

module::Sandbox sandbox(const std::string& pod, const std::string& id) {
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
    settings_.retry_first = milliseconds(5);
    settings_.retry_longest = milliseconds(20);
    settings_.background_budget = seconds(10);
  }
  ~SandboxGateTest() override { stop(); }

  void start() {
    ASSERT_TRUE(node_.start());
    gate_ = std::make_unique<SandboxGate>();
    serve();
  }
  void serve() {
    gate_->serve(
        settings_,
        PodParts{*node_.queue, *node_.journal, *node_.attacher, log_,
                 [this](const claim::Record& record) { node_.runner->tell_status(record); },
                 [this](const ClaimRef& claim, std::string reason, std::string message) {
                   node_.runner->tell_warning(claim, std::move(reason), std::move(message));
                 }});
  }
  void stop() {
    if (node_.queue) node_.queue->stop();
    if (gate_) gate_->end();
    node_.stop();
    gate_.reset();
  }
  /// The process is killed and comes again; what the runtime knows, it tells again.
  void restart() {
    stop();
    start();
  }

  [[nodiscard]] std::future<Status> send_later(Kind kind, const module::Sandbox& of,
                                               milliseconds budget = seconds(10)) {
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
  Status send(Kind kind, const module::Sandbox& of, milliseconds budget = seconds(10)) {
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
  ClaimRef prepared(int number = 1, const std::vector<int>& functions = {2},
                    const std::vector<std::string>& pods = {"pod-a"}) {
    Json reserved = Json::array();
    for (const std::string& pod : pods) reserved.push_back(claim::testing::reserved_for(pod));
    const ClaimRef ref =
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
  [[nodiscard]] std::vector<claim::Attachment> attachments(const ClaimRef& claim) const {
    const auto record = node_.journal->find(claim.uid);
    return record ? record->devices.front().attachments : std::vector<claim::Attachment>();
  }
  [[nodiscard]] bool marked(const ClaimRef& claim, const std::string& id) const {
    return std::filesystem::exists(node_.directory.path() / "attached" / claim.uid / id);
  }
  /// Waits for work that nobody is answered about.
  static bool eventually(const std::function<bool()>& condition) {
    const auto end = Deadline::after(seconds(10));
    while (!condition()) {
      if (end.expired()) return false;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return true;
  }
  void expect_nothing_left(const ClaimRef& claim) {
    EXPECT_THAT(node_.netconf.attached(), IsEmpty());
    EXPECT_THAT(attachments(claim), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(node_.directory.path() / "attached" / claim.uid));
  }

  Node node_;
  telemetry::KeptLog log_;
  PodSettings settings_;
  std::unique_ptr<SandboxGate> gate_;
  std::uint64_t last_event_ = 0;
};

TEST(SandboxGate, IsReadyWhileARuntimeIsSynchronised) {
  SandboxGate gate;
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

TEST(SandboxGate, RefusesEverythingUntilClaimsAreKnown) {
  SandboxGate gate;
  for (const Kind kind : {Kind::kRunPodSandbox, Kind::kCreateContainer}) {
    module::RuntimeEvent event;
    event.kind = kind;
    event.sandbox = sandbox("pod-a", "s1");
    std::optional<Status> refused;
    (void)gate.submit(std::move(event), [&](const Status& status) { refused = status; });
    ASSERT_TRUE(refused && !*refused);
    EXPECT_EQ("pod tenant/pod-a: the SR-IOV driver is starting and does not know its claims yet",
              refused->error().message());
  }
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
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  expect_nothing_left(claim);
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
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  expect_nothing_left(claim);
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
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  expect_nothing_left(claim);
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
  EXPECT_TRUE(eventually([&] { return attachments(claim).empty(); }));
  expect_nothing_left(claim);
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
