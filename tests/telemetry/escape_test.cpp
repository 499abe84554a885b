// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/escape.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace drasriov::telemetry {
namespace {

std::string escaped(std::string_view text, Quotes quotes = Quotes::kEscape) {
  std::string out;
  append_escaped(out, text, quotes);
  return out;
}

struct Case {
  std::string_view text;
  std::string_view expected;
};

class Escape : public testing::TestWithParam<Case> {};

TEST_P(Escape, GivesOneSafeLine) {
  EXPECT_EQ(escaped(GetParam().text), GetParam().expected);
}

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

INSTANTIATE_TEST_SUITE_P(
    Texts, Escape,
    testing::Values(Case{"plain text 0000:08:00.2", "plain text 0000:08:00.2"},
                    Case{"a\nb\tc\rd", "a\\nb\\tc\\rd"},
                    Case{"\x1b[31mred\x7f", "\\u001b[31mred\\u007f"},
                    Case{R"(say "\")", R"(say \"\\\")"},
                    Case{"caf\xc3\xa9 \xe2\x80\x94 \xf0\x9f\x90\xb3",
                         "caf\xc3\xa9 \xe2\x80\x94 \xf0\x9f\x90\xb3"},
                    Case{"\xff", kReplacement},
                    Case{"cut \xe2\x80",
                         "cut \xef\xbf\xbd\xef\xbf\xbd"},          // sequence ends with the text
                    Case{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},  // overlong '/'
                    Case{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}  // surrogate
                    ));

TEST(Escape, KeepsQuotesWhereTheTextStandsByItself) {
  EXPECT_EQ(escaped("field \"x\"\n", Quotes::kKeep), "field \"x\"\\n");
}

}  // namespace
}  // namespace drasriov::telemetry
