// SPDX-License-Identifier: Apache-2.0
//
// The journal as a reader sees it from outside: every record with what is to be said of it, for people and commands.
// read_journal_files() reads the files beside a running driver or without one: it takes no lock, changes nothing and
// lets a record be replaced or removed meanwhile. Any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/journal.hpp"
#include "host/claim/record.hpp"

namespace drasriov::claim {

struct JournalEntry {
  enum class Condition {
    kGood,
    kQuarantined,  ///< set aside by a start of the driver
    kDamaged,      ///< its file cannot be read as a record; the next start sets it aside
  };
  std::string uid;
  Condition condition = Condition::kGood;
  RecordPtr record;    ///< nullptr: not even devices and claim can be read
  std::string reason;  ///< what is wrong when it is not kGood
  /// When the file was last written; nullopt when it is gone.
  std::optional<std::chrono::system_clock::time_point> written;
};

/// All records in `directory` by UID, those in its quarantine behind them. No directory is no records. Errors: the
/// directory cannot be read.
[[nodiscard]] Result<std::vector<JournalEntry>> read_journal_files(
    const std::filesystem::path& directory);

/// The same of the running driver's own journal; of the files in `directory` it looks at the time only.
[[nodiscard]] std::vector<JournalEntry> journal_entries(const Journal& journal,
                                                        const std::filesystem::path& directory);

/// What Journal::held() is after a start with these files.
[[nodiscard]] HeldDevices held_devices(const std::vector<JournalEntry>& entries,
                                       std::string_view boot_id);

}  // namespace drasriov::claim
