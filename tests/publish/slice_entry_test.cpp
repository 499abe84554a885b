// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_entry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace drasriov::publish {
namespace {

using device::AttributeValue;
using device::Device;
using device::Version;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::string_view kDriver = "sriovnetwork.openshift.io";

Device with(device::Fields<AttributeValue> attributes) {
  return {.name = "0000-08-00-2", .kind = "vf", .attributes = std::move(attributes)};
}

std::string error_of(const Device& device) {
  const auto entry = slice_entry(device, kDriver);
  return entry.ok() ? "no error" : entry.error().to_string();
}

TEST(SliceEntry, AllKindsOfValues) {
  Device device = with({{"vendor", std::string("8086")},
                        {"vfID", std::int64_t{-3}},
                        {"rdmaCapable", true},
                        {"firmware", Version{"22.36.1010"}},
                        {"resource.kubernetes.io/numaNode", std::vector<std::int64_t>{0, 1}},
                        {"example.com/flags", std::vector<bool>{true, false}},
                        {"example.com/names", std::vector<std::string>{"a", "b"}},
                        {"example.com/versions", std::vector<Version>{{"1.0.0"}}}});
  device.capacities = {{"bandwidth", "10G"}, {"example.com/queues", "16"}};
  const auto entry = slice_entry(device, kDriver);
  ASSERT_TRUE(entry.ok()) << entry.error().to_string();
  EXPECT_EQ(entry->name, "0000-08-00-2");
  EXPECT_EQ(json::parse(entry->json), json::parse(R"({
    "name": "0000-08-00-2",
    "attributes": {
      "sriovnetwork.openshift.io/vendor": {"string": "8086"},
      "sriovnetwork.openshift.io/vfID": {"int": -3},
      "sriovnetwork.openshift.io/rdmaCapable": {"bool": true},
      "sriovnetwork.openshift.io/firmware": {"version": "22.36.1010"},
      "resource.kubernetes.io/numaNode": {"ints": [0, 1]},
      "example.com/flags": {"bools": [true, false]},
      "example.com/names": {"strings": ["a", "b"]},
      "example.com/versions": {"versions": ["1.0.0"]}},
    "capacity": {"sriovnetwork.openshift.io/bandwidth": {"value": "10G"}, "example.com/queues": {"value": "16"}}})"));
}

// What is read back is compared as text: it must be what nlohmann::json writes, byte for byte.
TEST(SliceEntry, TextIsCanonical) {
  Device device = with({{"z", std::string("quote \" backslash \\ tab \t bell \x07 del \x7f")},
                        {"zz.example/a", std::string("größe €")},
                        {"a.example/b", std::vector<std::string>{"", "/", "\x1f"}},
                        {"aa", std::int64_t{std::numeric_limits<std::int64_t>::min()}},
                        {"v", std::vector<Version>{{"1.0.0"}}}});
  device.capacities = {{"x", "1"}, {"b.example/x", "2Gi"}};
  const auto entry = slice_entry(device, kDriver);
  ASSERT_TRUE(entry.ok()) << entry.error().to_string();
  EXPECT_EQ(entry->json, json::parse(entry->json).dump());
}

TEST(SliceEntry, NothingToSayIsOnlyAName) {
  EXPECT_EQ(slice_entry(with({}), kDriver)->json, R"({"name":"0000-08-00-2"})");
}

TEST(SliceEntry, AtTheLimits) {
  device::Fields<AttributeValue> attributes;
  for (int i = 0; i < 31; ++i) attributes.emplace("a" + std::to_string(i), std::string(64, 'x'));
  Device device = with(attributes);
  device.capacities = {{"c", "1"}};
  EXPECT_EQ(error_of(device), "no error");
  device.capacities.emplace("d", "1");
  EXPECT_EQ(error_of(device),
            "device 0000-08-00-2 is not published: 33 attributes and capacities, a device may have "
            "32 — hint: disable "
            "a module that adds attributes");
  EXPECT_EQ(error_of(with({{"list", std::vector<std::int64_t>(48, 1)}})), "no error");
  EXPECT_THAT(error_of(with({{"list", std::vector<std::int64_t>(48, 1)}, {"b", true}})),
              HasSubstr("49 attribute values, a device may have 48"));
  EXPECT_EQ(error_of(with({{"a23456789_123456789_123456789_12", true}})), "no error");
  EXPECT_EQ(error_of(with({{std::string(63, 'd') + "/x", true}})), "no error");
}

struct BadCase {
  const char* name;
  Device device;
  const char* message;
};

Device named(std::string name) {
  Device device = with({});
  device.name = std::move(name);
  return device;
}

Device with_capacity(std::string key, std::string value) {
  Device device = with({});
  device.capacities = {{std::move(key), std::move(value)}};
  return device;
}

class BadEntry : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadEntry, NamesDeviceAndCause) {
  EXPECT_EQ(error_of(GetParam().device), std::string("device ") + GetParam().device.name +
                                             " is not published: " + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadEntry,
    ::testing::Values(
        BadCase{"Colons", named("0000:08:00.2"), "the name is no DNS label"},
        BadCase{"UpperCase", named("vfID"), "the name is no DNS label"},
        BadCase{"LongName", named(std::string(64, 'a')), "the name is no DNS label"},
        BadCase{"LongString", with({{"vendor", std::string(65, 'x')}}),
                "attribute sriovnetwork.openshift.io/vendor: 65 bytes, an attribute holds 64"},
        BadCase{"LongStringInList",
                with({{"l", std::vector<std::string>{"a", std::string(65, 'x')}}}),
                "attribute sriovnetwork.openshift.io/l: 65 bytes, an attribute holds 64"},
        BadCase{
            "EmptyList", with({{"l", std::vector<bool>{}}}),
            "attribute sriovnetwork.openshift.io/l: an empty list — hint: leave the attribute out"},
        BadCase{"BadVersion", with({{"fw", Version{"22.36.1010 (MT_0000000359)"}}}),
                "attribute sriovnetwork.openshift.io/fw: \"22.36.1010 (MT_0000000359)\" is no "
                "semantic version 2.0.0 — "
                "hint: report it as a string"},
        BadCase{"NameIsAnAddress", with({{"eth0-vf3", true}}),
                "attribute sriovnetwork.openshift.io/eth0-vf3: no qualified name — hint: use "
                "[domain/]identifier, the "
                "identifier a C identifier of at most 32"},
        BadCase{"TwoSlashes", with({{"a/b/c", true}}),
                "attribute a/b/c: no qualified name — hint: use [domain/]identifier, the "
                "identifier a C identifier of "
                "at most 32"},
        BadCase{"Twice", with({{"vendor", true}, {"sriovnetwork.openshift.io/vendor", true}}),
                "attribute sriovnetwork.openshift.io/vendor: reported twice, with and without the "
                "driver's domain"},
        BadCase{"NotUtf8", with({{"good", std::string("x")}, {"model", std::string("\xff\xfe")}}),
                "attribute sriovnetwork.openshift.io/model: not UTF-8"},
        BadCase{"CapacityName", with_capacity("no-identifier", "1"),
                "capacity sriovnetwork.openshift.io/no-identifier: no qualified name — hint: use "
                "[domain/]identifier, the identifier a C identifier of at most 32"},
        BadCase{"CapacityValue", with_capacity("c", "ten"),
                "capacity sriovnetwork.openshift.io/c: \"ten\" is no quantity"}),
    [](const auto& test) { return test.param.name; });

TEST(SliceEntries, OneBadDeviceDoesNotStopTheOthers) {
  const auto result = slice_entries({named("b"), named("BAD"), named("a"), named("b")}, kDriver);
  ASSERT_EQ(result.entries.size(), 2U);
  EXPECT_EQ(result.entries[0].name, "a");
  EXPECT_EQ(result.entries[1].name, "b");
  ASSERT_EQ(result.rejected.size(), 1U);
  EXPECT_EQ(result.rejected[0].device, "BAD");
}

TEST(QualifiedName, Table) {
  for (const char* good :
       {"vfID", "_x", "dra.net/numaNode", "resource.kubernetes.io/pciBusID", "a/b"}) {
    EXPECT_TRUE(is_qualified_name(good)) << good;
  }
  for (const char* bad : {"", "/", "a/", "/b", "a/b/c", "eth0-vf3", "0000_x", "UPPER.io/x",
                          "a..b/x", "-a/x", "vf id", "a23456789_123456789_123456789_123"}) {
    EXPECT_FALSE(is_qualified_name(bad)) << bad;
  }
  EXPECT_FALSE(is_qualified_name(std::string(64, 'd') + "/x"));
}

TEST(SemanticVersion, Table) {
  for (const char* good : {"1.2.3", "0.0.0", "1.2.3-rc.1+b5", "22.36.1010", "1.0.0-alpha",
                           "1.0.0-0a.b-c", "1.0.0+001", "1.0.0--", "1.0.0+a-b"}) {
    EXPECT_TRUE(is_semantic_version(good)) << good;
  }
  for (const char* bad :
       {"", "1", "1.2", "v1.2.3", "01.2.3", "1.02.3", "1.2.03", "1.2.3.4", "1.2.3-", "1.2.3+",
        "1.2.3-01", "1.2.3-a..b", "1.2.3-a_b", "1.2.3 ", "-1.2.3", "a.b.c"}) {
    EXPECT_FALSE(is_semantic_version(bad)) << bad;
  }
}

TEST(Quantity, Table) {
  for (const char* good :
       {"0", "1", "10G", "1.5Gi", "200m", "1e3", "1E-3", "-4Ki", "+.5", "5.", "1Ei"}) {
    EXPECT_TRUE(is_quantity(good)) << good;
  }
  for (const char* bad : {"", "G", ".", "1 G", "1KiB", "1e", "ten", "1.2.3", "0x10", "--1"}) {
    EXPECT_FALSE(is_quantity(bad)) << bad;
  }
}

}  // namespace
}  // namespace drasriov::publish
