// SPDX-License-Identifier: Apache-2.0
//
// The process environment as a value, and "${NAME}" in the texts of the configuration file. Pure
// functions; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::config {

using Environment = std::map<std::string, std::string, std::less<>>;

/// From environ(7): nullptr-terminated "NAME=value".
[[nodiscard]] Environment environment_of(const char* const* entries);

/// `text` with every "${NAME}" replaced by the variable's value; "$${" stands for "${". NOT_FOUND
/// for a variable that is not set, INVALID_ARGUMENT for a "${" without "}".
[[nodiscard]] Result<std::string> expand(std::string_view text, const Environment& environment);

}  // namespace drasriov::config
