// SPDX-License-Identifier: Apache-2.0
//
// The hook as a program, alone and below a real runc: what a container runtime sees of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/wait.h>

#include "host/base/durable_file.hpp"

namespace drasriov {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kUid = "c1a10000-0000-4000-8000-000000000001";
constexpr const char* kSandbox = "5a0db0c5";

class Hook : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "drasriov-hook.XXXXXX").native();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  /// Runs a line of shell; what it says on both streams is said().
  int shell(const std::string& line) {
    const std::string all = "( " + line + " ) >" + (root_ / "said").native() + " 2>&1";
    const int status = std::system(all.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string said() { return read_file(root_ / "said").value(); }

  void mark(const std::string& uid, const std::string& sandbox) {
    fs::create_directories(root_ / "attached" / uid);
    std::ofstream(root_ / "attached" / uid / sandbox) << "ns/pod\n";
  }
  int hook(const std::string& state) {
    std::ofstream(root_ / "state") << state;
    return shell(std::string(DRASRIOV_DRA_DRIVER_SRIOV_HOOK_PATH) + " " + kUid + " ns/claim " +
                 root_.native() + " <" + (root_ / "state").native());
  }
  static std::string state_of(const std::string& sandbox) {
    return R"({"ociVersion":"1.0.2","id":"c","status":"creating","annotations":)"
           R"({"io.kubernetes.cri.sandbox-id":")" +
           sandbox + R"("}})";
  }

  fs::path root_;
};

TEST_F(Hook, PassesOnlyWithTheMarkerOfThisClaimAndSandbox) {
  EXPECT_EQ(hook(state_of(kSandbox)), 1);
  EXPECT_THAT(said(), HasSubstr(std::string("claim ns/claim (") + kUid +
                                "): its network is not attached to sandbox " + kSandbox));
  EXPECT_THAT(said(), HasSubstr((root_ / "attached" / kUid / kSandbox).native()));
  EXPECT_THAT(said(), HasSubstr("dra-driver-sriov doctor"));
  mark(kUid, "other");
  mark("c1a10000-0000-4000-8000-000000000002", kSandbox);
  std::ofstream(root_ / "attached" / kUid / ".half.tmp") << "nobody/none\n";
  EXPECT_EQ(hook(state_of(kSandbox)), 1);
  EXPECT_THAT(said(), HasSubstr("it is in sandbox other of pod ns/pod"));
  EXPECT_THAT(said(), HasSubstr("ResourceClaimTemplate"));
  std::ofstream(root_ / "attached" / kUid / "other") << "ns/\x1b[1mpod and more";
  EXPECT_EQ(hook(state_of(kSandbox)), 1);
  EXPECT_THAT(said(), HasSubstr("of pod ns/?[1mpod and more —"));
  mark(kUid, kSandbox);
  EXPECT_EQ(hook(state_of(kSandbox)), 0);
  EXPECT_EQ(said(), "");
}

TEST_F(Hook, TellsThatItCanBeRun) {
  EXPECT_EQ(shell(std::string(DRASRIOV_DRA_DRIVER_SRIOV_HOOK_PATH) + " --check"), 0);
  EXPECT_EQ(shell(std::string(DRASRIOV_DRA_DRIVER_SRIOV_HOOK_PATH) + " --check x"), 1);
}

TEST_F(Hook, RefusesWhatItCannotTell) {
  mark(kUid, kSandbox);
  EXPECT_EQ(hook(""), 1);
  EXPECT_EQ(hook(state_of(kSandbox) + "x"), 1);
  EXPECT_EQ(hook(R"({"annotations":{}})"), 1);
  EXPECT_THAT(said(), HasSubstr("io.kubernetes.cri.sandbox-id"));
  EXPECT_EQ(hook("{\"x\":\"" + std::string(5U << 20U, 'a') + "\"}"), 1);
  EXPECT_EQ(shell(DRASRIOV_DRA_DRIVER_SRIOV_HOOK_PATH), 1);
  // A directory of the marker's name is none.
  fs::create_directories(root_ / "attached" / kUid / "folder");
  EXPECT_EQ(hook(state_of("folder")), 1);
  EXPECT_EQ(hook(state_of("../" + std::string(kUid) + "/" + kSandbox)), 1);
}

TEST_F(Hook, RuncStartsNoContainerWithoutTheMarker) {
  if (::geteuid() != 0 || shell("runc --version") != 0)
    GTEST_SKIP() << "needs root and runc (Debian package runc)";
  // The host's own directories are the container's root: no image is needed.
  const fs::path bundle = root_ / "bundle";
  fs::create_directories(bundle / "rootfs");
  for (const char* directory : {"bin", "lib", "lib64", "usr", "proc"})
    fs::create_directory(bundle / "rootfs" / directory);
  std::string mounts = R"({"destination":"/proc","type":"proc","source":"proc"})";
  for (const char* directory : {"/bin", "/lib", "/lib64", "/usr"}) {
    if (!fs::exists(directory)) continue;
    mounts += std::string(R"(,{"destination":")") + directory +
              R"(","type":"bind","options":["rbind","ro"],"source":")" +
              fs::canonical(directory).native() + "\"}";
  }
  const auto config = [&](bool with_hook) {
    std::ofstream(bundle / "config.json")
        << R"({"ociVersion":"1.0.2","process":{"terminal":false,"user":{"uid":0,"gid":0},)"
        << R"("args":["/bin/echo","it","runs"],"env":["PATH=/bin"],"cwd":"/"},)"
        << R"("root":{"path":"rootfs"},"mounts":[)" << mounts << R"(],"annotations":{)"
        << R"("io.kubernetes.cri.sandbox-id":")" << kSandbox << R"("},)"
        << (with_hook ? R"("hooks":{"createRuntime":[{"path":")" +
                            std::string(DRASRIOV_DRA_DRIVER_SRIOV_HOOK_PATH) +
                            R"(","args":["dra-driver-sriov-hook",")" + kUid + R"(","ns/claim",")" +
                            root_.native() + R"("]}]},)"
                      : "")
        << R"("linux":{"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"network"}]}})";
  };
  const std::string run = "runc --root " + (root_ / "runc").native() + " run --bundle " +
                          bundle.native() + " drasriov-hook-" + std::to_string(::getpid());
  config(false);
  if (shell(run) != 0) GTEST_SKIP() << "runc starts no container here: " << said();

  config(true);
  EXPECT_NE(shell(run), 0);
  EXPECT_THAT(said(), HasSubstr(std::string("its network is not attached to sandbox ") + kSandbox));
  EXPECT_THAT(said(), ::testing::Not(HasSubstr("it runs")));
  mark(kUid, kSandbox);
  EXPECT_EQ(shell(run), 0) << said();
  EXPECT_EQ(said(), "it runs\n");
}

}  // namespace
}  // namespace drasriov
