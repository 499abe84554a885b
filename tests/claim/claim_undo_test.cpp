// SPDX-License-Identifier: Apache-2.0
//
// Failing prepares leave the device as it was found; an undo that fails blocks the device until it succeeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "host/base/durable_file.hpp"
#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Json;
using testing::kBoth;
using testing::kVf0;
using testing::kVf1;
using testing::kVfio;
using testing::Node;
using testing::reserved_for;
using testing::virtual_function;

Error broken() {
  return Error(Code::kInternal, "broken");
}
Error busy() {
  return Error(Code::kUnavailable, "held open by pid 4711");
}

class ClaimUndoTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(node_.start()); }
  static testing::FakeBinding::Hook fails_for(const std::string& device, Error error) {
    return [device, error](const std::string& name, module::PrepareSink*) -> Status {
      if (name == device) return error;
      return {};
    };
  }
  static testing::FakeBinding::Hook fails_times(std::atomic<int>& times, Error error) {
    return [&times, error](const std::string&, module::PrepareSink*) -> Status {
      if (times-- > 0) return error;
      return {};
    };
  }
  /// The claim's record is Undoing and this attempt at it is over.
  bool wait_undoing(const std::string& device, const std::string& uid) {
    return node_.events->wait_for_held({{device, uid + " Undoing"}});
  }
  Node node_;
};

TEST_F(ClaimUndoTest, AFailedPrepareIsUndoneInReverse) {
  node_.vhost.on("prepare", fails_for(kVf1, broken()));
  const auto answer = node_.prepare(node_.add_claim(1, {0, 1, 2}, kBoth));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message(), "claim tenant/claim-1: vhost: prepare 0000-08-00-1: broken");
  auto lines = node_.recording.lines();
  lines.erase(lines.begin(), lines.begin() + 6);  // snapshots
  EXPECT_THAT(lines,
              ElementsAre("vfio.prepare " + kVf0, "vhost.prepare " + kVf0, "vfio.prepare " + kVf1,
                          "vhost.prepare " + kVf1, "vhost.unprepare " + kVf1,
                          "vfio.unprepare " + kVf1, "vhost.unprepare " + kVf0,
                          "vfio.unprepare " + kVf0, "cdi.remove uid-1", "cdi.remove uid-of-pod-a"))
      << "the module that failed is undone too, what was never begun is not";
  node_.expect_pristine();
  EXPECT_TRUE(node_.events->wait_for_event("PrepareFailed"));
  EXPECT_THAT(node_.events->events(),
              ElementsAre("Warning PrepareFailed uid-1: vhost: prepare 0000-08-00-1: broken"));
}

TEST_F(ClaimUndoTest, AFailedSnapshotLeavesNothingToUndo) {
  node_.vhost.on("snapshot", fails_for(kVf0, broken()));
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kBoth));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message(),
            "claim tenant/claim-1: vhost: snapshot of 0000-08-00-0: broken");
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("vfio.snapshot " + kVf0, "vhost.snapshot " + kVf0));
  node_.expect_pristine();
}

TEST_F(ClaimUndoTest, ABusyDeviceIsTriedAgainInsideTheCall) {
  std::atomic<int> times{3};
  node_.vfio.on("prepare", fails_times(times, busy()));
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kVfio));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 4U);
  EXPECT_EQ(node_.recording.count("vfio.unprepare " + kVf0), 0U);
}

TEST_F(ClaimUndoTest, ADeviceThatStaysBusyIsUndoneBeforeTheDeadline) {
  node_.vfio.on("prepare", fails_for(kVf0, busy()));
  const auto started = std::chrono::steady_clock::now();
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kVfio), 2s);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(),
              HasSubstr("vfio: prepare 0000-08-00-0: held open by pid 4711 (tried for "));
  node_.expect_pristine();
  EXPECT_TRUE(node_.events->wait_for_event("PrepareFailed"));
  EXPECT_THAT(node_.events->events(),
              ElementsAre("Warning PrepareFailed uid-1: vfio: prepare 0000-08-00-0: held open by "
                          "pid 4711"))
      << "the same text each time, so that the same event is only counted";
}

TEST_F(ClaimUndoTest, ADocumentThatCannotBeWrittenUndoesTheDevice) {
  node_.cdi.on("write", [](const std::string& id) -> Status {
    if (id == "uid-of-pod-a")
      return Error(Code::kFailedPrecondition, "write /var/run/cdi: Read-only file system");
    return {};
  });
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kVfio));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message(),
            "claim tenant/claim-1: write /var/run/cdi: Read-only file system");
  node_.expect_pristine();
}

TEST_F(ClaimUndoTest, EditsThatAreNoEditsUndoTheDevice) {
  node_.vfio.on("prepare",
                [](const std::string&, module::PrepareSink* sink) { return sink->add_edits("{"); });
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kVfio));
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(), HasSubstr("claim tenant/claim-1: CDI document: "));
  node_.expect_pristine();
}

/// A directory where the record's file should be: no rename over it, whoever we are.
TEST_F(ClaimUndoTest, AnIntentThatCannotBeWrittenTouchesNothing) {
  std::filesystem::create_directory(node_.claims() / "uid-1.json");
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kVfio));
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(), HasSubstr("claim tenant/claim-1: journal: rename to "));
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 0U);
  EXPECT_EQ(node_.recording.count("vfio.unprepare " + kVf0), 0U);
  std::filesystem::remove(node_.claims() / "uid-1.json");
}

TEST_F(ClaimUndoTest, AResultThatCannotBeWrittenIsUndone) {
  node_.cdi.on("write", [this](const std::string& id) -> Status {
    // Between the intent and the result the disk turns bad.
    if (id == "uid-1") {
      std::filesystem::remove(node_.claims() / "uid-1.json");
      std::filesystem::create_directory(node_.claims() / "uid-1.json");
    }
    return {};
  });
  node_.cdi.on("remove", [this](const std::string& id) -> Status {
    if (id == "uid-1") std::filesystem::remove(node_.claims() / "uid-1.json");
    return {};
  });
  for (const Json& fields : {kVfio, Json::object()}) {
    const auto answer = node_.prepare(node_.add_claim(1, {0}, fields));
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().message(), HasSubstr("claim tenant/claim-1: journal: rename to "));
    node_.expect_pristine();
  }
  node_.cdi.on("write", {});
  EXPECT_TRUE(node_.prepare(node_.add_claim(1, {0}, kVfio)));
}

TEST_F(ClaimUndoTest, AStateThatCannotBeKeptEndsThePrepareAtOnce) {
  std::atomic<int> calls{0};
  node_.vfio.on("prepare", [&](const std::string&, module::PrepareSink* sink) {
    ++calls;
    std::filesystem::remove(node_.claims() / "uid-1.json");
    std::filesystem::create_directory(node_.claims() / "uid-1.json");
    auto kept = sink->put_state("state");
    EXPECT_FALSE(kept);
    std::filesystem::remove(node_.claims() / "uid-1.json");
    return busy();  // a retryable code must not hide the journal's error
  });
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kVfio));
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(),
              HasSubstr("vfio: keep the state of 0000-08-00-0: journal: rename to "));
  EXPECT_EQ(calls, 1);
  node_.expect_pristine();
}

TEST_F(ClaimUndoTest, WhatToDoIsSaidOnceWhenTheUndoFailsToo) {
  std::atomic<bool> stuck{true};
  node_.vhost.on("prepare", fails_for(kVf0, broken().with_hint("mend it")));
  node_.vfio.on("unprepare", [&](const std::string&, module::PrepareSink*) -> Status {
    if (stuck) return busy().with_hint("end the process");
    return {};
  });
  const auto answer = node_.prepare(node_.add_claim(1, {0}, kBoth));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().to_string(),
            "claim tenant/claim-1: vhost: prepare 0000-08-00-0: broken; putting the devices back "
            "failed as well: vfio: unprepare 0000-08-00-0: held open by pid 4711 — hint: mend it; "
            "end the process");
  stuck = false;
  EXPECT_TRUE(node_.events->wait_for_held({}));
}

TEST_F(ClaimUndoTest, AnUndoThatFailsBlocksTheDeviceUntilItSucceeds) {
  std::atomic<bool> stuck{true};
  node_.vhost.on("prepare", fails_for(kVf0, broken()));
  node_.vfio.on("unprepare", [&stuck](const std::string&, module::PrepareSink*) -> Status {
    if (stuck) return busy();
    return {};
  });
  const ClaimRef claim = node_.add_claim(1, {0}, kBoth);
  const auto answer = node_.prepare(claim);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message(),
            "claim tenant/claim-1: vhost: prepare 0000-08-00-0: broken; putting the devices back "
            "failed as well: vfio: "
            "unprepare 0000-08-00-0: held open by pid 4711");
  ASSERT_TRUE(wait_undoing(kVf0, "uid-1"));
  EXPECT_EQ(decode_record(*read_file(node_.claims() / "uid-1.json"))->state, RecordState::kUndoing)
      << "durable";
  EXPECT_TRUE(
      node_.events->wait_for_event("Warning UndoFailed uid-1: the devices of the claim could not "
                                   "be put back and stay blocked: vfio: unprepare "
                                   "0000-08-00-0: held open by pid 4711"));

  const ClaimRef other =
      node_.add_claim(2, {0}, Json::object(), Json::array({reserved_for("pod-b")}));
  const auto blocked = node_.prepare(other, 500ms);
  ASSERT_FALSE(blocked);
  EXPECT_THAT(blocked.error().message(),
              HasSubstr("device 0000-08-00-0: it is held by claim tenant/claim-1 (uid-1), Undoing: "
                        "vfio: unprepare "
                        "0000-08-00-0: held open by pid 4711"));
  // The runner comes again by itself, also while the other claim waits for the device in its call.
  auto waiting = node_.prepare_later(other);
  stuck = false;
  const auto free = waiting.get();
  ASSERT_TRUE(free) << free.error().to_string();
  EXPECT_TRUE(node_.events->wait_for_held({{kVf0, "uid-2 Prepared"}}));
  EXPECT_EQ(node_.recording.count("vhost.unprepare " + kVf0), 1U)
      << "what was undone is not undone again";
}

TEST_F(ClaimUndoTest, TheEventOfAFailingUndoIsNotRepeated) {
  std::atomic<int> attempts{0};
  node_.vfio.on("unprepare", [&attempts](const std::string&, module::PrepareSink*) -> Status {
    ++attempts;
    return busy();
  });
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  EXPECT_FALSE(node_.unprepare(claim));
  while (attempts < 5) std::this_thread::yield();
  EXPECT_EQ(node_.events->events().size(), 1U);
}

TEST_F(ClaimUndoTest, AnUnprepareThatFailsSaysWhoHoldsTheDeviceAndComesAgain) {
  std::atomic<bool> stuck{true};
  node_.vfio.on("unprepare", [&stuck](const std::string&, module::PrepareSink*) -> Status {
    if (stuck) return busy();
    return {};
  });
  const ClaimRef claim = node_.add_claim(1, {0, 1}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  const auto status = node_.unprepare(claim);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(),
            "claim tenant/claim-1: vfio: unprepare 0000-08-00-1: held open by pid 4711");
  EXPECT_GE(node_.recording.count("vfio.unprepare " + kVf0), 1U)
      << "the other device is tried all the same";
  stuck = false;
  ASSERT_TRUE(node_.unprepare(claim)) << "kubelet comes back";
  node_.expect_pristine();
  EXPECT_TRUE(node_.events->wait_for_held({}));
}

TEST_F(ClaimUndoTest, TheRunnerFinishesAnUnprepareWithoutKubelet) {
  std::atomic<int> times{3};
  node_.vfio.on("unprepare", fails_times(times, busy()));
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  EXPECT_FALSE(node_.unprepare(claim));
  EXPECT_TRUE(node_.events->wait_for_held({}));
  node_.expect_pristine();
}

TEST_F(ClaimUndoTest, APrepareOfAClaimThatIsBeingUndoneUndoesItFirst) {
  std::atomic<bool> stuck{true};
  node_.vfio.on("unprepare", [&stuck](const std::string&, module::PrepareSink*) -> Status {
    if (stuck) return broken();
    return {};
  });
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  EXPECT_FALSE(node_.unprepare(claim));
  const auto refused = node_.prepare(claim);
  ASSERT_FALSE(refused) << "half undone is not prepared";
  EXPECT_EQ(refused.error().message(),
            "claim tenant/claim-1: what an earlier prepare left could not be undone: vfio: "
            "unprepare 0000-08-00-0: "
            "broken");
  stuck = false;
  ASSERT_TRUE(node_.prepare(claim));
  EXPECT_EQ(node_.journal->find("uid-1")->state, RecordState::kPrepared);
  ASSERT_TRUE(node_.unprepare(claim));
  node_.expect_pristine();
}

TEST_F(ClaimUndoTest, ARecordThatCannotBeRemovedStaysAndIsTriedAgain) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  std::atomic<bool> bad_disk{true};
  const auto file = node_.claims() / "uid-1.json";
  node_.cdi.on("remove", [&](const std::string& id) -> Status {
    if (id != "uid-1") return {};
    std::filesystem::remove_all(file);
    if (bad_disk) std::filesystem::create_directory(file);
    return {};
  });
  const auto status = node_.unprepare(claim);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(),
              HasSubstr("claim tenant/claim-1: journal: remove " + file.native()));
  ASSERT_TRUE(wait_undoing(kVf0, "uid-1"));
  bad_disk = false;
  EXPECT_TRUE(node_.events->wait_for_held({}));
  node_.expect_pristine();
}

TEST_F(ClaimUndoTest, AModuleThatIsNoLongerLoadedKeepsTheDeviceBlocked) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  node_.stop();
  const auto bindings = std::exchange(node_.modules.binding, {&node_.vf_state});
  ASSERT_TRUE(node_.start());
  const auto status = node_.unprepare(claim);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().to_string(),
            "claim tenant/claim-1: vfio: unprepare 0000-08-00-0: the module is not loaded any "
            "more, and only it can put "
            "the device back — hint: enable the module again until the claim is released");
  node_.stop();
  node_.modules.binding = bindings;
  ASSERT_TRUE(node_.start());
  ASSERT_TRUE(node_.unprepare(claim));
  node_.expect_pristine();
}

}  // namespace
}  // namespace drasriov::claim
