// SPDX-License-Identifier: Apache-2.0
#include "host/app/steps.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace drasriov::app {
namespace {

struct Trace {
  std::vector<std::string> calls;
};

Status make_a(Trace& trace) {
  trace.calls.emplace_back("+a");
  return {};
}
Status make_b(Trace& trace) {
  trace.calls.emplace_back("+b");
  return {};
}
Status make_c(Trace& /*trace*/) {
  return Error(Code::kUnavailable, "no", "try");
}
void end_a(Trace& trace) {
  trace.calls.emplace_back("-a");
}
void end_c(Trace& trace) {
  trace.calls.emplace_back("-c");
}

constexpr std::array<Step<Trace>, 3> kSteps = {Step<Trace>{"make a", make_a, end_a},
                                               Step<Trace>{"make b", make_b, nullptr},
                                               Step<Trace>{"make c", make_c, end_c}};

TEST(Steps, StopsWhatWasStartedInReverse) {
  Trace trace;
  const auto started = start_steps<Trace>(kSteps, trace, [] { return false; });
  EXPECT_EQ(started.count, 2U) << "the one that failed did not start";
  EXPECT_EQ(started.status.error().to_string(), "make c: no — hint: try");
  stop_steps<Trace>(kSteps, started.count, trace);
  EXPECT_EQ(trace.calls, (std::vector<std::string>{"+a", "+b", "-a"}));
}

TEST(Steps, AnInterruptEndsBetweenTwo) {
  Trace trace;
  const auto started = start_steps<Trace>(kSteps, trace, [&] { return trace.calls.size() == 1; });
  EXPECT_EQ(started.count, 1U);
  EXPECT_EQ(started.status.error().code(), Code::kCancelled);
  EXPECT_EQ(started.status.error().message(), "stopped before make b");
}

}  // namespace
}  // namespace drasriov::app
