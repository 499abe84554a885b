// SPDX-License-Identifier: Apache-2.0
//
// The configuration in effect as it may be shown to others: in a status document, in a bug report. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "host/config/configuration.hpp"

namespace drasriov::app {

/// What stands in the place of a value that may be a secret.
inline constexpr std::string_view kRedacted = "(redacted)";

/// Keys as in the configuration file, defaults included. In the modules' own configuration every value is replaced whose
/// key sounds like a secret (password, token, …) at any depth.
[[nodiscard]] nlohmann::json redacted_configuration(const config::Configuration& configuration);

/// The same for any JSON.
void redact(nlohmann::json& value);

}  // namespace drasriov::app
