// SPDX-License-Identifier: Apache-2.0
//
// Texts as Markdown. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace drasriov::docs {

/// Running text: a "<" begins no HTML.
[[nodiscard]] inline std::string text(std::string_view plain) {
  std::string out;
  for (const char c : plain) {
    if (c == '<') out += '\\';
    out += c;
  }
  return out;
}

/// Running text in a table, in which "|" ends a cell.
[[nodiscard]] inline std::string cell(std::string_view plain) {
  std::string out;
  for (const char c : text(plain)) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

/// Code in a table. REQUIRES: no "`".
[[nodiscard]] inline std::string code(std::string_view plain) {
  std::string out = "`";
  for (const char c : plain) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out += '`';
}

}  // namespace drasriov::docs
