// SPDX-License-Identifier: Apache-2.0
#include "host/app/table.hpp"

#include <gtest/gtest.h>

namespace drasriov::app {
namespace {

TEST(Table, AlignsByCharactersAndMarksEmptyCells) {
  EXPECT_EQ(format_table({"A", "LONG TITLE", "C"}, {{"caf\xc3\xa9", "", "last"}, {"x", "y", ""}}),
            "A      LONG TITLE   C\n"
            "caf\xc3\xa9   -            last\n"
            "x      y            -\n");
}

TEST(Table, WithoutRowsShowsTheHeader) {
  EXPECT_EQ(format_table({"A", "B"}, {}), "A   B\n");
}

}  // namespace
}  // namespace drasriov::app
