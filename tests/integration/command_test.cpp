// SPDX-License-Identifier: Apache-2.0
//
// The commands and the exit codes of the program.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

constexpr const char* kDriver = DRASRIOV_DRA_DRIVER_SRIOV_PATH;

struct Capture {
  const char* file;
  std::size_t vfs;
};

class Devices : public testing::TestWithParam<Capture> {};

TEST_P(Devices, AreFoundOnEachCapture) {
  const Machine machine(GetParam().file);
  const Finished json =
      run(kDriver, {"devices", "--sysfs-root", machine.sysfs().native(), "-o", "json"});
  ASSERT_EQ(json.code, 0) << json.errors;
  EXPECT_EQ(json.errors, "");
  std::size_t vfs = 0;
  const Json found = Json::parse(json.output);
  for (const Json& device : found["devices"]) vfs += device["kind"] == "vf" ? 1U : 0U;
  EXPECT_EQ(vfs, GetParam().vfs);

  const Finished table = run(kDriver, {"devices", "--sysfs-root", machine.sysfs().native()});
  EXPECT_EQ(table.code, 0) << table.errors;
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(table.output, '\n')), GetParam().vfs + 1)
      << table.output;
}

INSTANTIATE_TEST_SUITE_P(Captures, Devices,
                         testing::Values(Capture{"a-no-vfs.tar.gz", 0},
                                         Capture{"b-vfs-igbvf.tar.gz", 8},
                                         Capture{"c-one-vfio.tar.gz", 8}));

TEST(Commands, DevicesSaysWhatIsWrongWithItsRoot) {
  const Finished finished = run(kDriver, {"devices", "--sysfs-root", "/nonexistent"});
  EXPECT_EQ(finished.code, 1);
  EXPECT_EQ(finished.output, "");
  EXPECT_NE(finished.errors.find("error: discovery by discovery-sysfs: "), std::string::npos)
      << finished.errors;
}

TEST(Commands, BuiltModulesPassTheirOwnChecks) {
  const Finished verified =
      run(kDriver, {"module", "verify", "builtin:discovery-sysfs", "builtin:cdi"});
  EXPECT_EQ(verified.code, 0) << verified.output << verified.errors;
  const Finished listed = run(kDriver, {"module", "list"});
  EXPECT_EQ(listed.code, 0) << listed.output << listed.errors;
  EXPECT_NE(listed.output.find("builtin:cdi"), std::string::npos) << listed.output;
  const Finished inspected = run(kDriver, {"module", "inspect", "builtin:cdi"});
  EXPECT_EQ(inspected.code, 0) << inspected.errors;
  EXPECT_NE(inspected.output.find("cdi/1"), std::string::npos) << inspected.output;
}

TEST(Commands, VerifyRefusesWhatIsNoModule) {
  const Finished finished = run(kDriver, {"module", "verify", "/bin/true"});
  EXPECT_EQ(finished.code, 1) << finished.output;
}

TEST(Commands, VersionAndHelp) {
  EXPECT_EQ(run(kDriver, {"version", "--abi"}).output, "1.0\n");
  EXPECT_EQ(run(kDriver, {"--version"}).output.substr(0, 17), "dra-driver-sriov ");
  const Finished help = run(kDriver, {"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.output.find("Examples:"), std::string::npos);
}

TEST(Commands, AWrongCommandLineIsExitCode2) {
  const Finished finished = run(kDriver, {"devcies"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(finished.errors,
            "dra-driver-sriov: unknown command 'devcies' — hint: did you mean 'devices'?\n");
}

struct BadStart {
  const char* line;
  int code;
  const char* message;
};

class Refused : public testing::TestWithParam<BadStart> {};

TEST_P(Refused, WithASentenceBeforeAnythingIsTouched) {
  Machine machine;
  machine.configure(GetParam().line);
  const auto driver = machine.spawn_driver();
  EXPECT_EQ(driver->wait(), GetParam().code);
  EXPECT_NE(driver->errors().find(GetParam().message), std::string::npos) << driver->errors();
  EXPECT_TRUE(Machine::files(machine.registry()).empty());
  EXPECT_FALSE(std::filesystem::exists(machine.cluster() / "resourceslices"));
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, Refused,
    testing::Values(
        BadStart{"advertize: all", 2,
                 "config.yaml:8:1: unknown key 'advertize' — hint: did you mean 'advertise'?"},
        BadStart{"modules: [{name: cdi, module: builtin:nosuch}]", 1, "load modules: "},
        BadStart{"modules: [{name: cdi, module: 'builtin:cdi', capabilities: [binding/1]}]", 1,
                 "binding/1"},
        BadStart{"modules: [{name: cdi, module: 'builtin:cdi', config: {colour: red}}]", 1,
                 "colour"}));

TEST(Commands, KubeIsNotBuiltYet) {
  const Finished finished = run(kDriver, {"run", "--node-name", "n", "--cluster", "kube"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(finished.errors,
            "dra-driver-sriov: cluster: kube is not built into this version of the driver — hint: "
            "use cluster: dir:PATH, a "
            "directory with the API objects as YAML files\n");
}

TEST(Commands, ANodeNeedsAName) {
  const Finished finished = run(kDriver, {"run", "--cluster", "dir:/tmp"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_NE(finished.errors.find("the node has no name — hint: set NODE_NAME"), std::string::npos)
      << finished.errors;
}

TEST(Commands, PrintConfigShowsWhatCountsAndIsAFileAgain) {
  Machine machine;
  const std::string file = (machine.root() / "config.yaml").native();
  const Finished printed = run(kDriver, {"run", "--config", file, "--print-config"},
                               {"V=7", "NODE_NAME=of-environment"});
  ASSERT_EQ(printed.code, 0) << printed.errors;
  EXPECT_NE(printed.output.find("verbosity: 7\n"), std::string::npos) << printed.output;
  EXPECT_NE(printed.output.find("nodeName: \"of-environment\"\n"), std::string::npos)
      << printed.output;
  std::ofstream(machine.root() / "again.yaml") << printed.output;
  const Finished again =
      run(kDriver, {"run", "--config", (machine.root() / "again.yaml").native(), "--print-config"});
  EXPECT_EQ(again.output, printed.output) << again.errors;
}

}  // namespace
}  // namespace drasriov::integration
