// SPDX-License-Identifier: Apache-2.0
#include "plugins/kernel-modules/timed_calls.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace drasriov::kernel_modules {
namespace {

using namespace std::chrono_literals;
using Clock = TimedCalls::Clock;

constexpr auto kLong = 30s;

TEST(TimedCallsTest, WaitsForTheResult) {
  TimedCalls calls;
  int value = 0;
  EXPECT_TRUE(calls.run("a", Clock::now() + kLong, [&] { value = 7; }));
  EXPECT_EQ(value, 7);
}

TEST(TimedCallsTest, LeavesWhatStaysInTheKernelAndComesBackToIt) {
  std::promise<void> closed;
  std::atomic<int> order = 0;
  {
    TimedCalls calls;
    auto wait = closed.get_future().share();
    EXPECT_FALSE(calls.run("a", Clock::now() + 5ms, [wait, &order] {
      wait.wait();
      order = 1;
    }));
    // The same device: not begun while the first is under way. Another device: not held up.
    EXPECT_FALSE(calls.run("a", Clock::now() + 5ms, [&] { order = 99; }));
    EXPECT_TRUE(calls.run("b", Clock::now() + kLong, [] {}));
    closed.set_value();
    EXPECT_TRUE(calls.run("a", Clock::now() + kLong, [&] { order = order == 1 ? 2 : 98; }));
  }
  EXPECT_EQ(order, 2);
}

TEST(TimedCallsTest, ManyCallersOfOneKeyTakeTurns) {
  TimedCalls calls;
  int inside = 0;  // not atomic: only one is inside
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        EXPECT_TRUE(calls.run("module vfio-pci", Clock::now() + kLong, [&] { ++inside; }));
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(inside, 400);
}

}  // namespace
}  // namespace drasriov::kernel_modules
