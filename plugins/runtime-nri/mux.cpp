// SPDX-License-Identifier: Apache-2.0
#include "mux.hpp"

namespace drasriov::runtime_nri {

std::uint32_t read_u32(const char* bytes) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void append_u32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<char>(value >> shift));
}

void append_mux_frame(std::string& to, std::uint32_t connection, std::string_view payload) {
  append_u32(to, connection);
  append_u32(to, static_cast<std::uint32_t>(payload.size()));
  to.append(payload);
}

sdk::Status MuxReader::begin_frame() {
  header_size_ = 0;
  connection_ = read_u32(header_.data());
  left_ = read_u32(header_.data() + 4);
  if (connection_ == 0) {
    return sdk::Error(sdk::Code::kInvalidArgument, "a frame of connection 0, which is reserved");
  }
  if (left_ > kMaxMuxPayload) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      "a frame of " + std::to_string(left_) + " bytes, more than the " +
                          std::to_string(kMaxMuxPayload) + " that NRI peers send");
  }
  return {};
}

}  // namespace drasriov::runtime_nri
