// SPDX-License-Identifier: Apache-2.0
#include "plugins/binding-vfio/settings.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace drasriov::binding_vfio {
namespace {

TEST(SettingsTest, HaveTheDefaultsOfTheSchema) {
  const auto schema = nlohmann::json::parse(kConfigSchema);
  const auto& properties = schema.at("properties");
  const auto settings = Settings::read(*sdk::Config::parse("{}"));
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->allowed_drivers,
            properties.at("allowedDrivers").at("default").get<std::vector<std::string>>());
  EXPECT_EQ(settings->timeout.count(), properties.at("timeoutMs").at("default").get<int>());
  EXPECT_EQ(properties.at("iommu").at("default"), "legacy");
  EXPECT_EQ(settings->iommu, Iommu::kLegacy);
  EXPECT_EQ(properties.size(), 3U);  // none without a reader
}

TEST(SettingsTest, AreRead) {
  const auto settings = Settings::read(*sdk::Config::parse(
      R"({"allowedDrivers":["mlx5_vfio_pci"],"iommu":"iommufd","timeoutMs":250})"));
  ASSERT_TRUE(settings.ok());
  EXPECT_THAT(settings->allowed_drivers, ::testing::ElementsAre("mlx5_vfio_pci"));
  EXPECT_EQ(settings->iommu, Iommu::kIommufd);
  EXPECT_EQ(settings->timeout.count(), 250);
}

TEST(SettingsTest, AreRefusedWithAReason) {
  EXPECT_EQ(
      Settings::read(*sdk::Config::parse(R"({"allowedDrivers":"vfio-pci"})")).error().message(),
      "allowedDrivers is string, not a list of strings");
}

}  // namespace
}  // namespace drasriov::binding_vfio
