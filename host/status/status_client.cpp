// SPDX-License-Identifier: Apache-2.0
#include "host/status/status_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/unique_fd.hpp"
#include "host/status/status_server.hpp"

namespace drasriov::status {
namespace {

using nlohmann::json;

/// Some 100 times the document of a node with 2,048 VFs.
constexpr std::size_t kMaxBytes = 256U << 20U;

timeval time_left(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline.remaining());
  // A timeout of zero means none at all (socket(7)).
  const auto micros = std::max<std::int64_t>(1, left.count());
  return {.tv_sec = micros / 1'000'000, .tv_usec = micros % 1'000'000};
}

Error no_driver(const std::string& path, std::string_view why) {
  return {Code::kNotFound, "no driver runs here: socket " + path + ": " + std::string(why)};
}

Error no_answer(const std::string& path) {
  return {Code::kDeadlineExceeded, "the driver does not answer on " + path,
          "its log says what it is doing; SIGUSR1 writes its state there"};
}

Result<UniqueFd> connect_to(const std::string& path, Deadline deadline) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "socket");
  const timeval timeout = time_left(deadline);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
    return fd;
  switch (errno) {
    case ENOENT:
    case ENOTDIR: return no_driver(path, "there is none");
    case ECONNREFUSED: return no_driver(path, "nobody listens, its process has ended");
    case EAGAIN: return no_answer(path);  // the backlog stays full
    default: return errno_error(errno, "connect to " + path, "run this as root");
  }
}

Result<std::string> read_all(int fd, const std::string& path, Deadline deadline) {
  std::string text;
  std::array<char, 65536> buffer{};
  while (text.size() <= kMaxBytes) {
    const timeval timeout = time_left(deadline);
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got == 0) return text;
    if (got > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (errno == EAGAIN) {
      return no_answer(path);
    } else if (errno != EINTR) {
      return errno_error(errno, "read from " + path);
    }
    if (deadline.expired()) return no_answer(path);
  }
  return Error(Code::kOutOfRange, "socket " + path + ": the answer has no end");
}

std::string text_member(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

Result<json> read_status(const std::filesystem::path& data_directory, Deadline deadline) {
  const auto path = status_socket_path(data_directory);
  if (!path) return path.error();
  const auto fd = connect_to(*path, deadline);
  if (!fd) return fd.error();
  const auto text = read_all(fd->get(), *path, deadline);
  if (!text) return text.error();
  json document = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return Error(Code::kDataLoss, "socket " + *path + ": the answer of " +
                                      std::to_string(text->size()) + " bytes is cut short");
  }
  const std::string version = text_member(document, "apiVersion");
  if (version != kApiVersion || text_member(document, "kind") != kStatusKind) {
    return Error(Code::kFailedPrecondition,
                 "socket " + *path + ": the driver answers with \"" + version +
                     "\", this program reads \"" + std::string(kApiVersion) + "\"",
                 "use the program of the driver's own version");
  }
  return document;
}

}  // namespace drasriov::status
