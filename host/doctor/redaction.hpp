// SPDX-License-Identifier: Apache-2.0
//
// Secrets out of text of any form: YAML, JSON (also within a JSON string), TOML, flags, HTTP headers, URLs. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace drasriov::doctor {

/// `text` with "(redacted)" in place of
///   - values behind a key that sounds like a secret (password, token, client-key-data, auth, …), after ':' or '=', a flag's
///     space, or as an indented block,
///   - what follows "Bearer" and "Basic",
///   - user and password of a URL,
///   - whatever stands in PEM (keys, certificates), and JSON web tokens.
/// It errs on the side of removing too much.
[[nodiscard]] std::string redact_text(std::string_view text);

/// The same for JSON, which stays JSON: every text by redact_text(), and each value whose key, or the flag before it
/// in an array, sounds like a secret.
void redact_json(nlohmann::ordered_json& value);

/// JSON of a text that may be anybody's: nothing when it is none, or nested more deeply than any text of ours. Walking and
/// printing recurse, so a file of brackets would end the process.
[[nodiscard]] std::optional<nlohmann::ordered_json> parse_shallow(std::string_view text);

}  // namespace drasriov::doctor
