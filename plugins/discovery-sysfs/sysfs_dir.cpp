// SPDX-License-Identifier: Apache-2.0
#include "sysfs_dir.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace drasriov::discovery_sysfs {
namespace {

// A listing needs a descriptor that is opened for reading; the one we keep is O_PATH, which costs
// the kernel no file state.
constexpr int kKeep = O_PATH | O_DIRECTORY | O_CLOEXEC;
constexpr int kList = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

}  // namespace

Found<SysfsDir> SysfsDir::open(const std::string& path) {
  Descriptor fd(::open(path.c_str(), kKeep));
  if (!fd) {
    return Found<SysfsDir>::failed(errno);
  }
  return SysfsDir(std::move(fd));
}

Found<SysfsDir> SysfsDir::child(const std::string& name) const {
  Descriptor fd(::openat(fd_.get(), name.c_str(), kKeep));
  if (!fd) {
    return Found<SysfsDir>::failed(errno);
  }
  return SysfsDir(std::move(fd));
}

Found<std::string_view> SysfsDir::read(const std::string& name, Buffer& buffer) const {
  const Descriptor fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return Found<std::string_view>::failed(errno);
  }
  const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
  if (size < 0) {
    return Found<std::string_view>::failed(errno);
  }
  std::string_view text(buffer.data(), static_cast<std::size_t>(size));
  if (text.size() == buffer.size()) {
    return Found<std::string_view>::failed(EFBIG);
  }
  if (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  return text;
}

Found<std::string_view> SysfsDir::link(const std::string& name, Buffer& buffer) const {
  const ssize_t size = ::readlinkat(fd_.get(), name.c_str(), buffer.data(), buffer.size());
  if (size < 0) {
    return Found<std::string_view>::failed(errno);
  }
  return std::string_view(buffer.data(), static_cast<std::size_t>(size));
}

bool SysfsDir::has(const std::string& name) const {
  return ::faccessat(fd_.get(), name.c_str(), F_OK, 0) == 0;
}

Found<std::vector<std::string>> SysfsDir::list() const {
  const Descriptor fd(::openat(fd_.get(), ".", kList));
  if (!fd) {
    return Found<std::vector<std::string>>::failed(errno);
  }
  std::vector<std::string> names;
  alignas(dirent64) std::array<std::byte, std::size_t{64} << 10> block;
  while (true) {
    const ssize_t size = ::getdents64(fd.get(), block.data(), block.size());
    if (size < 0) {
      return Found<std::vector<std::string>>::failed(errno);
    }
    if (size == 0) {
      return names;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      const auto* entry = reinterpret_cast<const dirent64*>(block.data() + at);
      const std::string_view name(entry->d_name);
      if (name != "." && name != "..") {
        names.emplace_back(name);
      }
      at += entry->d_reclen;
    }
  }
}

Found<std::string> SysfsDir::identity() const {
  struct stat status = {};
  if (::fstat(fd_.get(), &status) != 0) {
    return Found<std::string>::failed(errno);
  }
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

std::string_view base_name(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace drasriov::discovery_sysfs
