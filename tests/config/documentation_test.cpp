// SPDX-License-Identifier: Apache-2.0
//
// docs/configuration.md names every setting with its flag, variable and default.
#include <gtest/gtest.h>

#include "host/base/durable_file.hpp"
#include "host/config/settings.hpp"

namespace drasriov::config {
namespace {

TEST(Documentation, HasARowForEverySetting) {
  const auto text = read_file(DRASRIOV_DOCUMENTATION);
  ASSERT_TRUE(text) << text.error().to_string();
  const Configuration defaults;
  for (const Setting& setting : settings()) {
    const auto has = [&](const std::string& part) { return text->find(part) != std::string::npos; };
    EXPECT_TRUE(has("`" + std::string(setting.key) + "`")) << setting.key;
    if (setting.flag.empty()) continue;
    const std::string row_start =
        "| `" + std::string(setting.key) + "` | `--" + std::string(setting.flag) + "`";
    const auto at = text->find(row_start);
    ASSERT_NE(at, std::string::npos) << row_start;
    const std::string row = text->substr(at, text->find('\n', at) - at);
    if (!setting.environment.empty()) {
      EXPECT_NE(row.find("`" + std::string(setting.environment) + "`"), std::string::npos) << row;
    }
    EXPECT_NE(row.find(setting.get(defaults)), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace drasriov::config
