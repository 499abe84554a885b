// SPDX-License-Identifier: Apache-2.0
//
// FakeRuntime: a container runtime's NRI side on a real unix socket, driven step by step by the
// test's thread, which may also do what no runtime should. Every wait has a limit of 10 s.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire.hpp"

namespace drasriov::runtime_nri::testing {

/// One connection of the plugin. Closed when it is destroyed.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// False when the plugin has closed the connection.
  bool send(std::string_view bytes);
  /// The next message of the plugin; nothing (and a test failure) at its end or after 10 s.
  [[nodiscard]] std::optional<Written> next();
  /// Whether the plugin closes the connection within 10 s.
  [[nodiscard]] bool closed();

  /// A call of the Plugin service: its stream id.
  std::uint32_t call(std::string_view method, std::string_view payload,
                     std::chrono::nanoseconds timeout = std::chrono::seconds(2));
  /// call and next.
  [[nodiscard]] std::optional<Written> ask(
      std::string_view method, std::string_view payload,
      std::chrono::nanoseconds timeout = std::chrono::seconds(2));
  /// RegisterPlugin, Configure, Synchronize; false (and a test failure) when the plugin errs.
  [[nodiscard]] bool handshake(const std::vector<TestPod>& pods = {},
                               const std::vector<TestContainer>& containers = {});

 private:
  /// Bytes to queue_; false at the end of the connection.
  [[nodiscard]] bool receive();

  int fd_;
  std::uint32_t last_stream_ = 0;
  GoReader reader_;
  std::vector<Written> queue_;
};

class FakeRuntime {
 public:
  /// Throws std::system_error.
  explicit FakeRuntime(std::filesystem::path socket);
  /// Closes and removes the socket, as a runtime that stops does.
  ~FakeRuntime();
  FakeRuntime(const FakeRuntime&) = delete;
  FakeRuntime& operator=(const FakeRuntime&) = delete;

  /// Throws std::runtime_error after 10 s.
  [[nodiscard]] std::unique_ptr<Peer> accept();

 private:
  std::filesystem::path socket_;
  int fd_;
};

}  // namespace drasriov::runtime_nri::testing
