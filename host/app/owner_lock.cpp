// SPDX-License-Identifier: Apache-2.0
#include "host/app/owner_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace drasriov::app {

Result<OwnerLock> OwnerLock::open(const std::filesystem::path& directory) {
  std::filesystem::path path = directory / "owner.lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd)
    return errno_error(errno, "open " + path.native(),
                       "the driver needs write permission in its data directory");
  return OwnerLock(std::move(path), std::move(fd));
}

Result<bool> OwnerLock::try_take() {
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return false;
    return errno_error(errno, "lock " + path_.native(), "its file system must support flock(2)");
  }
  // Only for whoever stands by and wants to say for whom; the lock itself does not need it.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd_.get(), 0) != 0 || ::pwrite(fd_.get(), pid.data(), pid.size(), 0) < 0) {
    return errno_error(errno, "write " + path_.native(),
                       "free space on the file system of that directory");
  }
  return true;
}

std::optional<std::string> OwnerLock::owner() const {
  std::array<char, 16> text{};
  const ssize_t got = ::pread(fd_.get(), text.data(), text.size(), 0);
  if (got <= 0) return std::nullopt;
  std::string pid(text.data(), static_cast<std::size_t>(got));
  pid.erase(std::ranges::find_if(pid, [](char c) { return c < '0' || c > '9'; }), pid.end());
  if (pid.empty()) return std::nullopt;
  return pid;
}

}  // namespace drasriov::app
