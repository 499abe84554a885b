// SPDX-License-Identifier: Apache-2.0
#include "host/module/json_schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace drasriov::module {
namespace {

/// What checking `value` against `schema` says: "" when it fits.
std::string verdict(std::string_view schema, std::string_view value) {
  const auto compiled = JsonSchema::compile(schema);
  if (!compiled) return compiled.error().to_string();
  const auto status = compiled->check_text(value, "config");
  return status ? "" : status.error().to_string();
}

struct Case {
  const char* schema;
  const char* value;
  const char* verdict;
};

class JsonSchemaTest : public ::testing::TestWithParam<Case> {};

TEST_P(JsonSchemaTest, Says) {
  EXPECT_EQ(verdict(GetParam().schema, GetParam().value), GetParam().verdict)
      << GetParam().schema << " on " << GetParam().value;
}

INSTANTIATE_TEST_SUITE_P(
    Types, JsonSchemaTest,
    ::testing::Values(
        Case{"", "{}", ""},
        Case{"", R"({"a":1})", "config: unknown key \"a\" — hint: no keys are allowed here"},
        Case{"{}", R"([1,"x",null])", ""},
        Case{R"({"type":"string"})", "7", "config: must be string, not integer 7"},
        Case{R"({"type":["string","null"]})", "null", ""},
        Case{R"({"type":["string","null"]})", "[1]", "config: must be string, null, not array [1]"},
        Case{R"({"type":"integer"})", "2.0", ""},
        Case{R"({"type":"integer"})", "2.5", "config: must be integer, not number 2.5"},
        Case{R"({"type":"number"})", "3", ""},
        Case{R"({"type":"boolean"})", "1", "config: must be boolean, not integer 1"}));

INSTANTIATE_TEST_SUITE_P(
    Limits, JsonSchemaTest,
    ::testing::Values(
        Case{R"({"minimum":3})", "2", "config: 2 is less than 3"},
        Case{R"({"minimum":3})", "3", ""},
        Case{R"({"maximum":9007199254740993})", "9007199254740993", ""},
        Case{R"({"maximum":9007199254740993})", "9007199254740994",
             "config: 9007199254740994 is more than 9007199254740993"},
        Case{R"({"minLength":2})", R"("é")", "config: has 1 characters, at least 2 are needed"},
        Case{R"({"maxLength":1})", R"("é")", ""},
        Case{R"({"maxLength":1})", R"("ab")", "config: has 2 characters, at most 1 are allowed"},
        Case{R"({"pattern":"^[a-z]+$"})", R"("abc")", ""},
        Case{R"({"pattern":"^[a-z]+$"})", R"("aBc")",
             "config: \"aBc\" does not match — hint: pattern: ^[a-z]+$"},
        Case{R"({"pattern":"b"})", R"("abc")", ""},
        Case{R"({"enum":["on","off",1]})", R"("of")",
             "config: \"of\" is not allowed — hint: allowed: \"on\", \"off\", 1"},
        Case{R"({"enum":["on","off",1]})", "1", ""}));

INSTANTIATE_TEST_SUITE_P(
    Objects, JsonSchemaTest,
    ::testing::Values(
        Case{
            R"({"properties":{"drivers":{"type":"array","items":{"type":"string"}}},"additionalProperties":false})",
            R"({"drivers":["a",2]})", "config.drivers[1]: must be string, not integer 2"},
        Case{R"({"properties":{"drivers":{},"roots":{}},"additionalProperties":false})",
             R"({"drivres":1})",
             "config: unknown key \"drivres\" — hint: did you mean \"drivers\"? allowed keys: "
             "drivers, roots"},
        Case{R"({"properties":{"a":{}}})", R"({"b":1})", ""},
        Case{R"({"additionalProperties":{"type":"integer"}})", R"({"b":"x"})",
             "config.b: must be integer, not string \"x\""},
        Case{R"({"required":["a"]})", R"({"b":1})", "config: key \"a\" is missing"},
        Case{R"({"properties":{"o":{"properties":{"p":{"maximum":1}}}}})", R"({"o":{"p":2}})",
             "config.o.p: 2 is more than 1"},
        Case{"{}", R"({"a":1,"b":{"a":2},"a":3})", "config: key \"a\" stands twice"},
        Case{"{}", R"({"a":)", "config: is no JSON (at byte 6)"}));

INSTANTIATE_TEST_SUITE_P(
    BadSchemas, JsonSchemaTest,
    ::testing::Values(
        Case{"{", "{}", "schema: is no JSON"},
        Case{R"({"properties":{"a":{"minItems":1}}})", "{}",
             "schema.properties.a: keyword \"minItems\" is not supported — hint: supported: "
             "$schema, "
             "additionalProperties, default, description, enum, items, maxLength, maximum, "
             "minLength, minimum, "
             "pattern, properties, required, title, type"},
        Case{R"({"type":"text"})", "{}",
             "schema.type: \"text\" is no type — hint: types: null, boolean, string, "
             "array, object, integer, number"},
        Case{R"({"type":[]})", "{}", "schema.type: names no type"},
        Case{R"({"required":"a"})", "{}", "schema.required: must be a list of keys"},
        Case{R"({"enum":[]})", "{}", "schema.enum: must be a list of values"},
        Case{R"({"maxLength":-1})", "{}", "schema.maxLength: must be a number of characters"},
        Case{R"({"description":1})", "{}", "schema.description: must be a string"},
        Case{R"({"items":[{}]})", "{}", "schema.items: a schema is an object, not [{}]"},
        Case{R"({"type":"integer","default":"x"})", "{}",
             "schema.default: must be integer, not string \"x\""}));

TEST(JsonSchema, RefusesPatternsThatCannotBeRunSafely) {
  EXPECT_THAT(verdict(R"({"pattern":"(a)\\1"})", "{}"),
              ::testing::AllOf(::testing::StartsWith(
                                   "schema.pattern: \"(a)\\1\" is no usable regular expression: "),
                               ::testing::EndsWith("hint: ECMAScript without back-references")));
  EXPECT_THAT(verdict(R"({"pattern":"("})", "{}"),
              ::testing::HasSubstr("is no usable regular expression"));
}

// The parameters of a claim are a tenant's. With libstdc++'s default, backtracking matcher the first
// string takes for ever and the second one overflows the stack.
TEST(JsonSchema, APatternCostsNoMoreThanItsInput) {
  const std::string schema = R"({"pattern":"^(a+)+$"})";
  EXPECT_NE(verdict(schema, "\"" + std::string(64, 'a') + "b\""), "");
  EXPECT_EQ(verdict(schema, "\"" + std::string(200'000, 'a') + "\""), "");
}

TEST(JsonSchema, DeepSchemasAreRefusedAndDeepValuesAreNot) {
  std::string schema = "{}";
  for (int i = 0; i < 40; ++i) schema = R"({"items":)" + schema + "}";
  EXPECT_THAT(verdict(schema, "{}"), ::testing::HasSubstr("schemas are nested too deeply"));
  EXPECT_EQ(verdict("{}", std::string(100'000, '[') + std::string(100'000, ']')), "");
}

}  // namespace
}  // namespace drasriov::module
