// SPDX-License-Identifier: Apache-2.0
#include "plugins/vf-state/settings.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace drasriov::vf_state {
namespace {

TEST(SettingsTest, HaveTheDefaultsOfTheSchema) {
  const auto schema = nlohmann::json::parse(kConfigSchema);
  const auto& properties = schema.at("properties");
  const auto settings = Settings::read(*sdk::Config::parse("{}"));
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->every_claim, properties.at("everyClaim").at("default").get<bool>());
  EXPECT_EQ(settings->timeout.count(), properties.at("timeoutMs").at("default").get<int>());
  EXPECT_EQ(properties.size(), 2U);  // none without a reader
}

TEST(SettingsTest, AreReadOrRefusedWithAReason) {
  const auto settings =
      Settings::read(*sdk::Config::parse(R"({"everyClaim":true,"timeoutMs":250})"));
  ASSERT_TRUE(settings.ok());
  EXPECT_TRUE(settings->every_claim);
  EXPECT_EQ(settings->timeout.count(), 250);
  EXPECT_EQ(Settings::read(*sdk::Config::parse(R"({"everyClaim":"yes"})")).error().message(),
            "everyClaim is string, not true or false");
}

}  // namespace
}  // namespace drasriov::vf_state
