// SPDX-License-Identifier: Apache-2.0
#include "host/base/network_namespace.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace drasriov {
namespace {

Error not_a_namespace(const std::string& path) {
  return Error(
      Code::kFailedPrecondition, "open " + path + ": it is not a network namespace",
      "mount its directory into the driver's container with mountPropagation: HostToContainer");
}

/// Of this process, whose machine may be a captured one elsewhere.
const std::filesystem::path kOwn = "/proc/self/ns/net";

bool is_process_namespace(const std::string& path) {
  return path.starts_with("/proc/") && path.ends_with("/ns/net");
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

constexpr int kOpen = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

/// Whether it is open and a network namespace; errno tells why not.
bool is_network(const UniqueFd& fd) {
  struct statfs kind {};
  if (!fd || ::fstatfs(fd.get(), &kind) != 0) return false;
  const bool is = kind.f_type == NSFS_MAGIC && ::ioctl(fd.get(), NS_GET_NSTYPE) == CLONE_NEWNET;
  if (!is) errno = EINVAL;
  return is;
}

UniqueFd open_here(const std::string& path) {
  return UniqueFd(::open(path.c_str(), kOpen | (is_process_namespace(path) ? 0 : O_NOFOLLOW)));
}

/// In the mount namespace of the node, where the runtime has it. It is seen from a container with hostPID only.
UniqueFd open_on_the_node(const std::string& path, const std::filesystem::path& proc) {
  const std::filesystem::path root = proc / "1/root";
  const UniqueFd node(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!node) return {};
  open_how how{};
  how.flags = kOpen | O_NOFOLLOW;
  how.resolve = RESOLVE_IN_ROOT;  // /var/run -> /run is the node's
  return UniqueFd(
      static_cast<int>(::syscall(SYS_openat2, node.get(), path.c_str(), &how, sizeof how)));
}

}  // namespace

Result<NetworkNamespace> open_network_namespace(const std::string& path,
                                                const std::filesystem::path& proc) {
  NetworkNamespace opened;
  opened.fd = open_here(path);
  if (!is_network(opened.fd)) {
    const int error = errno;
    UniqueFd on_the_node = open_on_the_node(path, proc);
    if (!is_network(on_the_node)) {
      if (error == ELOOP || error == EINVAL) return not_a_namespace(path);
      return errno_error(error, "open network namespace " + path);
    }
    opened.fd = std::move(on_the_node);
  }
  struct stat file {};
  if (::fstat(opened.fd.get(), &file) != 0)
    return errno_error(errno, "look at network namespace " + path);
  for (const std::filesystem::path& own : {kOwn, proc / "1/ns/net"}) {
    struct stat host {};
    if (::stat(own.c_str(), &host) == 0 && same_file(host, file)) {
      return Error(Code::kFailedPrecondition,
                   "network namespace " + path + " is the host's own: nothing is attached to it",
                   "a pod with hostNetwork cannot have an SR-IOV interface of its own");
    }
  }
  opened.device = file.st_dev;
  opened.inode = file.st_ino;
  return opened;
}

}  // namespace drasriov
