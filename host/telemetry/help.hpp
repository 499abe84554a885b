// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace drasriov::telemetry {

/// The text of the series' "# HELP" line, without backslash and line break. Each series of
/// docs/metrics.md has one; those of other modules share one, for the module ABI hands over none.
/// Empty for a name that is neither.
std::string_view help_of(std::string_view name);

}  // namespace drasriov::telemetry
