// SPDX-License-Identifier: Apache-2.0
//
// The NRI multiplexer: frames of {connection id, length, payload} on one socket, the trunk. Pure,
// no I/O. A value; one thread. Format: README.md, section "On the wire".
#pragma once

#include <drasriov/sdk/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace drasriov::runtime_nri {

/// The two logical connections. On kPlugin the runtime calls us, on kRuntime we call the runtime.
inline constexpr std::uint32_t kPluginConnection = 1;
inline constexpr std::uint32_t kRuntimeConnection = 2;

inline constexpr std::size_t kMuxHeaderSize = 8;
/// Peers send at most 2^24 bytes and a header in one frame; more is not an NRI peer.
inline constexpr std::uint32_t kMaxMuxPayload = 17U << 20;

/// Big-endian, as all numbers of mux and ttrpc headers are.
[[nodiscard]] std::uint32_t read_u32(const char* bytes) noexcept;
void append_u32(std::string& to, std::uint32_t value);

void append_mux_frame(std::string& to, std::uint32_t connection, std::string_view payload);

/// Gives each connection its byte stream, however the trunk was cut. Keeps no payload.
class MuxReader {
 public:
  /// Calls sink(connection, bytes) in order for each piece of payload in `bytes`. A frame of a
  /// length that no peer sends, and connection 0, are INVALID_ARGUMENT: the trunk is then useless.
  template <typename Sink>
  [[nodiscard]] sdk::Status feed(std::string_view bytes, Sink sink) {
    while (!bytes.empty()) {
      if (left_ == 0) {
        const std::size_t taken = std::min(bytes.size(), kMuxHeaderSize - header_size_);
        std::copy_n(bytes.data(), taken, header_.data() + header_size_);
        header_size_ += taken;
        bytes.remove_prefix(taken);
        if (header_size_ < kMuxHeaderSize) return {};
        if (auto begun = begin_frame(); !begun) return begun;
        continue;
      }
      const std::string_view piece = bytes.substr(0, left_);
      left_ -= static_cast<std::uint32_t>(piece.size());
      bytes.remove_prefix(piece.size());
      if (auto taken = sink(connection_, piece); !taken) return taken;
    }
    return {};
  }

 private:
  [[nodiscard]] sdk::Status begin_frame();

  std::array<char, kMuxHeaderSize> header_{};
  std::size_t header_size_ = 0;
  std::uint32_t connection_ = 0;
  std::uint32_t left_ = 0;  // payload of the current frame that has not come yet
};

}  // namespace drasriov::runtime_nri
