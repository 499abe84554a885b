// SPDX-License-Identifier: Apache-2.0
//
// Takes over what the Go driver prepared: its `checkpoint.json` becomes records of the journal, in
// state Prepared. Called once at start by app/, before recovery and before anything is served: the
// journal's tokens are free. One thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/checkpoint.hpp"
#include "host/claim/journal.hpp"
#include "host/claim/record.hpp"
#include "host/device/inventory.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

struct CheckpointImport {
  bool found = false;              ///< there was a file
  std::vector<ClaimRef> imported;  ///< now in the journal
  std::size_t known = 0;           ///< were in the journal already, which wins
  std::vector<RefusedClaim> refused;
  /// Why the whole file was not imported: DATA_LOSS, and it was put aside; UNIMPLEMENTED, and it
  /// was left where it is.
  std::optional<Error> rejected;
};

/// Whether there is something to import.
[[nodiscard]] bool has_checkpoint(const std::filesystem::path& data_directory);

/// Says of a pod's UID whether the file that is there now names it. A file that cannot be read names nobody: of such a
/// one nothing is imported either.
[[nodiscard]] std::function<bool(std::string_view pod_uid)> pods_to_import(
    const std::filesystem::path& data_directory);

/// Imports `<data_directory>/checkpoint.json`, then renames it to `checkpoint.json.imported`. A
/// damaged file goes to the journal's quarantine as `checkpoint-<UTC>.json`, and a claim that is
/// refused is kept there by its UID. Durable and repeatable: a claim is in the journal or will be
/// imported by the next start. Errors: the disk's alone.
[[nodiscard]] Result<CheckpointImport> import_checkpoint(
    const std::filesystem::path& data_directory, std::string_view driver_name, Journal& journal,
    const device::Inventory& inventory, const module::Modules& modules);

/// The record of one claim. `boot_id`: of now. A claim whose devices all have their former drivers
/// again (the machine was restarted since) becomes a record of another boot: it is prepared afresh.
/// Errors: INVALID_ARGUMENT when containers could not get from this driver what they have.
[[nodiscard]] Result<Record> adopted_record(const CheckpointClaim& claim,
                                            std::string_view driver_name, std::string boot_id,
                                            const device::Inventory& inventory,
                                            const module::Modules& modules);

}  // namespace drasriov::claim
