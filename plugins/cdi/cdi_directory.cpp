// SPDX-License-Identifier: Apache-2.0
#include "cdi_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include "spec_validator.hpp"

namespace drasriov::cdi {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".json";
constexpr std::string_view kGoDriverSuffix = ".yaml";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

class Fd {
 public:
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

std::string hint_for(int error_number, const fs::path& directory) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: return "free space or inodes on the file system of " + directory.native();
    case EROFS:
      return directory.native() +
             " is mounted read-only: mount it writable into the driver's container";
    case EACCES:
    case EPERM: return "the driver needs write permission on " + directory.native();
    case ENOTDIR:
      return directory.native() +
             " or a part of it is a file: remove the file or choose another directory (--cdi-root)";
    case EISDIR:
    case ENOTEMPTY: return "a directory stands where the spec file belongs: remove it";
    default: return {};
  }
}

sdk::Error file_error(int error_number, std::string_view action, const fs::path& directory,
                      std::string_view name = {}) {
  const fs::path object = name.empty() ? directory : directory / name;
  return sdk::errno_error(error_number, std::string(action) + " " + object.native(),
                          hint_for(error_number, directory));
}

/// What may stand between '_' and the suffix. No '_', so that kind "a/b" never takes the files of
/// "a/b_c" for its own; no '/', so that it stays in the directory.
bool is_id(std::string_view id) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !id.empty() && is_alphanumeric(id.front()) && std::ranges::all_of(id, [&](char c) {
    return is_alphanumeric(c) || c == '-' || c == '.';
  });
}

/// "<vendor>-<class>_". REQUIRES: the kind has been checked.
std::string prefix_of(std::string_view kind) {
  std::string prefix(kind);
  std::ranges::replace(prefix, '/', '-');
  return prefix + "_";
}

sdk::Result<std::string> stem_of(std::string_view kind, std::string_view id) {
  if (auto checked = check_kind(kind); !checked) return checked.error();
  if (!is_id(id)) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      "CDI spec id \"" + std::string(id) + "\" cannot be part of a file name");
  }
  return prefix_of(kind).append(id);
}

std::string random_token() {
  std::random_device random;
  char text[17];
  std::snprintf(text, sizeof text, "%08x%08x", random(), random());
  return text;
}

/// A descriptor for the *at() calls, or -1 with errno.
Fd open_directory(const fs::path& path) {
  return Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

sdk::Result<Fd> open_or_create_directory(const fs::path& path) {
  Fd there = open_directory(path);
  if (there) return there;
  if (errno != ENOENT) return file_error(errno, "open the CDI directory", path);
  std::error_code error;
  const bool created = fs::create_directories(path, error);
  if (error) return file_error(error.value(), "create the CDI directory", path);
  // The umask has no say: the runtime may run as another user.
  if (created && ::chmod(path.c_str(), kDirectoryMode) != 0) {
    return file_error(errno, "set the mode of the CDI directory", path);
  }
  Fd made = open_directory(path);
  if (!made) return file_error(errno, "open the CDI directory", path);
  return made;
}

/// Whether the file is there as we would write it. Anything in doubt is "no": it is written anew.
bool holds(const Fd& directory, const std::string& name, std::string_view content) {
  const Fd file(
      ::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      (info.st_mode & 07777) != kFileMode ||
      static_cast<std::size_t>(info.st_size) != content.size()) {
    return false;
  }
  std::string there(content.size(), '\0');
  std::size_t used = 0;
  while (used < there.size()) {
    const ssize_t got = ::read(file.get(), there.data() + used, there.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    used += static_cast<std::size_t>(got);
  }
  return there == content;
}

/// 0 or errno.
int write_new_file(const Fd& directory, const std::string& name, std::string_view content) {
  const Fd file(::openat(directory.get(), name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file || ::fchmod(file.get(), kFileMode) != 0) return errno;
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// 0 or errno; a file that is not there is 0. On a read-only mount the kernel says EROFS before it looks for the name
/// (do_unlinkat), and a claim whose spec could not be written there would be held for ever.
int unlink_if_there(const Fd& directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), 0) == 0) return 0;
  const int failure = errno;
  struct stat info {};
  const bool is_absent =
      ::fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
  return is_absent ? 0 : failure;
}

}  // namespace

CdiDirectory::CdiDirectory(fs::path path) : path_(std::move(path)), token_(random_token()) {}

std::string CdiDirectory::temporary_name(std::string_view stem) {
  // Hidden, and with an extension that no runtime reads.
  return "." + std::string(stem) + "." + token_ + "-" + std::to_string(next_temporary_++) +
         std::string(kTemporarySuffix);
}

sdk::Status CdiDirectory::check_writable() const {
  if (::access(path_.c_str(), W_OK | X_OK) == 0 || errno == ENOENT) return {};
  return file_error(errno, "write into the CDI directory", path_);
}

sdk::Result<CdiDirectory::Written> CdiDirectory::write(std::string_view kind, std::string_view id,
                                                       std::string_view spec_json) {
  const auto stem = stem_of(kind, id);
  if (!stem) return stem.error();
  const std::string name = *stem + std::string(kSuffix);
  if (auto checked = check_spec(spec_json, kind); !checked) {
    return checked.error().with_context((path_ / name).native());
  }
  const auto directory = open_or_create_directory(path_);
  if (!directory) return directory.error();

  Written outcome = Written::kUnchanged;
  if (!holds(*directory, name, spec_json)) {
    const std::string temporary = temporary_name(*stem);
    int failure = write_new_file(*directory, temporary, spec_json);
    if (failure == 0 &&
        ::renameat(directory->get(), temporary.c_str(), directory->get(), name.c_str()) != 0) {
      failure = errno;
    }
    if (failure != 0) {
      ::unlinkat(directory->get(), temporary.c_str(), 0);
      return file_error(failure, "write CDI spec", path_, name);
    }
    outcome = Written::kNew;
  }
  const std::string older = *stem + std::string(kGoDriverSuffix);
  if (const int failure = unlink_if_there(*directory, older); failure != 0) {
    return file_error(failure, "remove the earlier driver's CDI spec", path_, older);
  }
  return outcome;
}

sdk::Status CdiDirectory::remove(std::string_view kind, std::string_view id) {
  const auto stem = stem_of(kind, id);
  if (!stem) return stem.error();
  const Fd directory = open_directory(path_);
  if (!directory) {
    // Without a directory there is no spec; that someone put a file in its place is told by the
    // next write.
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return file_error(errno, "open the CDI directory", path_);
  }
  for (const std::string_view suffix : {kSuffix, kGoDriverSuffix}) {
    const std::string name = *stem + std::string(suffix);
    if (const int failure = unlink_if_there(directory, name); failure != 0) {
      return file_error(failure, "remove CDI spec", path_, name);
    }
  }
  return {};
}

sdk::Result<CdiDirectory::Listing> CdiDirectory::list(std::string_view kind) {
  if (auto checked = check_kind(kind); !checked) return checked.error();
  const std::string prefix = prefix_of(kind);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path_.c_str()), ::closedir);
  Listing listing;
  if (!directory) {
    if (errno == ENOENT) return listing;
    return file_error(errno, "read the CDI directory", path_);
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) return file_error(errno, "read the CDI directory", path_);
      break;
    }
    std::string_view name(entry->d_name);
    if (name.starts_with('.')) {
      const bool ours = name.substr(1).starts_with(prefix) && name.ends_with(kTemporarySuffix);
      // One with our own token belongs to a write that is under way.
      const bool current = name.find("." + token_ + "-") != std::string_view::npos;
      if (ours && !current && ::unlinkat(::dirfd(directory.get()), entry->d_name, 0) == 0) {
        ++listing.removed_temporaries;
      }
      continue;
    }
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    for (const std::string_view suffix : {kSuffix, kGoDriverSuffix}) {
      if (!name.ends_with(suffix)) continue;
      const std::string_view id = name.substr(0, name.size() - suffix.size());
      if (is_id(id) && entry->d_type != DT_DIR) listing.ids.emplace_back(id);
    }
  }
  std::sort(listing.ids.begin(), listing.ids.end());
  listing.ids.erase(std::unique(listing.ids.begin(), listing.ids.end()), listing.ids.end());
  return listing;
}

}  // namespace drasriov::cdi
