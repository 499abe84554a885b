// SPDX-License-Identifier: Apache-2.0
#include "host/status/status_server.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace drasriov::status {
namespace {

/// Who comes while another reader is served waits here; the kernel makes more wait in connect().
constexpr int kBacklog = 4;
/// After an accept() that fails for want of descriptors, so that the thread does not spin.
constexpr std::chrono::milliseconds kAcceptPause{200};

/// The private socket's name (dra::PublishedSocket), not longer than the one of dra.sock.
constexpr std::string_view kPrefix = "st";

}  // namespace

Result<std::string> status_socket_path(const std::filesystem::path& data_directory) {
  std::string path = (data_directory / "status.sock").native();
  if (path.size() <= dra::kMaxSocketPath) return path;
  return Error(Code::kInvalidArgument,
               "socket " + path + ": the path has " + std::to_string(path.size()) +
                   " bytes, a unix socket's at most " + std::to_string(dra::kMaxSocketPath),
               "give a shorter kubelet-plugins-directory-path or driverName");
}

StatusServer::StatusServer(Settings settings, std::string path, Describe describe,
                           telemetry::Log& log)
    : settings_(std::move(settings)),
      log_(log),
      socket_(std::move(path), kPrefix),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      describe_(std::move(describe)) {}

Result<std::unique_ptr<StatusServer>> StatusServer::start(Settings settings, Describe describe,
                                                          telemetry::Log& log) {
  auto path = status_socket_path(settings.data_directory);
  if (!path) return std::move(path).error();
  std::unique_ptr<StatusServer> server(
      new StatusServer(std::move(settings), *std::move(path), std::move(describe), log));
  if (!server->wake_) return errno_error(errno, "eventfd", "raise the limit of open files");
  server->socket_.remove_stale();
  if (auto listening = server->listen(); !listening) return std::move(listening).error();
  server->thread_ = std::thread([raw = server.get()] { raw->run(); });
  return server;
}

StatusServer::~StatusServer() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
    thread_.join();
  }
  socket_.withdraw();
  if (listener_) ::unlink(socket_.private_path().c_str());
}

void StatusServer::describe_by(Describe describe) {
  const MutexLock lock(mutex_);
  describe_ = std::move(describe);
}

Status StatusServer::listen() {
  const std::string& path = socket_.private_path();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, "status socket", "raise the limit of open files");
  // The file of the socket gets the descriptor's mode: at no time can anybody else connect (unix(7), bind).
  if (::fchmod(fd.get(), 0600) != 0) return errno_error(errno, "chmod status socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error(Code::kInvalidArgument, "socket " + path + ": the path is too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return errno_error(errno, "create socket " + path,
                       "the driver needs write permission in its data directory");
  }
  listener_ = std::move(fd);
  auto published = socket_.publish();
  if (!published) {
    listener_.reset();
    ::unlink(path.c_str());
  }
  return published;
}

void StatusServer::run() {
  for (;;) {
    std::array<pollfd, 2> entries = {pollfd{wake_.get(), POLLIN, 0},
                                     pollfd{listener_.get(), POLLIN, 0}};
    (void)::poll(entries.data(), entries.size(),
                 static_cast<int>(settings_.check_interval.count()));
    if (entries[0].revents != 0) return;
    if (entries[1].revents == 0) {
      look_after_name();
      continue;
    }
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      serve(std::move(connection));
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      (void)ready(-1, 0, Deadline::after(kAcceptPause));
    }
  }
}

void StatusServer::look_after_name() {
  using State = dra::PublishedSocket::State;
  const State state = socket_.state();
  if (state != State::kMissing && state != State::kGone) return;
  const Status again = state == State::kMissing ? socket_.publish() : listen();
  if (!again) log_.debug(again.error().to_string());
}

void StatusServer::serve(UniqueFd connection) {
  std::string document;
  {
    const MutexLock lock(mutex_);
    document = describe_();
  }
  send(connection.get(), document, Deadline::after(settings_.patience));
}

void StatusServer::send(int connection, std::string_view text, Deadline deadline) const {
  while (!text.empty()) {
    const ssize_t sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!ready(connection, POLLOUT, deadline)) return;
    } else if (errno != EINTR) {
      return;  // the reader is gone
    }
    if (deadline.expired()) return;
  }
}

bool StatusServer::ready(int fd, short events, Deadline deadline) const {
  std::array<pollfd, 2> entries = {pollfd{wake_.get(), POLLIN, 0}, pollfd{fd, events, 0}};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.remaining());
    const int got = ::poll(entries.data(), entries.size(), static_cast<int>(left.count()));
    if (got < 0 && errno == EINTR) continue;
    return got > 0 && entries[0].revents == 0 && entries[1].revents != 0;
  }
}

}  // namespace drasriov::status
