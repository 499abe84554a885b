// SPDX-License-Identifier: Apache-2.0
//
// Text as it crosses the module ABI: views both ways, and what a module wrote made fit for logs,
// JSON and people. Pure functions; any thread.
#pragma once

#include <drasriov/abi/base.h>

#include <string>
#include <string_view>

namespace drasriov::module {

/// Empty for a null pointer, whatever its size says.
[[nodiscard]] inline std::string_view to_view(drasriov_string text) noexcept {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}
[[nodiscard]] inline std::string_view to_view(drasriov_bytes bytes) noexcept {
  return bytes.data == nullptr
             ? std::string_view()
             : std::string_view(reinterpret_cast<const char*>(bytes.data), bytes.size);
}
[[nodiscard]] inline drasriov_string to_abi(std::string_view text) noexcept {
  return {text.data(), text.size()};
}
[[nodiscard]] inline drasriov_bytes to_abi_bytes(std::string_view bytes) noexcept {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

/// Whether `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
/// U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// `text` with each byte that is not part of well-formed UTF-8, and each control character,
/// replaced by U+FFFD or a space: JSON encoders throw on the former, the latter forge log lines.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace drasriov::module
