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

/// As sriov-cni has said it, on a machine without that VF and with bad definitions.
TEST(CniAnswer, OfSriovCniHasAHint) {
  const struct {
    std::string message;
    std::string_view hint;
  } rows[] = {
      {"SRIOV-CNI failed to load netconf: LoadConf(): failed to get VF information: \\\"lstat "
       "/sys/bus/pci/devices/0000:11:10.0/physfn/net: no such file or directory\\\"",
       "the VF is gone"},
      {"SRIOV-CNI failed to load netconf: LoadConf(): the VF 0000:11:10.0 does not have a "
       "interface "
       "name or a dpdk driver",
       "the device has no interface on the node"},
      {"SRIOV-CNI failed to load netconf: LoadConf(): vlan id 5000 invalid: value must be in the "
       "range 0-4094",
       "correct spec.config"},
      {"failed to set up IPAM plugin type \\\"host-local\\\" from the device \\\"pf0\\\": no IP "
       "ranges specified",
       "correct `ipam`"},
      {"failed to set up IPAM plugin type \\\"host-local\\\" from the device \\\"pf0\\\": "
       "incompatible CNI versions; config is \\\"1.1.0\\\", plugin supports [\\\"1.0.0\\\"]",
       "set a cniVersion"},
  };
  for (const auto& row : rows) {
    const auto failed = failure(R"({"code":999,"msg":")" + row.message + R"("})");
    EXPECT_THAT(failed.error.hint(), HasSubstr(std::string(row.hint))) << row.message;
  }
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
