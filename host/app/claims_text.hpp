// SPDX-License-Identifier: Apache-2.0
//
// Claim records (docs/status.md) for people: which of them was asked for, as a table and in full. Tolerates members that
// are missing: the driver that wrote them may be another version. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/base/result.hpp"

namespace drasriov::app {

/// Those of `claims` (an array) that `name` means, a UID or "namespace/name": a damaged record of a claim may lie beside
/// its new one. All when it is empty. NOT_FOUND with the nearest ones as hint.
[[nodiscard]] Result<nlohmann::json> select_claims(const nlohmann::json& claims,
                                                   const std::string& name);

[[nodiscard]] std::string format_claims(const nlohmann::json& claims, bool wide);

/// One paragraph for each record.
[[nodiscard]] std::string format_claims_in_full(const nlohmann::json& claims);

}  // namespace drasriov::app
