// SPDX-License-Identifier: Apache-2.0
//
// What a start finds: records that are not final, lost or orphaned CDI documents, another boot, other devices, bad files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "host/base/durable_file.hpp"
#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Json;
using testing::kVf0;
using testing::kVf1;
using testing::kVfio;
using testing::Node;
using ::testing::Not;
using testing::reserved_for;
using testing::virtual_function;

class ClaimRecoveryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(node_.start()); }
  /// The claim's file with another state, as a killed process would have left it.
  void set_state_on_disk(const std::string& uid, RecordState state) {
    const auto file = node_.claims() / (uid + ".json");
    auto record = decode_record(*read_file(file));
    ASSERT_TRUE(record);
    record->state = state;
    for (auto& device : record->devices) device.cdi_device_ids.clear();
    ASSERT_TRUE(replace_file(file, encode_record(*record), Durability::kDurable));
  }
  Node node_;
};

TEST_F(ClaimRecoveryTest, AnIntentIsUndone) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  node_.stop();
  set_state_on_disk("uid-1", RecordState::kPreparing);
  ASSERT_TRUE(node_.start());
  node_.expect_pristine();
  EXPECT_EQ(node_.vfio.last_unprepare().first, "vfio found nothing");
  EXPECT_THAT(node_.events->held(), IsEmpty());
  EXPECT_TRUE(node_.prepare(claim)) << "the retried request succeeds";
}

TEST_F(ClaimRecoveryTest, AnInterruptedUndoIsFinished) {
  const ClaimRef claim = node_.add_claim(1, {0, 1}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  node_.stop();
  set_state_on_disk("uid-1", RecordState::kUndoing);
  ASSERT_TRUE(node_.start());
  node_.expect_pristine();
}

TEST_F(ClaimRecoveryTest, AnUndoThatStillFailsBlocksItsDeviceAndGoesOnBehind) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  ASSERT_TRUE(node_.prepare(claim));
  node_.stop();
  set_state_on_disk("uid-1", RecordState::kPreparing);
  std::atomic<bool> stuck{true};
  node_.vfio.on("unprepare", [&stuck](const std::string&, module::PrepareSink*) -> Status {
    if (stuck) return Error(Code::kUnavailable, "held open by pid 4711");
    return {};
  });
  ASSERT_TRUE(node_.start());
  EXPECT_TRUE(node_.events->wait_for_held({{kVf0, "uid-1 Undoing"}}));
  stuck = false;
  EXPECT_TRUE(node_.events->wait_for_held({}));
  node_.expect_pristine();
}

TEST_F(ClaimRecoveryTest, PreparedClaimsKeepTheirDocumentsAndDevices) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0}, kVfio)));
  ASSERT_TRUE(node_.prepare(node_.add_claim(2, {1}, kVfio)));
  const auto specs = node_.cdi.specs();
  node_.stop();
  node_.cdi.lose_all();  // a tmpfs
  node_.cdi.set("uid-gone", "{}");
  node_.cdi.set("uid-of-pod-gone", "{}");
  node_.recording.clear();
  ASSERT_TRUE(node_.start());
  EXPECT_EQ(node_.cdi.specs(), specs) << "rewritten, and those of nobody removed";
  EXPECT_EQ(node_.recording.count("vfio.unprepare " + kVf0), 0U);
  EXPECT_EQ(node_.events->status_of("uid-1").size(), 1U) << "the old process may not have told it";
  EXPECT_EQ(node_.events->held(), (std::map<std::string, std::string>{{kVf0, "uid-1 Prepared"},
                                                                      {kVf1, "uid-2 Prepared"}}));
}

TEST_F(ClaimRecoveryTest, AfterARebootNothingIsRestored) {
  const ClaimRef kept = node_.add_claim(1, {0, 1}, kVfio);
  const ClaimRef dropped = node_.add_claim(2, {2}, kVfio);
  const ClaimRef interrupted = node_.add_claim(3, {3}, kVfio);
  for (const ClaimRef& claim : {kept, dropped, interrupted}) ASSERT_TRUE(node_.prepare(claim));
  node_.stop();
  set_state_on_disk("uid-3", RecordState::kPreparing);
  node_.boot_id = "boot-2";
  node_.recording.clear();
  ASSERT_TRUE(node_.start());
  EXPECT_THAT(node_.cdi.specs(), IsEmpty())
      << "no container may start with what was there before the reboot";
  EXPECT_THAT(node_.journal_files(), ElementsAre("uid-1.json", "uid-2.json"))
      << "an interrupted one is over";
  EXPECT_THAT(node_.events->held(), IsEmpty());

  ASSERT_TRUE(node_.unprepare(dropped));
  EXPECT_THAT(node_.journal_files(), ElementsAre("uid-1.json"));
  const auto again = node_.prepare(kept);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 1U) << "prepared on demand";
  for (const std::string& line : node_.recording.lines())
    EXPECT_THAT(line, Not(HasSubstr("unprepare")));
  EXPECT_EQ(node_.journal->find("uid-1")->boot_id, "boot-2");
}

TEST_F(ClaimRecoveryTest, AfterARebootAPodsClaimsKeepTheirInterfaceNames) {
  const ClaimRef first = node_.add_claim(1, {0});
  const ClaimRef second = node_.add_claim(2, {1});
  ASSERT_TRUE(node_.prepare(first));
  ASSERT_TRUE(node_.prepare(second));
  node_.boot_id = "boot-2";
  ASSERT_TRUE(node_.restart());
  ASSERT_TRUE(node_.prepare(second));
  ASSERT_TRUE(node_.prepare(first));
  EXPECT_EQ(node_.journal->find("uid-1")->devices[0].plan.interface_name, "vfnet0");
  EXPECT_EQ(node_.journal->find("uid-2")->devices[0].plan.interface_name, "vfnet1");
}

TEST_F(ClaimRecoveryTest, AfterARebootAnotherClaimMayHaveTheDevice) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0}, kVfio)));
  node_.boot_id = "boot-2";
  node_.vfio.on("unprepare", [](const std::string&, module::PrepareSink*) -> Status {
    ADD_FAILURE() << "a late delete touched the next owner";
    return {};
  });
  ASSERT_TRUE(node_.restart());
  ASSERT_TRUE(
      node_.prepare(node_.add_claim(2, {0}, Json::object(), Json::array({reserved_for("pod-b")}))));
  ASSERT_TRUE(node_.unprepare({"tenant", "claim-1", "uid-1"}));
  EXPECT_EQ(node_.events->held(), (std::map<std::string, std::string>{{kVf0, "uid-2 Prepared"}}));
}

TEST_F(ClaimRecoveryTest, AfterARebootRecordsOfClaimsThatAreGoneAreDropped) {
  const ClaimRef kept = node_.add_claim(1, {0});
  const ClaimRef gone = node_.add_claim(2, {1});
  const ClaimRef replaced = node_.add_claim(3, {2});
  for (const ClaimRef& claim : {kept, gone, replaced}) ASSERT_TRUE(node_.prepare(claim));
  node_.stop();
  node_.cluster.erase(cluster::resource_claims(), "tenant", "claim-2");
  node_.cluster.put(
      cluster::resource_claims(),
      testing::claim_object({"tenant", "claim-3", "uid-new"}, {testing::result_of("main", kVf0)}));
  node_.boot_id = "boot-2";
  node_.settings.stale_check = 5ms;
  std::atomic<int> looked{0};
  node_.cluster.on_get([&looked](const cluster::ObjectKey&) -> Status {
    if (++looked <= 3) return Error(Code::kUnavailable, "an API that is away says nothing");
    return {};
  });
  ASSERT_TRUE(node_.start());
  while (looked < 10) std::this_thread::yield();
  EXPECT_THAT(node_.journal_files(), ElementsAre("uid-1.json"));
}

TEST_F(ClaimRecoveryTest, AnIntentOfADeviceOfAnotherIncarnationIsDroppedWithAnEvent) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0}, kVfio)));
  node_.stop();
  set_state_on_disk("uid-1", RecordState::kPreparing);
  node_.set_devices({virtual_function(0, "2")});
  node_.recording.clear();
  ASSERT_TRUE(node_.start());
  EXPECT_THAT(node_.recording.lines(), Not(Contains("vfio.unprepare " + kVf0)));
  EXPECT_THAT(node_.journal_files(), IsEmpty());
  EXPECT_TRUE(node_.events->wait_for_event(
      "Warning DeviceLost uid-1: device 0000-08-00-0 is another one since (virtual "
      "functions were removed and made anew): nothing was put back"));
}

TEST_F(ClaimRecoveryTest, ABadRecordIsToldAndTheOthersLive) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0}, kVfio)));
  ASSERT_TRUE(node_.prepare(node_.add_claim(2, {1}, kVfio, Json::array({reserved_for("pod-b")}))));
  node_.stop();
  const auto file = node_.claims() / "uid-1.json";
  std::string text = *read_file(file);
  text[text.find("vfnet0")] = 'V';
  ASSERT_TRUE(replace_file(file, text, Durability::kDurable));
  node_.recording.clear();
  ASSERT_TRUE(node_.start());
  EXPECT_TRUE(node_.events->wait_for_event("Warning RecordQuarantined uid-1: record " +
                                           file.native() + ": its checksum does not match"));
  EXPECT_EQ(node_.events->held(), (std::map<std::string, std::string>{{kVf0, "uid-1 Quarantined"},
                                                                      {kVf1, "uid-2 Prepared"}}));
  EXPECT_EQ(node_.cdi.specs().count("uid-1"), 1U) << "its pod may be running";
  EXPECT_EQ(node_.cdi.specs().count("uid-of-pod-a"), 1U);

  const auto refused =
      node_.prepare(node_.add_claim(3, {0}, kVfio, Json::array({reserved_for("pod-c")})));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("it is held by claim tenant/claim-1 (uid-1), Quarantined: record "));

  // kubelet is done with the claim: the device is free, what was there before cannot be known.
  ASSERT_TRUE(node_.unprepare({"tenant", "claim-1", "uid-1"}));
  EXPECT_TRUE(node_.events->wait_for_held({{kVf1, "uid-2 Prepared"}}));
  EXPECT_THAT(node_.recording.lines(), Not(Contains("vfio.unprepare " + kVf0)));
  EXPECT_TRUE(node_.prepare({"tenant", "claim-3", "uid-3"}));
}

TEST_F(ClaimRecoveryTest, AClaimInQuarantineMayBePreparedAgain) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  const auto first = node_.prepare(claim);
  node_.stop();
  const auto file = node_.claims() / "uid-1.json";
  std::string text = *read_file(file);
  text[text.find("vfnet0")] = 'V';
  ASSERT_TRUE(replace_file(file, text, Durability::kDurable));
  ASSERT_TRUE(node_.start());
  const auto again = node_.prepare(claim);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*first, *again);
  EXPECT_TRUE(node_.events->wait_for_held({{kVf0, "uid-1 Prepared"}}));
  ASSERT_TRUE(node_.unprepare(claim));
  EXPECT_TRUE(node_.events->wait_for_held({}));
}

TEST_F(ClaimRecoveryTest, WithAnUnreadableRecordNoDocumentIsTakenForAnOrphan) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0})));
  node_.stop();
  std::ofstream(node_.claims() / "uid-1.json", std::ios::trunc) << "garbage";
  ASSERT_TRUE(node_.start());
  EXPECT_EQ(node_.cdi.specs().size(), 2U) << "whose pod's document it is cannot be known";
  ASSERT_TRUE(node_.unprepare({"tenant", "claim-1", "uid-1"}));
  ASSERT_TRUE(node_.restart());
  EXPECT_THAT(node_.cdi.specs(), IsEmpty());
}

TEST_F(ClaimRecoveryTest, ACdiFolderThatRefusesIsSaidSo) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0})));
  node_.stop();
  node_.cdi.on("write", [](const std::string&) {
    return Error(Code::kFailedPrecondition, "Read-only file system");
  });
  const auto started = node_.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message(), "claim tenant/claim-1: Read-only file system");
  EXPECT_FALSE(node_.prepare({"tenant", "claim-1", "uid-1"}))
      << "no answer with ids that lead nowhere";
  node_.cdi.on("write", {});
  EXPECT_TRUE(node_.prepare({"tenant", "claim-1", "uid-1"}));
}

TEST_F(ClaimRecoveryTest, ALateUndoDoesNotHoldUpTheStart) {
  ASSERT_TRUE(node_.prepare(node_.add_claim(1, {0}, kVfio)));
  node_.stop();
  set_state_on_disk("uid-1", RecordState::kPreparing);
  std::promise<void> go;
  auto gate = go.get_future().share();
  node_.vfio.on("unprepare", [gate](const std::string&, module::PrepareSink*) {
    gate.wait();
    return Status();
  });
  node_.recovery_budget = 20ms;
  ASSERT_TRUE(node_.start());
  EXPECT_EQ(node_.events->held(), (std::map<std::string, std::string>{{kVf0, "uid-1 Preparing"}}))
      << "blocked";
  go.set_value();
  EXPECT_TRUE(node_.events->wait_for_held({}));
  node_.expect_pristine();
}

}  // namespace
}  // namespace drasriov::claim
