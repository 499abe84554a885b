// SPDX-License-Identifier: Apache-2.0
//
// device_report(): each device of the node with all that decides about it, as JSON (docs/status.md, DeviceExplanation).
// The running driver and `explain` without one make it from the same inputs by this function. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "host/app/control.hpp"
#include "host/claim/journal_files.hpp"
#include "host/config/configuration.hpp"

namespace drasriov::app {

struct DeviceReportInput {
  const NodeView& view;
  /// Why view.filters says nothing: no answer of the cluster yet, or no cluster; empty = it holds them.
  std::string filters_unknown;
  std::span<const claim::JournalEntry> claims;  ///< for the pods of a holder
  const config::Configuration& config;
};

/// An array by device name: all VFs, those that only a record knows, and what discovery had to skip.
[[nodiscard]] nlohmann::json device_report(const DeviceReportInput& input);

}  // namespace drasriov::app
