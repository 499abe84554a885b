// SPDX-License-Identifier: Apache-2.0
//
// Calls at once: serial for a claim and for a device, parallel otherwise, no thread held up by a wait. FakeBinding
// reports two calls at once for one claim or one device as a violation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>

#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Json;
using testing::kVf0;
using testing::kVfio;
using testing::Node;
using testing::reserved_for;
using testing::virtual_function;

class ClaimConcurrencyTest : public ::testing::Test {
 protected:
  Node node_;
};

TEST_F(ClaimConcurrencyTest, OneClaimAskedManyTimesIsPreparedOnce) {
  ASSERT_TRUE(node_.start(8));
  const ClaimRef claim = node_.add_claim(1, {0, 1}, kVfio);
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(node_.prepare_later(claim));
  const auto first = answers.front().get();
  ASSERT_TRUE(first) << first.error().to_string();
  for (std::size_t i = 1; i < answers.size(); ++i) EXPECT_EQ(*answers[i].get(), *first);
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 1U);
  ASSERT_TRUE(node_.unprepare(claim));
  node_.expect_pristine();
}

TEST_F(ClaimConcurrencyTest, ManyClaimsOfSeveralPodsComeAndGo) {
  ASSERT_TRUE(node_.start(8));
  std::vector<ClaimRef> claims;
  for (int i = 0; i < 100; ++i) {
    // Ten pods of ten claims; names, pod documents and devices are shared state of each pod.
    claims.push_back(node_.add_claim(i, {i}, kVfio,
                                     Json::array({reserved_for("pod-" + std::to_string(i % 10))})));
  }
  for (int round = 0; round < 3; ++round) {
    std::vector<std::future<Answer>> answers;
    for (const ClaimRef& claim : claims) answers.push_back(node_.prepare_later(claim));
    for (auto& answer : answers) {
      const auto got = answer.get();
      ASSERT_TRUE(got) << got.error().to_string();
    }
    for (int pod = 0; pod < 10; ++pod) {
      std::set<std::string> names;
      for (int i = pod; i < 100; i += 10) {
        names.insert(
            node_.journal->find("uid-" + std::to_string(i))->devices[0].plan.interface_name);
      }
      EXPECT_EQ(names.size(), 10U) << "two equal interface names in pod " << pod;
      const Json spec = Json::parse(node_.cdi.specs().at("uid-of-pod-" + std::to_string(pod)));
      const auto list =
          spec.at("devices").at(0).at("containerEdits").at("env").at(0).get<std::string>();
      EXPECT_EQ(std::ranges::count(list, ','), 9) << list;
    }
    EXPECT_EQ(node_.vfio.machine().size(), 100U);
    EXPECT_EQ(node_.journal->held()->size(), 100U);
    std::vector<std::future<Status>> gone;
    for (const ClaimRef& claim : claims) gone.push_back(node_.unprepare_later(claim));
    for (auto& status : gone) EXPECT_TRUE(status.get());
    node_.expect_pristine();
  }
}

TEST_F(ClaimConcurrencyTest, PreparesAndUnpreparesOfTheSameClaimsInterleave) {
  ASSERT_TRUE(node_.start(8));
  std::vector<ClaimRef> claims;
  for (int i = 0; i < 8; ++i)
    claims.push_back(node_.add_claim(i, {i / 2}, kVfio, Json::array({reserved_for("p")})));
  // Two claims each want one device: half of the prepares is refused, whichever half.
  std::vector<std::future<Answer>> answers;
  std::vector<std::future<Status>> gone;
  for (int round = 0; round < 25; ++round) {
    for (const ClaimRef& claim : claims) {
      answers.push_back(node_.prepare_later(claim));
      gone.push_back(node_.unprepare_later(claim));
    }
  }
  int prepared = 0;
  for (auto& answer : answers) {
    const auto got = answer.get();
    if (got) {
      ++prepared;
    } else {
      EXPECT_THAT(got.error().message(), HasSubstr("it is held by claim tenant/claim-"));
    }
  }
  for (auto& status : gone) EXPECT_TRUE(status.get());
  EXPECT_GE(prepared, 25);
  node_.expect_pristine();
}

TEST_F(ClaimConcurrencyTest, CallsOfOneClaimKeepTheirOrder) {
  ASSERT_TRUE(node_.start(8));
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  for (int i = 0; i < 50; ++i) {
    auto answer = node_.prepare_later(claim);
    auto gone = node_.unprepare_later(claim);
    ASSERT_TRUE(answer.get());
    ASSERT_TRUE(gone.get());
    ASSERT_EQ(node_.journal->find("uid-1"), nullptr) << "the unprepare was overtaken";
  }
  node_.expect_pristine();
}

TEST_F(ClaimConcurrencyTest, ASlowDeviceHoldsUpNobodyElse) {
  ASSERT_TRUE(node_.start(2));
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::latch inside(1);
  node_.vfio.on("prepare", [&, gate](const std::string& device, module::PrepareSink*) {
    if (device == kVf0) {
      inside.count_down();
      gate.wait();
    }
    return Status();
  });
  const ClaimRef slow = node_.add_claim(1, {0}, kVfio);
  auto slow_answer = node_.prepare_later(slow);
  inside.wait();
  // Twenty more calls for the same claim and for others that want its device: they are parked, not on a thread.
  std::vector<std::future<Answer>> parked;
  for (int i = 0; i < 10; ++i) parked.push_back(node_.prepare_later(slow));
  for (int i = 10; i < 20; ++i) {
    parked.push_back(
        node_.prepare_later(node_.add_claim(i, {0}, kVfio, Json::array({reserved_for("pod-b")}))));
  }
  const auto other =
      node_.prepare(node_.add_claim(2, {1}, kVfio, Json::array({reserved_for("pod-c")})));
  EXPECT_TRUE(other) << "the second thread serves it";
  go.set_value();
  EXPECT_TRUE(slow_answer.get());
  for (std::size_t i = 0; i < parked.size(); ++i) EXPECT_EQ(parked[i].get().ok(), i < 10) << i;
  EXPECT_THAT(node_.vfio.violations(), IsEmpty());
}

TEST_F(ClaimConcurrencyTest, ACallThatExpiresWhileItWaitsSaysForWhat) {
  ASSERT_TRUE(node_.start(2));
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::latch inside(1);
  node_.vfio.on("prepare", [&, gate](const std::string&, module::PrepareSink*) {
    inside.count_down();
    gate.wait();
    return Status();
  });
  const ClaimRef slow = node_.add_claim(1, {0}, kVfio);
  auto slow_answer = node_.prepare_later(slow);
  inside.wait();
  const auto same_claim = node_.prepare(slow, 300ms);
  ASSERT_FALSE(same_claim);
  EXPECT_EQ(same_claim.error().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(same_claim.error().message(),
            "claim tenant/claim-1: the time was spent waiting for claim uid-1, busy with prepare "
            "of claim "
            "tenant/claim-1");
  const auto same_device =
      node_.prepare(node_.add_claim(2, {0}, kVfio, Json::array({reserved_for("pod-b")})), 300ms);
  ASSERT_FALSE(same_device);
  EXPECT_EQ(same_device.error().message(),
            "claim tenant/claim-2: the time was spent waiting for device 0000-08-00-0, busy with "
            "prepare of claim "
            "tenant/claim-1");
  const auto unprepare = node_.unprepare(slow, 300ms);
  ASSERT_FALSE(unprepare);
  EXPECT_EQ(unprepare.error().code(), Code::kDeadlineExceeded);
  go.set_value();
  EXPECT_TRUE(slow_answer.get());
}

TEST_F(ClaimConcurrencyTest, StopLeavesAnInterruptedPrepareToTheNextStart) {
  ASSERT_TRUE(node_.start(2));
  std::latch tried(2);
  node_.vfio.on("prepare", [&](const std::string&, module::PrepareSink*) -> Status {
    if (!tried.try_wait()) tried.count_down();
    return Error(Code::kUnavailable, "held open by pid 7");
  });
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  auto answer = node_.prepare_later(claim);
  tried.wait();
  node_.queue->stop();
  const auto got = answer.get();
  ASSERT_FALSE(got);
  EXPECT_EQ(node_.vfio.machine().size(), 1U);
  node_.vfio.on("prepare", {});
  ASSERT_TRUE(node_.restart());
  node_.expect_pristine();
  EXPECT_TRUE(node_.prepare(claim));
}

}  // namespace
}  // namespace drasriov::claim
