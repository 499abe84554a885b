// SPDX-License-Identifier: Apache-2.0
//
// A CDI directory that the driver cannot write to: on a read-only mount, and as root whose capabilities do not overrule permissions.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kEnvironment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};

/// The driver behind a command line of the shell, which finds it in $0 with its arguments.
std::unique_ptr<Process> start_behind(const Machine& machine, const std::string& shell) {
  auto driver = std::make_unique<Process>(
      "/bin/sh",
      std::vector<std::string>{"-c", shell + " \"$0\" \"$@\"", DRASRIOV_DRA_DRIVER_SRIOV_PATH,
                               "run", "--config", (machine.root() / "config.yaml").native()},
      machine.root() / "driver", kEnvironment);
  EXPECT_TRUE(eventually([&] { return fs::exists(machine.registration_socket()); }))
      << driver->errors();
  return driver;
}

/// The claim is refused with `message`, and what was begun for it is gone again.
void expect_refused(Machine& machine, const Claim& claim, const std::string& message) {
  const auto devices = machine.published();
  const std::string error = machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"];
  EXPECT_NE(error.find("claim ns/one: "), std::string::npos) << error;
  EXPECT_NE(error.find("write CDI spec " + machine.cdi().native() + "/"), std::string::npos)
      << error;
  EXPECT_TRUE(error.ends_with(message)) << error;
  EXPECT_TRUE(Machine::files(machine.cdi()).empty());
  EXPECT_TRUE(Machine::files(machine.data() / "claims").empty());
  EXPECT_EQ(machine.published(), devices);
  EXPECT_EQ(machine.kubelet("unprepare", {claim})["claims"][claim.uid]["error"], "");
}

/// In a mount namespace of its own, so that this process may write all the same.
TEST(CdiNotWritable, AReadOnlyMountIsNamedAndNothingIsLeft) {
  const std::string mounts = "unshare --mount --propagation private";
  if (run("/bin/sh", {"-c", mounts + " true"}, kEnvironment).code != 0)
    GTEST_SKIP() << "NOT TESTED: no permission for a mount namespace (needs root)";
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  const std::string cdi = machine.cdi().native();
  const auto driver =
      start_behind(machine, "exec " + mounts + " sh -c 'mount --bind " + cdi + " " + cdi +
                                " && mount -o remount,bind,ro " + cdi + " && exec \"$0\" \"$@\"'");
  EXPECT_TRUE(eventually([&] { return !machine.published_names().empty(); }));
  EXPECT_NE(
      driver->errors().find("write into the CDI directory " + cdi + ": Read-only file system"),
      std::string::npos)
      << "said before any claim fails";
  expect_refused(machine, claim,
                 ": Read-only file system — hint: " + cdi +
                     " is mounted read-only: mount it writable into the driver's container");
}

/// As root without the capabilities that overrule permissions, the way a container runs: another user might not even
/// reach the build tree.
TEST(CdiNotWritable, MissingPermissionIsNamedAndGrantingItHelpsAtOnce) {
  if (::geteuid() != 0) GTEST_SKIP() << "NOT TESTED: only root can give a directory away";
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  ASSERT_EQ(::chown(machine.cdi().c_str(), 65534, 65534), 0);
  const auto driver = start_behind(machine,
                                   "exec setpriv --inh-caps -dac_override,-dac_read_search "
                                   "--bounding-set -dac_override,-dac_read_search");
  EXPECT_TRUE(eventually([&] { return !machine.published_names().empty(); }));
  expect_refused(
      machine, claim,
      ": Permission denied — hint: the driver needs write permission on " + machine.cdi().native());
  ASSERT_EQ(::chown(machine.cdi().c_str(), 0, 0), 0);
  EXPECT_EQ(machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"], "");
  EXPECT_EQ(Machine::files(machine.cdi()).size(), 2U);
  EXPECT_EQ(machine.kubelet("unprepare", {claim})["claims"][claim.uid]["error"], "");
  EXPECT_TRUE(Machine::files(machine.cdi()).empty());
}

}  // namespace
}  // namespace drasriov::integration
