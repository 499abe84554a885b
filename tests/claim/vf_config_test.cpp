// SPDX-License-Identifier: Apache-2.0
//
// The table that the chart's admission policy is tested with, too: what one refuses the other refuses.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "host/claim/vf_config.hpp"

namespace drasriov::claim {
namespace {

struct VfConfigCase {
  std::string name;
  std::string verdict;
  nlohmann::json parameters;
};

void PrintTo(const VfConfigCase& one, std::ostream* out) {
  *out << one.parameters.dump();
}

std::vector<VfConfigCase> cases() {
  std::ifstream file(std::string(DRASRIOV_FIXTURES_DIR) + "/vf-config/cases.json");
  std::vector<VfConfigCase> all;
  for (const auto& entry : nlohmann::json::parse(file)) {
    all.push_back({entry.at("name"), entry.at("verdict"), entry.at("parameters")});
  }
  return all;
}

class VfConfigTable : public ::testing::TestWithParam<VfConfigCase> {};

TEST_P(VfConfigTable, IsDecidedAsTheTableSays) {
  const auto& [name, verdict, parameters] = GetParam();
  const auto decoded = decode_vf_config(parameters, "sriovnetwork.openshift.io", {}, "parameters");
  if (verdict == "accepted") {
    EXPECT_TRUE(decoded) << decoded.error().to_string();
    return;
  }
  EXPECT_TRUE(verdict == "refused" || verdict == "refused at Prepare only") << verdict;
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code(), Code::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Cases, VfConfigTable, ::testing::ValuesIn(cases()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace drasriov::claim
