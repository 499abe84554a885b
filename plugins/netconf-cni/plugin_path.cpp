// SPDX-License-Identifier: Apache-2.0
#include "plugin_path.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace drasriov::netconf_cni {
namespace {

/// An O_PATH descriptor, or -1 with errno. Absolute links inside of another root are followed
/// there: /opt/cni/bin is a link on some distributions.
int open_inside(const std::string& root, const std::string& path) {
  if (root.empty()) return ::open(path.c_str(), O_PATH | O_CLOEXEC);
  const int top = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) return -1;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  const auto file = static_cast<int>(::syscall(SYS_openat2, top, path.c_str(), &how, sizeof(how)));
  const int failure = errno;
  ::close(top);
  errno = failure;
  if (file < 0 && failure == ENOSYS) return ::open((root + path).c_str(), O_PATH | O_CLOEXEC);
  return file;
}

/// 0, or an errno.
int look_at(const std::string& root, const std::string& path) {
  struct stat status = {};
  if (const int failure = stat_inside(root, path, status); failure != 0) return failure;
  if (!S_ISREG(status.st_mode)) return EISDIR;
  return (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0 ? EACCES : 0;
}

}  // namespace

int stat_inside(const std::string& root, const std::string& path, struct stat& status) {
  const int file = open_inside(root, path);
  if (file < 0) return errno;
  const int failure = ::fstat(file, &status) != 0 ? errno : 0;
  ::close(file);
  return failure;
}

sdk::Result<std::string> find_plugin(const std::vector<std::string>& dirs, std::string_view type,
                                     const std::string& root) {
  std::string searched;
  for (const std::string& dir : dirs) {
    std::string path = dir + "/" + std::string(type);
    const int failure = look_at(root, path);
    if (failure == 0) return path;
    if (failure == EACCES || failure == EPERM) {
      return sdk::errno_error(failure, "CNI plugin " + path,
                              "the plugin must be executable; the node's files are seen through "
                              "hostPID and CAP_SYS_PTRACE");
    }
    searched += (searched.empty() ? "" : ":") + dir;
  }
  return sdk::Error(sdk::Code::kNotFound,
                    "CNI plugin " + std::string(type) + " is in none of " + searched,
                    "install it on the node, or set pluginDirs of the module netconf-cni");
}

}  // namespace drasriov::netconf_cni
