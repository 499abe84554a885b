// SPDX-License-Identifier: Apache-2.0
//
// The commands and the exit codes of the program.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

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
                                         Capture{"c-one-vfio.tar.gz", 8},
                                         Capture{"d-vfio-held-open.tar.gz", 8}));

TEST(Commands, DevicesListsTwoThousandVfs) {
  // In memory where there is one: it has 114,000 files and links.
  std::string large = testing::TempDir() + "large-XXXXXX";
  if (::access("/dev/shm", W_OK) == 0) large = "/dev/shm/drasriov-large-XXXXXX";
  ASSERT_NE(::mkdtemp(large.data()), nullptr);
  const Finished made = run("/usr/bin/env",
                            {"python3", std::string(DRASRIOV_FIXTURES_DIR) + "/mksysfs.py", "--pfs",
                             "8", "--vfs", "256", "--totalvfs", "256", "--out", large},
                            {"PATH=/usr/local/bin:/usr/bin:/bin"});
  const Finished json = run(kDriver, {"devices", "--sysfs-root", large + "/sys", "-o", "json"});
  std::filesystem::remove_all(large);
  ASSERT_EQ(made.code, 0) << made.errors;
  ASSERT_EQ(json.code, 0) << json.errors;
  EXPECT_EQ(json.errors, "");
  std::set<std::string> names;
  const Json found = Json::parse(json.output);
  for (const Json& device : found["devices"]) {
    if (device["kind"] == "vf") names.insert(device["name"].get<std::string>());
  }
  EXPECT_EQ(names.size(), 2048U);
}

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

/// What stands in the directory of this build, as the driver tells it.
std::string this_driver_has() {
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(
           std::filesystem::path(kDriver).parent_path() / "modules"))
    names.insert(file.path().stem().native());
  std::string text = "This driver has";
  for (const std::string& name : names) text += " builtin:" + name;
  return text;
}

TEST(Commands, ABuiltinModuleThatDoesNotExistIsNamedWithThoseThatDo) {
  const std::string modules =
      (std::filesystem::path(kDriver).parent_path() / "modules").lexically_normal().native();
  const std::string message = ": there is no such builtin module in " + modules + " — hint: ";
  const std::string all = this_driver_has();
  ASSERT_NE(all.find(" builtin:cdi builtin:discovery-sysfs"), std::string::npos);
  for (const char* verb : {"verify", "inspect"}) {
    const Finished near = run(kDriver, {"module", verb, "builtin:cdl"});
    EXPECT_EQ(near.code, 1);
    EXPECT_EQ(near.output, "\"builtin:cdl\"" + message + "did you mean builtin:cdi? " + all + "\n");
    const Finished far = run(kDriver, {"module", verb, "builtin:acme-offload"});
    EXPECT_EQ(far.code, 1);
    EXPECT_EQ(far.output, "\"builtin:acme-offload\"" + message + all + "\n");
  }
}

TEST(Commands, ASwitchDoesNotSwallowTheModule) {
  for (const char* verb : {"verify", "inspect"}) {
    const Finished finished = run(kDriver, {"module", verb, "--insecure-dev", "builtin:cdi"});
    EXPECT_EQ(finished.code, 0) << finished.output << finished.errors;
    EXPECT_NE(finished.output.find("cdi"), std::string::npos) << finished.output;
  }
}

TEST(Commands, AConfigurationFileThatIsNotThereIsNamed) {
  const Finished finished = run(kDriver, {"run", "--config", "/nonexistent/c.yaml"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(finished.errors,
            "dra-driver-sriov: configuration: open /nonexistent/c.yaml: No such file or directory "
            "— hint: give an existing file to --config; without the flag it is "
            "/etc/dra-driver-sriov/config.yaml, which may be missing\n");
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
        BadStart{"modules: [{name: cdi, module: builtin:nosuch}]", 2,
                 "dra-driver-sriov: module cdi: \"builtin:nosuch\": there is no such builtin "
                 "module in "},
        BadStart{"modules: [{name: cdi, module: 'builtin:cdi', capabilities: [binding/1]}]", 1,
                 "binding/1"},
        BadStart{"modules: [{name: cdi, module: 'builtin:cdi', config: {colour: red}}]", 1,
                 "colour"}));

TEST(Commands, OutsideAPodKubeNeedsAKubeconfig) {
  const Finished finished = run(kDriver, {"run", "--node-name", "n"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(finished.errors,
            "dra-driver-sriov: cluster: kube: this process runs in no pod (KUBERNETES_SERVICE_HOST "
            "and KUBERNETES_SERVICE_PORT are not set) and has no kubeconfig — hint: set KUBECONFIG "
            "or the flag --kubeconfig, or run it with --cluster dir:PATH\n");
}

TEST(Commands, AKubeconfigThatIsNoneIsNamed) {
  const Finished finished =
      run(kDriver, {"run", "--node-name", "n", "--kubeconfig", "/nonexistent/kubeconfig"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(finished.errors,
            "dra-driver-sriov: read kubeconfig /nonexistent/kubeconfig: No such file or directory "
            "— hint: give an existing file to KUBECONFIG or the flag --kubeconfig\n");
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
  EXPECT_EQ(printed.errors, "");
  std::ofstream(machine.root() / "again.yaml") << printed.output;
  const Finished again =
      run(kDriver, {"run", "--config", (machine.root() / "again.yaml").native(), "--print-config"});
  EXPECT_EQ(again.output, printed.output) << again.errors;
}

TEST(Commands, PrintConfigShowsEveryMistakeThatRunWouldRefuse) {
  const Machine machine;
  const std::string file = (machine.root() / "wrong.yaml").native();
  std::ofstream(file) << "modules:\n"
                         "- {name: a, module: 'builtin:zzz'}\n"
                         "- {name: b, module: 'builtin:cdl'}\n"
                         "- {name: c, module: 'builtin:yyy', failurePolicy: Ignore}\n"
                         "- {name: d, module: 'builtin:xxx', enabled: false}\n";
  const std::string modules =
      (std::filesystem::path(kDriver).parent_path() / "modules").lexically_normal().native();
  const std::string expected =
      "dra-driver-sriov: the node has no name — hint: set NODE_NAME (in a pod: fieldRef "
      "spec.nodeName), the flag --node-name or nodeName in the file\n"
      "dra-driver-sriov: module a: \"builtin:zzz\": there is no such builtin module in " +
      modules + " — hint: " + this_driver_has() +
      "\n"
      "dra-driver-sriov: module b: \"builtin:cdl\": there is no such builtin module in " +
      modules + " — hint: did you mean builtin:cdi? " + this_driver_has() + "\n";
  const std::vector<std::string> flags = {"run", "--config", file, "--cluster", "dir:/nonexistent"};
  auto with_print = flags;
  with_print.emplace_back("--print-config");
  const Finished printed = run(kDriver, with_print);
  EXPECT_EQ(printed.code, 2);
  EXPECT_EQ(printed.errors, expected);
  EXPECT_NE(printed.output.find("builtin:zzz"), std::string::npos) << printed.output;
  const Finished started = run(kDriver, flags);
  EXPECT_EQ(started.code, 2);
  EXPECT_EQ(started.errors, expected);
  EXPECT_EQ(started.output, "");
}

}  // namespace
}  // namespace drasriov::integration
