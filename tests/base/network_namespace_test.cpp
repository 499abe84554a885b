// SPDX-License-Identifier: Apache-2.0
//
// Real namespaces of child processes.
#include "host/base/network_namespace.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

namespace drasriov {
namespace {

/// A process in a network namespace of its own; it ends with the object.
class Holder {
 public:
  Holder() {
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      const char made = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      (void)!::write(ready[1], &made, 1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char made = 'n';
    ok_ = ::read(ready[0], &made, 1) == 1 && made == 'y';
    ::close(ready[0]);
  }
  ~Holder() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string path() const { return "/proc/" + std::to_string(pid_) + "/ns/net"; }

 private:
  pid_t pid_ = -1;
  bool ok_ = false;
};

Result<NetworkNamespace> open(const std::string& path) {
  return open_network_namespace(path, "/proc");
}

TEST(NetworkNamespace, TellsOneFromAnother) {
  const Holder one;
  const Holder other;
  if (!one.ok() || !other.ok()) GTEST_SKIP() << "NOT TESTED: no permission for a network namespace";
  const auto first = open(one.path());
  const auto again = open(one.path());
  const auto second = open(other.path());
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_TRUE(again && second);
  EXPECT_EQ(first->inode, again->inode);
  EXPECT_EQ(first->device, again->device);
  EXPECT_NE(first->inode, second->inode);
  EXPECT_GE(first->fd.get(), 0);
}

TEST(NetworkNamespace, TheHostsOwnIsRefused) {
  const auto own = open("/proc/self/ns/net");
  ASSERT_FALSE(own);
  EXPECT_EQ(own.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(own.error().message(),
            "network namespace /proc/self/ns/net is the host's own: nothing is attached to it");
}

TEST(NetworkNamespace, OtherThingsAreNoNetworkNamespace) {
  char directory[] = "/tmp/netns-test-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::string file = std::string(directory) + "/left-over";
  ::close(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const std::string link = std::string(directory) + "/link";
  ASSERT_EQ(::symlink("/proc/self/ns/net", link.c_str()), 0);
  const std::string fifo = std::string(directory) + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {file, link, fifo, std::string(directory)}) {
    const auto opened = open(path);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().message(), "open " + path + ": it is not a network namespace");
  }
  EXPECT_FALSE(open("/proc/self/ns/uts")) << "a namespace of another kind";
  EXPECT_EQ(open(std::string(directory) + "/gone").error().code(), Code::kNotFound);
  for (const std::string& path : {file, link, fifo}) ::unlink(path.c_str());
  ::rmdir(directory);
}

/// /proc of a container with hostPID: below 1/root is the node, where a runtime has put a namespace into a folder that the
/// container does not have, by way of a link that leads elsewhere in the container.
TEST(NetworkNamespace, OneThatOnlyTheNodeHasIsFound) {
  const Holder pod;
  char directory[] = "/tmp/netns-test-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::filesystem::path proc = directory;
  const std::filesystem::path place = proc / "1/root/run-of-the-node/netns";
  std::filesystem::create_directories(place);
  ASSERT_EQ(::symlink("/run-of-the-node", (proc / "1/root/link").c_str()), 0);
  for (const char* name : {"pod", "left-over"})
    ::close(::open((place / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const bool mounted = pod.ok() && ::mount(pod.path().c_str(), (place / "pod").c_str(), nullptr,
                                           MS_BIND, nullptr) == 0;
  const auto found = open_network_namespace("/link/netns/pod", proc);
  const auto left_over = open_network_namespace("/link/netns/left-over", proc);
  const auto gone = open_network_namespace("/link/netns/gone", proc);
  if (mounted) ::umount2((place / "pod").c_str(), MNT_DETACH);
  std::filesystem::remove_all(proc);
  EXPECT_FALSE(left_over);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), Code::kNotFound);
  if (!mounted) GTEST_SKIP() << "NOT TESTED: no permission for a network namespace and a mount";
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->inode, open(pod.path())->inode);
}

}  // namespace
}  // namespace drasriov
