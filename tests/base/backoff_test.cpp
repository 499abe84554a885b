// SPDX-License-Identifier: Apache-2.0
#include "host/base/backoff.hpp"

#include <gtest/gtest.h>

#include <set>

namespace drasriov {
namespace {

using namespace std::chrono_literals;

TEST(BackoffTest, EachPauseIsHalfToAllOfATimeThatDoublesUpToTheLongest) {
  for (int round = 0; round < 100; ++round) {
    Backoff backoff(100ms, 500ms);
    for (const auto longest : {100ms, 200ms, 400ms, 500ms, 500ms}) {
      const auto pause = backoff.next();
      EXPECT_GE(pause, longest / 2);
      EXPECT_LE(pause, longest);
    }
    backoff.reset();
    EXPECT_LE(backoff.next(), 100ms);
  }
}

TEST(BackoffTest, TwoThatFailTogetherDoNotComeTogether) {
  std::set<Backoff::Duration> pauses;
  for (int i = 0; i < 50; ++i) pauses.insert(Backoff(10s, 10s).next());
  EXPECT_GT(pauses.size(), 40U);
}

TEST(BackoffTest, NoPauseIsPossible) {
  Backoff backoff(0ms, 0ms);
  EXPECT_EQ(backoff.next(), 0ms);
  EXPECT_EQ(backoff.next(), 0ms);
}

}  // namespace
}  // namespace drasriov
