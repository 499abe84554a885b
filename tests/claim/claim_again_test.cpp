// SPDX-License-Identifier: Apache-2.0
//
// A claim that is prepared and asked for again: the same answer, another allocation, a device that is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/claim/started_node.hpp"

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Json;
using testing::kVf0;
using testing::kVf1;
using testing::kVfio;
using ::testing::Not;
using testing::reserved_for;
using testing::virtual_function;

class ClaimAgainTest : public testing::StartedNodeTest {};

TEST_F(ClaimAgainTest, ANewPodOfASharedClaimGetsTheSameAnswer) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  const auto first = node_.prepare(claim);
  node_.add_claim(1, {0}, kVfio, Json::array({reserved_for("pod-b"), reserved_for("pod-c")}));
  node_.recording.clear();
  const auto second = node_.prepare(claim);
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second) << "kubelet keeps the first ids in its checkpoint";
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 0U);
  EXPECT_EQ(node_.journal->find("uid-1")->consumers.size(), 2U)
      << "names and modules go by who uses it now";
  // A claim of the new pod takes another interface name.
  prepared(node_.add_claim(2, {1}, Json::object(), Json::array({reserved_for("pod-b")})));
  EXPECT_EQ(node_.journal->find("uid-2")->devices[0].plan.interface_name, "vfnet1");
}

TEST_F(ClaimAgainTest, ASharedClaimAllocatedAnewIsUndoneFirst) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  node_.add_claim(1, {1}, kVfio);
  node_.recording.clear();
  const auto answer = node_.prepare(claim);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ((*answer)[0].device_name, kVf1);
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("vfio.unprepare " + kVf0, "cdi.remove uid-1", "cdi.remove uid-of-pod-a",
                          "vfio.snapshot " + kVf1, "vfio.prepare " + kVf1, "cdi.write uid-1",
                          "cdi.write uid-of-pod-a"));
  EXPECT_EQ(node_.vfio.machine(), (std::map<std::string, std::string>{{kVf1, "uid-1"}}));
  EXPECT_TRUE(node_.events->wait_for_held({{kVf1, "uid-1 Prepared"}}));
  unprepared(claim);
  node_.expect_pristine();
}

TEST_F(ClaimAgainTest, ANewAllocationThatIsBadLeavesTheOldOne) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  node_.add_claim(1, {1}, {{"driver", "no such driver"}});
  EXPECT_FALSE(node_.prepare(claim));
  EXPECT_EQ(node_.vfio.machine().at(kVf0), "uid-1");
  EXPECT_EQ(node_.journal->find("uid-1")->state, RecordState::kPrepared);
}

TEST_F(ClaimAgainTest, AnotherDeviceInItsPlaceIsPreparedAnewAndTheOldNotRestored) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  // numvfs 4 → 0 → 4: the same address, another function.
  node_.set_devices({virtual_function(0, "2")});
  node_.recording.clear();
  prepared(claim);
  EXPECT_THAT(node_.recording.lines(), Not(::testing::Contains("vfio.unprepare " + kVf0)));
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 1U);
  EXPECT_TRUE(node_.events->wait_for_event(
      "Warning DeviceLost uid-1: device 0000-08-00-0 is another one since"));
}

TEST_F(ClaimAgainTest, ADeviceThatIsGoneIsForgottenWithoutTouchingIt) {
  const ClaimRef claim = node_.add_claim(1, {0, 1}, kVfio);
  prepared(claim);
  node_.set_devices({virtual_function(1)});
  const auto again = node_.prepare(claim);
  ASSERT_FALSE(again) << "the answer would name a device that is not there";
  EXPECT_THAT(again.error().message(),
              HasSubstr("device 0000-08-00-0: there is no such virtual function"));
  node_.recording.clear();
  unprepared(claim);
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("vfio.unprepare " + kVf1, "cdi.remove uid-1", "cdi.remove uid-of-pod-a"));
  EXPECT_THAT(node_.journal_files(), IsEmpty());
  EXPECT_TRUE(node_.events->wait_for_event("device 0000-08-00-0 is gone: nothing was put back"));
}

TEST_F(ClaimAgainTest, ADeviceThatDiscoveryCannotReadIsNotForgotten) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  node_.set_devices({virtual_function(1)}, {{"0000:08:00.0", "no class file"}});
  const auto status = node_.unprepare(claim);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(),
            "claim tenant/claim-1: put back 0000-08-00-0: discovery cannot read the device now");
  node_.set_devices({virtual_function(0), virtual_function(1)});
  unprepared(claim);
  node_.expect_pristine();
}

TEST_F(ClaimAgainTest, ACallBeforeTheFirstScanWaitsForIt) {
  const auto claim = node_.add_claim(1, {0});
  node_.forget_devices();
  auto answer = node_.prepare_later(claim);
  EXPECT_EQ(answer.wait_for(50ms), std::future_status::timeout);
  EXPECT_TRUE(node_.journal_files().empty());
  node_.set_devices({virtual_function(0)});
  EXPECT_TRUE(answer.get());
}

TEST_F(ClaimAgainTest, WithoutAScanNoDeviceIsForgotten) {
  const auto claim = node_.add_claim(1, {0}, {{"driver", "vfio-pci"}});
  ASSERT_TRUE(node_.prepare(claim));
  node_.forget_devices();
  EXPECT_FALSE(node_.unprepare(claim));
  EXPECT_FALSE(node_.journal_files().empty());
  node_.set_devices({virtual_function(0)});
  EXPECT_TRUE(node_.unprepare(claim));
  node_.expect_pristine();
}

}  // namespace
}  // namespace drasriov::claim
