// SPDX-License-Identifier: Apache-2.0
//
// The module as such: its configuration and schema, what it needs of a host, what it logs.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "plugins/discovery-sysfs/report.hpp"
#include "plugins/discovery-sysfs/settings.hpp"
#include "tests/plugins/discovery-sysfs/scanned.hpp"

namespace drasriov::discovery_sysfs::testing {
namespace {

sdk::Result<Settings> read(std::string_view json) {
  return Settings::read(*sdk::Config::parse(json));
}

TEST(SettingsTest, HaveTheDefaultsOfTheSchema) {
  const auto schema = nlohmann::json::parse(kConfigSchema);
  const auto defaults = [&](const char* key) {
    return schema.at("properties").at(key).at("default").get<std::int64_t>();
  };
  const auto settings = read("{}");
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->debounce.count(), defaults("debounceMs"));
  EXPECT_EQ(settings->debounce_cap.count(), defaults("debounceCapMs"));
  EXPECT_EQ(settings->receive_buffer, defaults("receiveBufferBytes"));
  EXPECT_EQ(settings->devlink_timeout.count(), defaults("devlinkTimeoutMs"));
  EXPECT_EQ(schema.at("properties").size(), 4u);  // none without a reader
}

TEST(SettingsTest, AreDescribed) {
  const auto schema = nlohmann::json::parse(kConfigSchema);
  EXPECT_EQ(schema.at("additionalProperties"), false);
  for (const auto& [key, property] : schema.at("properties").items()) {
    EXPECT_THAT(property.at("description").get<std::string>(), ::testing::EndsWith(".")) << key;
  }
}

TEST(SettingsTest, AreRead) {
  const auto settings =
      read(R"({"debounceMs":1,"debounceCapMs":2,"receiveBufferBytes":65536,"devlinkTimeoutMs":4})");
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->debounce.count(), 1);
  EXPECT_EQ(settings->debounce_cap.count(), 2);
  EXPECT_EQ(settings->receive_buffer, 65536);
  EXPECT_EQ(settings->devlink_timeout.count(), 4);
}

TEST(SettingsTest, AreRefusedWithAReason) {
  const auto swapped = read(R"({"debounceMs":600})");
  EXPECT_EQ(swapped.error().code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(swapped.error().message(), "debounceCapMs is 500, below debounceMs, which is 600");
  EXPECT_EQ(swapped.error().hint(), "raise debounceCapMs or lower debounceMs");
  EXPECT_EQ(read(R"({"debounceMs":"50"})").error().message(),
            "debounceMs is string, not an integer");
}

TEST(Module, NeedsASysfsRoot) {
  sdk::testing::FakeHost host;
  host.remove_service(DRASRIOV_SERVICE_PATHS_1);
  const auto module = sdk::testing::ModuleUnderTest::create(kTable, host);
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_EQ(module.error().message(), "the host names no sysfs root");
}

TEST(Module, LogsAScanForItsCallAndNothingElse) {
  const SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  sdk::testing::FakeHost host;
  host.set_root(sdk::Root::kSys, tree.root());
  const auto module = sdk::testing::ModuleUnderTest::create(kTable, host);
  ASSERT_TRUE(module.ok());
  sdk::testing::RecordedScan found;
  ASSERT_TRUE((*module)->scan(found).ok());
  const auto logs = host.logs();
  ASSERT_EQ(logs.size(), 1u);
  EXPECT_EQ(logs[0].level, sdk::Level::kDebug);
  EXPECT_EQ(logs[0].call_id, "test");
  EXPECT_EQ(logs[0].value("pfs"), "2");
  EXPECT_EQ(logs[0].value("vfs"), "8");
  EXPECT_EQ(logs[0].value("problems"), "0");
}

TEST(Report, PrefersDevlinkToSysfs) {
  using enum EswitchEvidence;
  const struct {
    std::optional<EswitchMode> devlink;
    EswitchEvidence evidence;
    std::optional<EswitchMode> published;
  } table[] = {
      {EswitchMode::kLegacy, kSwitchdev, EswitchMode::kLegacy},
      {EswitchMode::kSwitchdev, kNone, EswitchMode::kSwitchdev},
      {EswitchMode::kSwitchdev, kUnclear, EswitchMode::kSwitchdev},
      {std::nullopt, kNone, EswitchMode::kLegacy},
      {std::nullopt, kLegacy, EswitchMode::kLegacy},
      {std::nullopt, kSwitchdev, EswitchMode::kSwitchdev},
      {std::nullopt, kUnclear, std::nullopt},
  };
  for (const auto& row : table) {
    EXPECT_EQ(eswitch_mode(row.devlink, row.evidence), row.published);
  }
}

}  // namespace
}  // namespace drasriov::discovery_sysfs::testing
