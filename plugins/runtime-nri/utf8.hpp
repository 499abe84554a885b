// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 for protobuf strings. Pure.
#pragma once

#include <string>
#include <string_view>

namespace drasriov::runtime_nri {

/// text with each byte that belongs to no well-formed sequence (RFC 3629: no surrogates, nothing
/// overlong or above U+10FFFF) replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace drasriov::runtime_nri
