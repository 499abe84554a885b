// SPDX-License-Identifier: Apache-2.0
#include "host/module/module_file.hpp"

#include <drasriov/abi/module.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "host/base/encoding.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov::module {
namespace {

constexpr std::size_t kLargestFile = 256U << 20U;

std::string octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof(text), "%04o", static_cast<unsigned>(mode & 07777U));
  return text;
}

std::string_view kind_of(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

bool same_time(const struct timespec& a, const struct timespec& b) noexcept {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

Result<ModuleFile> ModuleFile::open(const std::filesystem::path& path, const FileRules& rules) {
  ModuleFile file;
  file.path_ = path;
  if (auto status = file.read(rules); !status) return file.about(status.error());
  return file;
}

Error ModuleFile::about(const Error& error) const {
  return error.with_context("module file " + path_.string());
}

Status ModuleFile::read(const FileRules& rules) {
  if (!path_.is_absolute()) {
    return Error(Code::kInvalidArgument, "the path is not absolute",
                 "write the whole path, or builtin:NAME for a module that comes with the driver");
  }
  std::error_code failure;
  real_path_ = std::filesystem::canonical(path_, failure);
  if (failure) {
    auto error = errno_error(
        failure.value(), "open",
        "check the path, and that the image or volume that brings the module is mounted");
    return error;
  }

  // One descriptor from here on: the rules, the checksum and the note are all about what it refers
  // to. O_NONBLOCK: a pipe in the file's place must not hold up the start.
  const UniqueFd fd(::open(real_path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd)
    return errno_error(errno, "open", "check owner and mode of the file and of its directories");
  if (::fstat(fd.get(), &status_) != 0) return errno_error(errno, "fstat");
  if (!S_ISREG(status_.st_mode)) {
    return Error(Code::kInvalidArgument,
                 "it is " + std::string(kind_of(status_.st_mode)) + ", not a regular file",
                 "give the module's .so file");
  }
  if (auto status = check_owner(status_, "it", real_path_.string(), rules.insecure_dev); !status)
    return status;
  if (auto status = check_directories(path_, rules.insecure_dev); !status) return status;
  if (real_path_ != path_) {
    if (auto status = check_directories(real_path_, rules.insecure_dev); !status) return status;
  }

  if (static_cast<std::uint64_t>(status_.st_size) > kLargestFile) {
    return Error(Code::kOutOfRange, "it is larger than 256 MiB", "strip the module");
  }
  // Read, not mapped: a file that is cut off meanwhile would kill the process with SIGBUS.
  content_.resize(static_cast<std::size_t>(status_.st_size));
  std::size_t filled = 0;
  while (filled < content_.size()) {
    const ssize_t count = ::read(fd.get(), content_.data() + filled, content_.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read");
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  content_.resize(filled);

  if (!rules.sha256.empty()) {
    std::string pin = rules.sha256;
    std::ranges::transform(pin, pin.begin(), [](char c) {
      return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
    });
    const std::string actual = sha256();
    if (actual != pin) {
      return Error(
          Code::kFailedPrecondition, "its SHA-256 is " + actual + ", the configuration pins " + pin,
          "install the pinned file, or review the new one and change sha256 of the module");
    }
  }
  return {};
}

Status ModuleFile::check_owner(const struct stat& status, const std::string& what,
                               const std::string& target, bool insecure_dev) {
  std::string breach;
  std::string hint;
  const uid_t self = ::geteuid();
  if (status.st_uid != 0 && status.st_uid != self) {
    breach = what + " is owned by uid " + std::to_string(status.st_uid) +
             ", neither root nor uid " + std::to_string(self) + " that the driver runs as";
    hint = "chown root " + target;
  } else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
             !(S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0)) {
    breach = what + " is writable by " +
             ((status.st_mode & S_IWOTH) != 0 ? "others" : "its group") + " (mode " +
             octal(status.st_mode) + ")";
    hint = "chmod go-w " + target;
  } else {
    return {};
  }
  if (!insecure_dev) {
    return Error(Code::kPermissionDenied, std::move(breach),
                 hint + " (for development --insecure-dev accepts it)");
  }
  if (std::ranges::find(relaxations_, breach) == relaxations_.end())
    relaxations_.push_back(std::move(breach));
  return {};
}

Status ModuleFile::check_directories(const std::filesystem::path& file, bool insecure_dev) {
  for (auto directory = file.parent_path();; directory = directory.parent_path()) {
    struct stat status = {};
    if (::stat(directory.c_str(), &status) != 0)
      return errno_error(errno, "stat " + directory.string());
    if (auto checked = check_owner(status, "directory " + directory.string(), directory.string(),
                                   insecure_dev);
        !checked) {
      return checked;
    }
    if (directory == directory.parent_path()) return {};
  }
}

std::string ModuleFile::sha256() const {
  return sha256_hex(content_);
}

Result<ElfImage> ModuleFile::image() const {
  auto image = ElfImage::parse(std::as_bytes(std::span(content_)));
  if (!image) return about(image.error());
  if (image->machine() != host_machine()) {
    return about(Error(Code::kFailedPrecondition,
                       "it is for " + machine_name(image->machine()) + ", this host is " +
                           machine_name(host_machine()),
                       "install the module's build for this architecture"));
  }
  return image;
}

Result<Manifest> ModuleFile::manifest() const {
  const auto elf = image();
  if (!elf) return elf.error();
  const auto note = elf->note(DRASRIOV_NOTE_SECTION, DRASRIOV_NOTE_OWNER, DRASRIOV_NOTE_TYPE);
  if (!note) return about(note.error());
  if (!note->has_value()) {
    return about(Error(Code::kInvalidArgument,
                       "it has no note " DRASRIOV_NOTE_SECTION ", so it is no module",
                       "build it with drasriov_add_module(), which writes the note"));
  }
  auto manifest = parse_manifest(**note);
  if (!manifest) return about(manifest.error());
  return manifest;
}

Status ModuleFile::unchanged() const {
  struct stat now = {};
  if (::stat(real_path_.c_str(), &now) == 0 && now.st_dev == status_.st_dev &&
      now.st_ino == status_.st_ino && now.st_size == status_.st_size &&
      same_time(now.st_mtim, status_.st_mtim) && same_time(now.st_ctim, status_.st_ctim)) {
    return {};
  }
  return about(Error(Code::kAborted, "it was replaced while it was being loaded",
                     "finish the installation of the module, then start the driver"));
}

}  // namespace drasriov::module
