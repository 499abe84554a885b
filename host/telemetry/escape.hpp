// SPDX-License-Identifier: Apache-2.0
//
// Escaping of text of any origin (tenants, modules, the kernel) for a log line: nothing that is
// logged can end the line, forge another one or break the JSON object. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace drasriov::telemetry {

enum class Quotes : std::uint8_t {
  kKeep,    ///< the text stands by itself
  kEscape,  ///< it stands between double quotes: '"' and '\' get a backslash
};

/// Appends `text` with control characters as JSON writes them (\n, \t, \u001b) and bytes that are
/// no UTF-8 as U+FFFD.
void append_escaped(std::string& out, std::string_view text, Quotes quotes);

}  // namespace drasriov::telemetry
