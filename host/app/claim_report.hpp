// SPDX-License-Identifier: Apache-2.0
//
// claim_report(): the records of the journal as JSON (docs/status.md, ClaimRecord), for the running driver and for
// `claims` without one. Holds nothing that may be secret: no CNI configuration, no module state. Pure; any thread.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "host/claim/journal_files.hpp"
#include "host/device/inventory.hpp"

namespace drasriov::app {

struct ClaimReportInput {
  std::span<const claim::JournalEntry> entries;
  std::string_view boot_id;  ///< of now; empty = unknown
  const device::Inventory*
      inventory;  ///< for the driver that a device has now; nullptr = not known
  std::chrono::system_clock::time_point now;
};

/// An array in the order of the entries.
[[nodiscard]] nlohmann::json claim_report(const ClaimReportInput& input);

}  // namespace drasriov::app
