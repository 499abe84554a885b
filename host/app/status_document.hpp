// SPDX-License-Identifier: Apache-2.0
//
// The document of the status socket (docs/status.md): what the running driver knows, as JSON text. Called on the status
// server's thread; takes only snapshots and calls no module.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "host/app/driver.hpp"

namespace drasriov::app {

/// Of a driver whose steps have all been made, and none undone.
[[nodiscard]] std::string status_document(const Driver& driver);

/// Before and after that: only what does not change. `phase`: "Starting" or "Stopping".
[[nodiscard]] std::string short_status_document(const Driver& driver, std::string_view phase);

}  // namespace drasriov::app
