// SPDX-License-Identifier: Apache-2.0
#include "host/app/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

namespace drasriov::app {
namespace {

TEST(Signals, BecomeEvents) {
  auto signals = Signals::open();
  ASSERT_TRUE(signals) << signals.error().to_string();
  for (const auto& [number, event] :
       {std::pair{SIGTERM, Signal::kStop}, std::pair{SIGINT, Signal::kStop},
        std::pair{SIGHUP, Signal::kRescan}, std::pair{SIGUSR1, Signal::kStatus}}) {
    ASSERT_EQ(::raise(number), 0);
    EXPECT_EQ(signals->wait(Deadline::infinite()), event) << number;
  }
  EXPECT_EQ(signals->wait(Deadline::after({})), std::nullopt);
}

TEST(Signals, AStopThatDoesNotEndIsEnded) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        end_process_after(1);
        for (;;) ::pause();
      },
      testing::ExitedWithCode(3), "did not stop in time");
}

}  // namespace
}  // namespace drasriov::app
