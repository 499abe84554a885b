// SPDX-License-Identifier: Apache-2.0
//
// Descriptor: owns one file descriptor of this module. Movable value, not shared between threads.
#pragma once

#include <unistd.h>

#include <utility>

namespace drasriov::runtime_nri {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  void close() noexcept {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }

  int fd_ = -1;
};

}  // namespace drasriov::runtime_nri
