// SPDX-License-Identifier: Apache-2.0
//
// Base64 and SHA-256 of byte strings, for module blobs in the journal, record checksums and module pins.
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov {

/// RFC 4648 section 4, padded, one line.
[[nodiscard]] std::string base64_encode(std::string_view bytes);

/// Strict inverse of base64_encode(): INVALID_ARGUMENT for anything it would not have written.
[[nodiscard]] Result<std::string> base64_decode(std::string_view text);

/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace drasriov
