// SPDX-License-Identifier: Apache-2.0
#include "host/app/node_events.hpp"

#include <gtest/gtest.h>

namespace drasriov::app {
namespace {

TEST(NodeEvents, OneForEachFilterThatLoses) {
  const auto conflict = [](const char* device, const char* loser) {
    return policy::Conflict{device, "ns/first", "fast", loser, std::string("uid ") + loser, "slow"};
  };
  const auto events = conflict_events(
      {conflict("a", "ns/second"), conflict("a", "ns/third"), conflict("b", "ns/second")},
      "d.example.com");
  ASSERT_EQ(events.size(), 2U);
  const publish::Event& second = *events.begin();
  EXPECT_EQ(second.regarding, (publish::Subject{"d.example.com/v1alpha1", "SriovResourceFilter",
                                                "ns", "second", "uid ns/second"}));
  EXPECT_EQ(second.reason, "FilterConflict");
  EXPECT_NE(second.note.find("ns/first"), std::string::npos) << second.note;
  EXPECT_NE(second.note.find("1 more devices"), std::string::npos) << second.note;
  EXPECT_EQ(std::next(events.begin())->regarding.name, "third");
}

TEST(NodeEvents, ProblemsAreOneEventThatNamesAFew) {
  EXPECT_FALSE(problem_event({}, "n1"));
  std::vector<device::Problem> problems(5, {"0000:08:00.0", "unreadable"});
  const auto event = problem_event(problems, "n1");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->regarding, publish::node_subject("n1"));
  EXPECT_EQ(event->note,
            "0000:08:00.0: unreadable; 0000:08:00.0: unreadable; 0000:08:00.0: unreadable; and 2 "
            "more");
  problems.resize(1);
  EXPECT_EQ(problem_event(problems, "n1")->note, "0000:08:00.0: unreadable");
}

TEST(NodeEvents, TroubleOfTheNodeKeepsItsHint) {
  const Error error(Code::kPermissionDenied, "writable by others", "chmod go-w");
  EXPECT_EQ(module_event("vendor", error, "n1").note,
            "module vendor: writable by others — hint: chmod go-w");
  EXPECT_EQ(scan_event(error, "n1").reason, "DiscoveryFailed");
  EXPECT_EQ(filters_event(error, "n1").reason, "FiltersNotFollowed");
}

}  // namespace
}  // namespace drasriov::app
