// SPDX-License-Identifier: Apache-2.0
#include "plugins/netconf-cni/answer.hpp"

#include <gmock/gmock.h>

namespace drasriov::netconf_cni {
namespace {

using ::testing::HasSubstr;

PluginFailure failure(std::string output, std::string diagnostics = "", int exit_code = 1,
                      int signal = 0) {
  sdk::ExecResult ended;
  ended.exit_code = exit_code;
  ended.signal = signal;
  ended.output = std::move(output);
  ended.diagnostics = std::move(diagnostics);
  return read_failure(ended);
}

TEST(CniAnswer, OfKnownErrorsHasAHint) {
  const auto invalid = failure(R"({"code":7,"msg":"no vlan","details":"4095"})");
  EXPECT_EQ(invalid.code, 7);
  EXPECT_EQ(invalid.error.code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(invalid.error.message(), "CNI error 7: no vlan; 4095");
  EXPECT_THAT(invalid.error.hint(), HasSubstr("correct spec.config"));
  const auto later = failure(R"({"code":11,"msg":"busy"})");
  EXPECT_EQ(later.error.code(), sdk::Code::kUnavailable);
  EXPECT_THAT(later.error.hint(), HasSubstr("later"));
  const auto taken =
      failure(R"({"code":999,"msg":"pci address 0000:08:00.2 is already allocated"})");
  EXPECT_EQ(taken.error.code(), sdk::Code::kUnknown);
  EXPECT_THAT(taken.error.hint(), HasSubstr("another sandbox"));
  const auto full = failure(R"({"code":999,"msg":"no IP addresses available in range set"})");
  EXPECT_THAT(full.error.hint(), HasSubstr("`ipam` is used up"));
}

TEST(CniAnswer, ADelThatFindsNothingIsDone) {
  EXPECT_TRUE(nothing_to_delete(failure(R"({"code":3,"msg":"unknown container"})")));
  EXPECT_TRUE(nothing_to_delete(
      failure(R"({"code":999,"msg":"failed to find \"net1\" in containerNS: Link not found"})")));
  EXPECT_TRUE(nothing_to_delete(
      failure(R"({"code":999,"msg":"failed to find \"net1\": Link not found"})")));
  EXPECT_FALSE(nothing_to_delete(failure(R"({"code":999,"msg":"Link not found"})")));
  EXPECT_FALSE(nothing_to_delete(failure("", "failed")));
}

TEST(CniAnswer, ThatIsNoneIsQuoted) {
  EXPECT_EQ(failure("", "panic: oops\n\tat x").error.message(),
            "exit status 1 without a CNI error: \"panic: oops at x\"");
  EXPECT_THAT(failure("\x01\xffgarbage", "", 2).error.message(),
              HasSubstr("exit status 2, and its answer is no CNI error: \"garbage\""));
  EXPECT_EQ(failure("", "", -1, 11).error.message(), "it was ended by signal 11");
  EXPECT_LT(failure(std::string(10 << 20, 'x')).error.message().size(), 400U);
  EXPECT_EQ(failure(R"({"code":-5,"msg":7})", "why").error.message(), "CNI error 0: \"why\"");
}

}  // namespace
}  // namespace drasriov::netconf_cni
