// SPDX-License-Identifier: Apache-2.0
#include "host/dra/socket_path.hpp"

#include <dirent.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "host/base/encoding.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov::dra {
namespace {

namespace fs = std::filesystem;

/// base64url without padding of the first 16 bytes of SHA-256(text): 22 characters.
std::string short_hash(std::string_view text) {
  const std::string hex = sha256_hex(text);
  std::string bytes;
  for (std::size_t i = 0; i < 32; i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  std::string encoded = base64_encode(bytes);
  encoded.resize(22);
  for (char& c : encoded) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return encoded;
}

Error too_long(const std::string& path, std::string_view option) {
  return {Code::kInvalidArgument,
          "socket " + path + ": the path has " + std::to_string(path.size()) +
              " bytes, a unix socket's at most " + std::to_string(kMaxSocketPath),
          "give a shorter " + std::string(option)};
}

std::string random_digits() {
  std::array<unsigned char, 3> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    const auto pid = static_cast<unsigned>(::getpid());
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<unsigned char>(pid >> (8 * i));
  }
  std::array<char, 7> digits{};
  std::snprintf(digits.data(), digits.size(), "%02x%02x%02x", unsigned{bytes[0]},
                unsigned{bytes[1]}, unsigned{bytes[2]});
  return digits.data();
}

/// nullopt when nothing has that name.
std::optional<struct stat> look(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return info;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// REQUIRES: at most kMaxSocketPath bytes
sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// Whether a process accepts connections on the socket `path`.
bool somebody_listens(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return false;
  const sockaddr_un address = address_of(path);
  // EAGAIN is a full backlog of a live listener; ECONNREFUSED is a socket file without one.
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
         errno == EAGAIN;
}

}  // namespace

Result<std::string> registration_socket_path(const fs::path& directory,
                                             std::string_view driver_name) {
  std::string path = (directory / (std::string(driver_name) + "-reg.sock")).native();
  if (path.size() <= kMaxSocketPath) return path;
  std::string shortened = (directory / ("dra-" + short_hash(driver_name) + "-reg.sock")).native();
  if (shortened.size() <= kMaxSocketPath) return shortened;
  return too_long(shortened, "kubelet-registrar-directory-path");
}

Result<std::string> dra_socket_path(const fs::path& data_directory) {
  // The private socket beside it (PublishedSocket) has the longer name.
  const std::string longest = (data_directory / ".dra-012345").native();
  if (longest.size() <= kMaxSocketPath) return (data_directory / "dra.sock").native();
  return too_long(longest, "kubelet-plugins-directory-path or driverName");
}

PublishedSocket::PublishedSocket(std::string public_path, std::string_view prefix)
    : public_path_(std::move(public_path)) {
  const fs::path directory = fs::path(public_path_).parent_path();
  private_prefix_ = "." + std::string(prefix) + "-";
  private_path_ = (directory / (private_prefix_ + random_digits())).native();
}

void PublishedSocket::remove_stale() const {
  const fs::path directory = fs::path(public_path_).parent_path();
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name(entry->d_name);
    if (!name.starts_with(private_prefix_) || name.size() != private_prefix_.size() + 6) continue;
    const std::string path = (directory / name).native();
    if (path == private_path_ || path.size() > kMaxSocketPath) continue;
    const auto info = look(path);
    if (info && S_ISSOCK(info->st_mode) && !somebody_listens(path)) ::unlink(path.c_str());
  }
}

Status PublishedSocket::check_place() const {
  if (private_path_.size() > kMaxSocketPath)
    return too_long(private_path_, "kubelet-registrar-directory-path");
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(private_path_);
  if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    ::unlink(private_path_.c_str());
    return {};
  }
  const int error = errno;
  const std::string directory = fs::path(public_path_).parent_path().native();
  return errno_error(
      error, "socket " + public_path_ + ": listen beside it in " + directory,
      error == EROFS
          ? directory + " is mounted read-only: mount it writable into the driver's container"
          : "the driver needs write permission in that directory, and its file system must take "
            "sockets");
}

Status PublishedSocket::publish() {
  if (::chmod(private_path_.c_str(), 0600) != 0)
    return errno_error(errno, "chmod " + private_path_);
  const auto existing = look(public_path_);
  if (!existing) {
    if (::link(private_path_.c_str(), public_path_.c_str()) == 0) return {};
    return errno_error(errno, "create socket " + public_path_);
  }
  if (!S_ISSOCK(existing->st_mode)) {
    return Error(Code::kAlreadyExists,
                 "socket " + public_path_ + ": something that is no socket has that name",
                 "remove it");
  }
  const auto ours = look(private_path_);
  if (ours && same_file(*ours, *existing)) return {};
  if (somebody_listens(public_path_)) {
    return Error(Code::kAlreadyExists, "socket " + public_path_ + ": another process listens there",
                 "stop the other driver of this name first");
  }
  const std::string next = private_path_ + "~";
  if (::link(private_path_.c_str(), next.c_str()) != 0)
    return errno_error(errno, "create socket " + next);
  if (::rename(next.c_str(), public_path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(next.c_str());
    return errno_error(error, "replace socket " + public_path_);
  }
  return {};
}

PublishedSocket::State PublishedSocket::state() const {
  const auto ours = look(private_path_);
  if (!ours) return State::kGone;
  const auto current = look(public_path_);
  if (!current) return State::kMissing;
  return same_file(*ours, *current) ? State::kOurs : State::kForeign;
}

void PublishedSocket::withdraw() {
  if (state() == State::kOurs) ::unlink(public_path_.c_str());
}

}  // namespace drasriov::dra
