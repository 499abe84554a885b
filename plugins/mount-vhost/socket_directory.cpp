// SPDX-License-Identifier: Apache-2.0
#include "socket_directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string>
#include <system_error>

namespace drasriov::mount_vhost {
namespace {

namespace fs = std::filesystem;

/// fd() < 0: it could not be opened, errno says why.
class Directory {
 public:
  explicit Directory(const fs::path& path, int from = AT_FDCWD)
      : fd_(::openat(from, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) {}
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-';
  });
}

/// Of the directory of a claim, as it was opened: that nobody else has put it there.
/// NOT_FOUND, FAILED_PRECONDITION, or what the kernel refused.
sdk::Status check_ours(const Directory& opened, const fs::path& path, const std::string& doing) {
  const auto refused = [&](const char* why) {
    return sdk::Error(sdk::Code::kFailedPrecondition, doing + path.native() + ": it is " + why,
                      "look what it is, and remove it by hand");
  };
  if (opened.fd() < 0) {
    return errno == ELOOP || errno == ENOTDIR
               ? refused("not the directory that was made for the claim")
               : sdk::errno_error(errno, "open " + path.native());
  }
  struct stat status = {};
  if (::fstat(opened.fd(), &status) != 0) {
    return sdk::errno_error(errno, "stat " + path.native());
  }
  return status.st_uid == ::geteuid() ? sdk::Status() : refused("somebody else's");
}

}  // namespace

sdk::Result<fs::path> socket_directory(const fs::path& socket_dir, std::string_view claim_uid,
                                       std::string_view device_name) {
  if (!socket_dir.is_absolute()) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      "socketDir \"" + socket_dir.native() + "\" is no absolute path");
  }
  if (!is_plain_name(claim_uid) || !is_plain_name(device_name)) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      "claim UID or device name cannot name a directory");
  }
  return socket_dir / claim_uid / device_name;
}

sdk::Status make_socket_directory(const Settings& settings, const fs::path& directory) {
  const fs::path claims = directory.parent_path();
  // The claim's own directory may be passed by everybody, and listed by none but root.
  if (::mkdir(claims.c_str(), 0711) != 0 && errno != EEXIST) {
    return sdk::errno_error(errno, "make " + claims.native(),
                            "socketDir of the module mount-vhost must be there and writable");
  }
  // Held open: whoever may write into socketDir cannot put another one in its place meanwhile.
  const Directory of_claim(claims);
  if (auto ours = check_ours(of_claim, claims, "use "); !ours) {
    return ours;
  }
  const fs::path name = directory.filename();
  if (::mkdirat(of_claim.fd(), name.c_str(), 0700) != 0 && errno != EEXIST) {
    return sdk::errno_error(errno, "make " + directory.native(),
                            "socketDir of the module mount-vhost must be writable");
  }
  const Directory opened(name, of_claim.fd());
  const auto failed = [&](const char* what) {
    return sdk::errno_error(errno, std::string(what) + " of " + directory.native());
  };
  if (opened.fd() < 0) {
    return failed("open the directory");
  }
  if (::fchown(opened.fd(), settings.socket_uid, settings.socket_gid) != 0) {
    return failed("set the owner");
  }
  const std::string& label = settings.socket_selinux_label;
  if (!label.empty() &&
      ::fsetxattr(opened.fd(), "security.selinux", label.c_str(), label.size() + 1, 0) != 0) {
    return failed("set the SELinux label");
  }
  // Last: until then nobody but root comes in.
  if (::fchmod(opened.fd(), settings.socket_mode) != 0) {
    return failed("set the mode");
  }
  return {};
}

sdk::Status remove_socket_directory(const fs::path& directory) {
  const fs::path of_claim = directory.parent_path();
  const Directory opened(of_claim);
  if (opened.fd() < 0 && errno == ENOENT) {
    return {};
  }
  if (auto ours = check_ours(opened, of_claim, "remove "); !ours) {
    return ours;
  }
  std::error_code error;
  // Follows no link (libstdc++ opens each step by descriptor) but this one.
  fs::remove_all(fs::path("/proc/self/fd") / std::to_string(opened.fd()) / directory.filename(),
                 error);
  if (error) {
    return sdk::errno_error(error.value(), "remove " + directory.native());
  }
  if (::rmdir(of_claim.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) {
    return sdk::errno_error(errno, "remove " + of_claim.native());
  }
  return {};
}

}  // namespace drasriov::mount_vhost
