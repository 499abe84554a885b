// SPDX-License-Identifier: Apache-2.0
//
// Columns for people. Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace drasriov::app {

/// The rows under `header`, each column as wide as its widest text (in characters), three spaces
/// apart; an empty cell is shown as "-". REQUIRES: every row has as many cells as the header.
[[nodiscard]] std::string format_table(const std::vector<std::string>& header,
                                       const std::vector<std::vector<std::string>>& rows);

}  // namespace drasriov::app
