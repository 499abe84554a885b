// SPDX-License-Identifier: Apache-2.0
#include "plugins/netconf-cni/result.hpp"

#include <gmock/gmock.h>

namespace drasriov::netconf_cni {
namespace {

using ::testing::HasSubstr;

TEST(CniResult, IsConvertedThereAndBack) {
  const auto result = read_result(
      R"({"cniVersion":"0.4.0","interfaces":[{"name":"net1","mac":"02:00:00:00:00:01","sandbox":"/n"}],
          "ips":[{"version":"4","address":"10.1.2.3/24","interface":0},{"version":"6","address":"fd00::1/64"}]})",
      "0.4.0");
  ASSERT_TRUE(result.ok()) << result.error().message();
  const Json newer = convert_result(*result, "1.0.0");
  EXPECT_EQ(newer.at("cniVersion"), "1.0.0");
  EXPECT_EQ(newer.at("ips").at(0).dump(), R"({"address":"10.1.2.3/24","interface":0})");
  EXPECT_EQ(convert_result(newer, "0.4.0"), *result);
  Json newest = convert_result(newer, "1.1.0");
  newest["interfaces"][0]["mtu"] = 1500;
  EXPECT_EQ(convert_result(newest, "0.4.0"), *result) << "mtu is of 1.1.0";
}

TEST(CniResult, WithoutAVersionHasTheRequests) {
  const auto result = read_result("{}", "0.3.1");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->dump(), R"({"cniVersion":"0.3.1"})");
}

TEST(CniResult, IsRefusedWithWhatIsWrong) {
  struct Row {
    std::string output;
    const char* message;
  };
  const Row rows[] = {
      {"", "no JSON"},
      {"panic: oops", "no JSON: error at byte 1"},
      {"null", "no JSON object but null"},
      {"{} trailing", "no JSON"},
      {std::string(50000, '['), "nested deeper"},
      {"{\"x\":\"\xff\"}", "no JSON"},
      {R"({"cniVersion":"0.2.0"})", "cniVersion \"0.2.0\""},
      {R"({"interfaces":{}})", "`interfaces` of its result is no list"},
      {R"({"interfaces":[{}]})", "has no name"},
      {R"({"ips":[{"address":"10.0.0.1"}]})", "ADDRESS/PREFIX"},
      {R"({"ips":[{"address":"10.0.0.1/33"}]})", "ADDRESS/PREFIX"},
      {R"({"ips":[{"address":"fd00::1/129"}]})", "ADDRESS/PREFIX"},
      {R"({"ips":[{"address":"10.0.0.1/2x"}]})", "ADDRESS/PREFIX"},
      {R"({"ips":[{"address":"10.0.0.1/24","interface":0}]})", "interface 0, which is not there"},
      {R"({"interfaces":[{"name":"a"}],"ips":[{"address":"10.0.0.1/24","interface":-1}]})",
       "interface -1"},
  };
  for (const Row& row : rows) {
    const auto result = read_result(row.output, "1.0.0");
    ASSERT_FALSE(result.ok()) << row.message;
    EXPECT_THAT(result.error().message(), HasSubstr(row.message));
    EXPECT_FALSE(result.error().hint().empty());
  }
}

}  // namespace
}  // namespace drasriov::netconf_cni
