// SPDX-License-Identifier: Apache-2.0
#include "host/base/network_namespace.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>

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

}  // namespace

Result<NetworkNamespace> open_network_namespace(const std::string& path,
                                                const std::filesystem::path& proc) {
  const int follow = is_process_namespace(path) ? 0 : O_NOFOLLOW;
  NetworkNamespace opened;
  opened.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow));
  if (!opened.fd) {
    const int error = errno;
    if (error == ELOOP) return not_a_namespace(path);
    return errno_error(error, "open network namespace " + path);
  }
  struct statfs kind {};
  struct stat file {};
  if (::fstatfs(opened.fd.get(), &kind) != 0 || ::fstat(opened.fd.get(), &file) != 0) {
    return errno_error(errno, "look at network namespace " + path);
  }
  if (kind.f_type != NSFS_MAGIC || ::ioctl(opened.fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return not_a_namespace(path);
  }
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
