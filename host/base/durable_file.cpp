// SPDX-License-Identifier: Apache-2.0
#include "host/base/durable_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "host/base/fault_point.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov {
namespace {

namespace fs = std::filesystem;

std::string disk_hint(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: return "free space on the file system of that directory";
    case EROFS: return "the file system is mounted read-only: mount it writable for the driver";
    case EACCES:
    case EPERM: return "the driver needs write permission there";
    default: return {};
  }
}

Error file_error(int error_number, std::string_view verb, const fs::path& path) {
  std::string action(verb);
  action.append(" ").append(path.native());
  return errno_error(error_number, action, disk_hint(error_number));
}

Status write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return file_error(errno, "write", path);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Status sync_directory(const fs::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return file_error(errno, "open directory", directory);
  if (::fsync(fd.get()) != 0) return file_error(errno, "fsync directory", directory);
  return {};
}

}  // namespace

Result<std::string> read_file(const fs::path& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return file_error(errno, "open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return file_error(errno, "stat", path);
  if (S_ISDIR(info.st_mode)) return file_error(EISDIR, "read", path);

  std::string content;
  std::size_t used = 0;
  // A size of 0 or 4096 says nothing in /proc and /sys, so read until end of file whatever stat said.
  content.resize(static_cast<std::size_t>(info.st_size > 0 ? info.st_size : 0) + 1);
  for (;;) {
    if (used == content.size()) content.resize(content.size() * 2);
    const ssize_t got = ::read(fd.get(), content.data() + used, content.size() - used);
    if (got < 0) {
      if (errno == EINTR) continue;
      return file_error(errno, "read", path);
    }
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used > limit) {
      return Error(Code::kOutOfRange,
                   "read " + path.native() + ": larger than " + std::to_string(limit) + " bytes");
    }
  }
  content.resize(used);
  return content;
}

Status replace_file(const fs::path& path, std::string_view content, Durability durability,
                    mode_t mode) {
  const fs::path directory = directory_of(path);
  std::string temporary = (directory / ("." + path.filename().native() + ".XXXXXX.tmp")).native();
  UniqueFd fd(::mkostemps(temporary.data(), 4, O_CLOEXEC));
  if (!fd && errno == ENOENT) {
    return file_error(ENOENT, "create a temporary file for", path)
        .with_hint("directory " + directory.native() +
                   " does not exist: make it; what the driver made itself and somebody removed it "
                   "makes again when it is restarted");
  }
  if (!fd) return file_error(errno, "create a temporary file for", path);

  const auto abandon = [&](Error error) {
    ::unlink(temporary.c_str());
    return error;
  };
  if (::fchmod(fd.get(), mode) != 0) return abandon(file_error(errno, "chmod", path));
  if (auto written = write_all(fd.get(), content, path); !written)
    return abandon(std::move(written).error());
  fault_point("file.written");
  if (durability == Durability::kDurable && ::fsync(fd.get()) != 0) {
    return abandon(file_error(errno, "fsync", path));
  }
  fd.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return abandon(file_error(errno, "rename to", path));
  fault_point("file.renamed");
  return durability == Durability::kDurable ? sync_directory(directory) : Status();
}

Status remove_file(const fs::path& path, Durability durability) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return file_error(errno, "remove", path);
  }
  return durability == Durability::kDurable ? sync_directory(directory_of(path)) : Status();
}

Status make_directories(const fs::path& path, mode_t mode) {
  if (path.empty()) return {};
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    if (auto parents = make_directories(path.parent_path(), mode); !parents) return parents;
    if (::mkdir(path.c_str(), mode) == 0) return {};
  }
  if (errno == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return Error(Code::kFailedPrecondition,
                 "create directory " + path.native() + ": a file of that name exists",
                 "remove the file or configure another directory");
  }
  return file_error(errno, "create directory", path);
}

Result<std::size_t> remove_stale_temporaries(const fs::path& directory, std::string_view name) {
  const std::string prefix = name.empty() ? "." : "." + std::string(name) + ".";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) {
    if (errno == ENOENT) return std::size_t{0};
    return file_error(errno, "open directory", directory);
  }
  std::size_t removed = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view file(entry->d_name);
    if (!file.starts_with(prefix) || !file.ends_with(".tmp")) continue;
    if (::unlinkat(::dirfd(dir.get()), entry->d_name, 0) == 0) ++removed;
  }
  return removed;
}

}  // namespace drasriov
