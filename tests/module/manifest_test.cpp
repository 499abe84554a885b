// SPDX-License-Identifier: Apache-2.0
#include "host/module/manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::module {
namespace {

using nlohmann::json;

json good_note() {
  return {{"schema", 1},
          {"abi", "1.0"},
          {"minHost", "1.0"},
          {"name", "acme-bind"},
          {"version", "1.2.3"},
          {"vendor", "Acme"},
          {"license", "Apache-2.0"},
          {"capabilities", {"binding/1", "com.acme.thing/2"}},
          {"compiler", "gcc 12"},
          {"sanitizer", "none"}};
}

/// What parsing says of the good note after `change`; "" when it is accepted.
template <typename Change>
std::string verdict(Change change) {
  json note = good_note();
  change(note);
  const auto manifest = parse_manifest(note.dump());
  return manifest ? "" : manifest.error().message();
}

TEST(Manifest, ReadsEveryMember) {
  const auto manifest = parse_manifest(good_note().dump() + std::string(3, '\0'));  // padded
  ASSERT_TRUE(manifest) << manifest.error().to_string();
  EXPECT_EQ(manifest->abi, (AbiVersion{1, 0}));
  EXPECT_EQ(manifest->min_host, (AbiVersion{1, 0}));
  EXPECT_EQ(manifest->name, "acme-bind");
  EXPECT_EQ(manifest->version, "1.2.3");
  EXPECT_EQ(manifest->vendor, "Acme");
  EXPECT_EQ(manifest->license, "Apache-2.0");
  EXPECT_THAT(manifest->capabilities, ::testing::ElementsAre("binding/1", "com.acme.thing/2"));
  EXPECT_EQ(manifest->compiler, "gcc 12");
  EXPECT_EQ(manifest->sanitizer, "none");
}

TEST(Manifest, ANewerSdkMaySayMore) {
  EXPECT_EQ(verdict([](json& note) { note["homepage"] = "https://acme.example.com"; }), "");
}

TEST(Manifest, NamesWhatIsDamaged) {
  const std::string damaged = "its manifest note is damaged: ";
  for (const char* key :
       {"abi", "minHost", "name", "version", "vendor", "license", "compiler", "sanitizer"}) {
    const std::string quoted = "key \"" + std::string(key) + "\" ";
    EXPECT_EQ(verdict([&](json& note) { note.erase(key); }), damaged + quoted + "is missing");
    EXPECT_EQ(verdict([&](json& note) { note[key] = 1; }), damaged + quoted + "is no string");
  }
  for (const char* text : {"", "1", "1.", ".1", "1.x", "1.0.0", "-1.0", "1.99999999999"}) {
    EXPECT_EQ(verdict([&](json& note) { note["abi"] = text; }),
              damaged + "key \"abi\" is \"" + text + "\", not MAJOR.MINOR");
  }
  EXPECT_EQ(verdict([](json& note) { note.erase("schema"); }),
            damaged + "key \"schema\" is no number");
  EXPECT_EQ(verdict([](json& note) { note["name"] = "../x"; }),
            damaged + "name \"../x\" is not of [a-z0-9-]");
  EXPECT_EQ(verdict([](json& note) { note["capabilities"] = json::array(); }),
            damaged + "key \"capabilities\" is no list of ids");
  EXPECT_EQ(verdict([](json& note) { note["capabilities"] = {"binding"}; }),
            damaged + "capability \"binding\" is no id like \"binding/1\"");
  for (const char* text : {"", "[]", "{", "{}x"}) EXPECT_FALSE(parse_manifest(text)) << text;
}

TEST(Manifest, AnotherSchema) {
  EXPECT_EQ(verdict([](json& note) { note["schema"] = 2; }),
            "its manifest note has schema 2, this host reads 1");
}

TEST(Manifest, CompatibilityIsDecidedByMajorAndLowestHost) {
  const HostAbi host{.abi = {1, 3}, .sanitizer = "none"};
  const auto fits = [&](AbiVersion abi, AbiVersion min_host) {
    return check_compatible({.abi = abi, .min_host = min_host}, host).ok();
  };
  EXPECT_TRUE(fits({1, 0}, {1, 0}));
  EXPECT_TRUE(fits({1, 3}, {1, 3}));
  EXPECT_TRUE(fits({1, 9}, {1, 3}));  // a newer module that says it works here
  EXPECT_FALSE(fits({1, 9}, {1, 4}));
  EXPECT_FALSE(fits({2, 0}, {2, 0}));
  EXPECT_FALSE(fits({0, 9}, {0, 9}));
  EXPECT_FALSE(fits({1, 0}, {0, 9}));
}

}  // namespace
}  // namespace drasriov::module
