// SPDX-License-Identifier: Apache-2.0
#include "fake_runtime.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace drasriov::runtime_nri::testing {
namespace {

constexpr int kLimitMs = 10000;

bool readable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, kLimitMs) == 1;
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Peer::~Peer() {
  ::close(fd_);
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

bool Peer::receive() {
  char bytes[65536];
  if (!readable(fd_)) return false;
  const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
  if (size <= 0) return false;
  for (Written& message : reader_.feed({bytes, static_cast<std::size_t>(size)})) {
    queue_.push_back(std::move(message));
  }
  EXPECT_EQ(reader_.problem(), "");
  return true;
}

std::optional<Written> Peer::next() {
  while (queue_.empty()) {
    if (!receive()) {
      ADD_FAILURE() << "the plugin wrote nothing more";
      return {};
    }
  }
  Written message = std::move(queue_.front());
  queue_.erase(queue_.begin());
  return message;
}

bool Peer::closed() {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLimitMs);
  char bytes[4096];
  while (std::chrono::steady_clock::now() < limit && readable(fd_)) {
    if (::recv(fd_, bytes, sizeof bytes, 0) <= 0) return true;
  }
  return false;
}

std::uint32_t Peer::call(std::string_view method, std::string_view payload,
                         std::chrono::nanoseconds timeout) {
  last_stream_ += last_stream_ == 0 ? 1 : 2;
  send(mux(1, request_frame(last_stream_, method, payload, timeout)));
  return last_stream_;
}

std::optional<Written> Peer::ask(std::string_view method, std::string_view payload,
                                 std::chrono::nanoseconds timeout) {
  const std::uint32_t stream = call(method, payload, timeout);
  auto answer = next();
  EXPECT_EQ(answer ? answer->stream : 0, stream);
  return answer;
}

bool Peer::handshake(const std::vector<TestPod>& pods,
                     const std::vector<TestContainer>& containers) {
  const auto registration = next();
  if (!registration || registration->method != "RegisterPlugin") return false;
  EXPECT_EQ(registration->stream, 1U);
  send(mux(2, response_frame(1)));
  const auto subscription = ask("Configure", configure_request());
  const auto synchronised = ask("Synchronize", synchronize_request(pods, containers));
  return subscription && subscription->code == 0 && synchronised && synchronised->code == 0;
}

FakeRuntime::FakeRuntime(std::filesystem::path socket)
    : socket_(std::move(socket)),
      fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_.c_str(), sizeof address.sun_path - 1);
  if (fd_ < 0) fail("socket");
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(fd_, 16) != 0) fail("listen");
}

FakeRuntime::~FakeRuntime() {
  ::close(fd_);
  ::unlink(socket_.c_str());
}

std::unique_ptr<Peer> FakeRuntime::accept() {
  if (!readable(fd_)) throw std::runtime_error("no plugin connected");
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) fail("accept");
  return std::make_unique<Peer>(fd);
}

}  // namespace drasriov::runtime_nri::testing
