// SPDX-License-Identifier: Apache-2.0
#include "host/config/environment.hpp"

#include <gtest/gtest.h>

#include <array>

namespace drasriov::config {
namespace {

TEST(Environment, TakesTheFirstEqualsSign) {
  const std::array<const char*, 5> entries = {"A=1", "B=x=y", "EMPTY=", "no-equals", nullptr};
  const Environment environment = environment_of(entries.data());
  EXPECT_EQ(environment, (Environment{{"A", "1"}, {"B", "x=y"}, {"EMPTY", ""}}));
}

TEST(Expand, ReplacesVariables) {
  const Environment environment = {{"NODE_NAME", "n1"}, {"EMPTY", ""}, {"NESTED", "${NODE_NAME}"}};
  struct Case {
    const char* text;
    const char* expected;
  };
  for (const Case& c :
       {Case{"", ""}, Case{"plain $HOME", "plain $HOME"}, Case{"${NODE_NAME}", "n1"},
        Case{"a-${NODE_NAME}-${NODE_NAME}", "a-n1-n1"}, Case{"[${EMPTY}]", "[]"},
        Case{"$${NODE_NAME}", "${NODE_NAME}"}, Case{"$", "$"},
        Case{"${NESTED}", "${NODE_NAME}"}}) {  // what a variable holds is not expanded again
    const auto expanded = expand(c.text, environment);
    ASSERT_TRUE(expanded) << c.text;
    EXPECT_EQ(*expanded, c.expected) << c.text;
  }
}

TEST(Expand, RefusesWhatItCannotReplace) {
  EXPECT_EQ(expand("${MISSING}", {}).error().to_string(),
            "environment variable 'MISSING' is not set — hint: set it for the driver's container, "
            "or write $${ where ${ "
            "itself is meant");
  EXPECT_EQ(expand("a ${B", {{"B", "1"}}).error().message(), "'${' without '}'");
}

}  // namespace
}  // namespace drasriov::config
