// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/host_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace drasriov::doctor {
namespace {

Result<std::string> read_all(const UniqueFd& file, const std::filesystem::path& path,
                             std::size_t limit) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.size() < limit) {
    const ssize_t got =
        ::read(file.get(), buffer.data(), std::min(buffer.size(), limit - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read " + path.native());
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

constexpr std::size_t kLargestFile = 1U << 20U;

}  // namespace

Result<HostFiles> HostFiles::open(const std::filesystem::path& root) {
  UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + root.native());
  HostFiles files(std::move(fd));
  // Opening /proc/1/root needs no permission, walking through it does.
  if (!files.open_at("/", O_RDONLY | O_DIRECTORY))
    return errno_error(errno, "open the host's root directory " + root.native());
  return files;
}

UniqueFd HostFiles::open_at(const std::filesystem::path& path, int flags) const {
  open_how how{};
  how.flags = static_cast<decltype(how.flags)>(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how);
  return UniqueFd(static_cast<int>(fd));
}

Result<std::string> HostFiles::read(const std::filesystem::path& path) const {
  const UniqueFd file = open_at(path, O_RDONLY);
  if (!file) return errno_error(errno, "open " + path.native());
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(errno, "stat " + path.native());
  if (!S_ISREG(status.st_mode))
    return Error(Code::kFailedPrecondition, path.native() + " is not a regular file");
  return read_all(file, path, kLargestFile);
}

bool HostFiles::exists(const std::filesystem::path& path) const {
  // O_NONBLOCK is not allowed beside O_PATH in openat2(2).
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how);
  return UniqueFd(static_cast<int>(fd)).valid();
}

std::vector<std::string> HostFiles::list(const std::filesystem::path& directory) const {
  std::vector<std::string> names;
  UniqueFd fd = open_at(directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return names;
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(fd.get()), close);
  if (!stream) return names;
  (void)fd.release();  // closedir(3) closes it
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

Result<std::string> read_some(const std::filesystem::path& path, std::size_t limit) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return errno_error(errno, "open " + path.native());
  return read_all(file, path, limit);
}

}  // namespace drasriov::doctor
