// SPDX-License-Identifier: Apache-2.0
//
// ttrpc on one logical connection: message frames and their envelopes ttrpc.Request and
// ttrpc.Response; unary calls only, which is all that NRI uses. Pure, no I/O. Values; one thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drasriov::runtime_nri {

inline constexpr std::size_t kTtrpcHeaderSize = 10;
inline constexpr std::uint8_t kRequest = 1;
inline constexpr std::uint8_t kResponse = 2;
inline constexpr std::uint8_t kData = 3;

/// ttrpc allows 4 MiB, but runtimes up to containerd 1.7.25 and CRI-O 1.31 send longer ones.
inline constexpr std::uint32_t kMaxReceivedMessage = 16U << 20;

struct Message {
  std::uint32_t stream = 0;
  std::uint8_t type = 0;
  bool too_long = false;  ///< over kMaxReceivedMessage: its data was dropped
  std::string data;
};

/// Cuts the byte stream of one connection into messages. Memory grows with the bytes that came, not
/// with the length that a header claims.
class MessageReader {
 public:
  /// Calls sink(Message&&) for each message that is complete.
  template <typename Sink>
  [[nodiscard]] sdk::Status feed(std::string_view bytes, Sink sink) {
    while (take(bytes)) {
      if (auto taken = sink(std::move(message_)); !taken) return taken;
      message_ = {};
    }
    return {};
  }

 private:
  /// Moves `bytes` on; true when message_ is complete.
  [[nodiscard]] bool take(std::string_view& bytes);

  std::array<char, kTtrpcHeaderSize> header_{};
  std::size_t header_size_ = 0;
  std::uint32_t left_ = 0;  // data of message_ that has not come yet
  Message message_;
};

/// One message as the two mux frames that every Go reader takes: exactly the header, then all the
/// data. (Go hands one frame to one read of at most 4,096 bytes or of exactly the rest, and drops
/// the connection when a frame does not fit.)
void append_message(std::string& trunk, std::uint32_t connection, std::uint32_t stream,
                    std::uint8_t type, std::string_view data);

struct Request {
  std::string_view service;
  std::string_view method;
  std::string_view payload;
  std::chrono::nanoseconds timeout{0};  ///< left when it was written; 0 = none
};

struct Response {
  sdk::Code code = sdk::Code::kOk;
  std::string_view message;
};

/// Both borrow from `data`. Unknown fields are skipped; nothing = not protobuf.
[[nodiscard]] std::optional<Request> parse_request(std::string_view data);
[[nodiscard]] std::optional<Response> parse_response(std::string_view data);

[[nodiscard]] std::string encode_request(const Request& request);
[[nodiscard]] std::string encode_success(std::string_view payload);
/// message is cut and made valid UTF-8, without which Go reports a parse error in its place.
[[nodiscard]] std::string encode_failure(sdk::Code code, std::string_view message);

}  // namespace drasriov::runtime_nri
