// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/recent_lines.hpp"

#include <gtest/gtest.h>

#include "tests/telemetry/kept_log.hpp"

namespace drasriov::telemetry {
namespace {

TEST(RecentLines, RemembersWarningsAndErrorsAndHandsEverythingOn) {
  KeptLog next;
  RecentLines log(next);
  log.info("starts");
  log.warning("odd", {{"device", "0000-08-00-2"}});
  log.error(Error(Code::kInternal, "broken", "mend it"));
  const auto lines = log.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].message, "odd");
  ASSERT_EQ(lines[0].fields.size(), 1U);
  EXPECT_EQ(lines[0].fields[0].second, "0000-08-00-2");
  EXPECT_EQ(lines[1].level, Level::kError);
  EXPECT_EQ(lines[1].message, "broken — hint: mend it");
}

TEST(RecentLines, IsBoundedInLinesAndBytes) {
  KeptLog next;
  RecentLines log(next);
  const std::string value(RecentLines::kBytes + 1, 'v');
  for (std::size_t i = 0; i <= RecentLines::kLines; ++i)
    log.warning(std::to_string(i) + value, {{"key", value}});
  const auto lines = log.lines();
  ASSERT_EQ(lines.size(), RecentLines::kLines);
  EXPECT_TRUE(lines.front().message.starts_with("1v")) << "the oldest is gone";
  EXPECT_EQ(lines.back().message.size(), RecentLines::kBytes);
  EXPECT_EQ(lines.back().fields[0].second.size(), RecentLines::kBytes);
}

}  // namespace
}  // namespace drasriov::telemetry
