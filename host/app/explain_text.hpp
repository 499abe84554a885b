// SPDX-License-Identifier: Apache-2.0
//
// Device explanations (docs/status.md) for people: which of them were asked for, as a table and in full. Tolerates
// members that are missing: the driver that wrote them may be another version. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "host/base/result.hpp"

namespace drasriov::app {

/// Those of `devices` (an array) that one of `names` means: by name, PCI address, interface, or PF. All when there are
/// no names. NOT_FOUND for a name that means none, with the nearest ones as hint.
[[nodiscard]] Result<nlohmann::json> select_devices(const nlohmann::json& devices,
                                                    std::span<const std::string> names);

[[nodiscard]] std::string format_explanations(const nlohmann::json& devices);

/// One paragraph for each device.
[[nodiscard]] std::string format_explanations_in_full(const nlohmann::json& devices);

}  // namespace drasriov::app
