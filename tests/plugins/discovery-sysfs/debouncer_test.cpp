// SPDX-License-Identifier: Apache-2.0
//
// The debouncer over a table of bursts, in milliseconds: quiet 50, cap 500.
#include "plugins/discovery-sysfs/debouncer.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace drasriov::discovery_sysfs {
namespace {

using Milliseconds = std::chrono::milliseconds;

Debouncer::Clock::time_point at(int milliseconds) {
  return Debouncer::Clock::time_point(Milliseconds(milliseconds));
}

/// Every 20 ms from `from` to `to`.
std::vector<int> storm(int from, int to) {
  std::vector<int> events;
  for (int time = from; time <= to; time += 20) {
    events.push_back(time);
  }
  return events;
}

struct Burst {
  std::string name;
  std::vector<int> events;
  std::vector<int> notices;
};

void PrintTo(const Burst& burst, std::ostream* out) {
  *out << burst.name;
}

class Bursts : public ::testing::TestWithParam<Burst> {};

TEST_P(Bursts, BecomeNotices) {
  Debouncer debouncer(Milliseconds(50), Milliseconds(500));
  std::vector<int> notices;
  std::size_t next = 0;
  for (int now = 0; now <= 2000; ++now) {
    if (debouncer.take(at(now))) {
      notices.push_back(now);
    }
    while (next < GetParam().events.size() && GetParam().events[next] == now) {
      debouncer.event(at(now));
      ++next;
    }
  }
  EXPECT_EQ(notices, GetParam().notices);
}

INSTANTIATE_TEST_SUITE_P(
    Debouncer, Bursts,
    ::testing::Values(
        Burst{"None", {}, {}}, Burst{"One", {100}, {150}}, Burst{"TwoTogether", {100, 100}, {150}},
        Burst{"TwoNear", {100, 149}, {199}},
        // At the moment it is due the notice goes out; the event after it is another burst.
        Burst{"SecondWhenDue", {100, 150}, {150, 200}}, Burst{"TwoFar", {100, 300}, {150, 350}},
        Burst{"SettlesBeforeTheCap", storm(0, 440), {490}},
        Burst{"Capped", storm(0, 700), {500, 750}},
        Burst{"CappedTwice", storm(0, 1200), {500, 1000, 1250}}),
    [](const auto& burst) { return burst.param.name; });

TEST(DebouncerLimits, ZeroMeansAtOnce) {
  Debouncer debouncer(Milliseconds(0), Milliseconds(0));
  EXPECT_EQ(debouncer.due(), std::nullopt);
  debouncer.event(at(7));
  EXPECT_EQ(debouncer.due(), at(7));
  EXPECT_TRUE(debouncer.take(at(7)));
  EXPECT_FALSE(debouncer.take(at(8)));
  EXPECT_EQ(debouncer.due(), std::nullopt);
}

}  // namespace
}  // namespace drasriov::discovery_sysfs
