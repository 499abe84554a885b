// SPDX-License-Identifier: Apache-2.0
#include "host/claim/journal_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "host/base/durable_file.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;
using Condition = JournalEntry::Condition;

constexpr std::size_t kMaxReason = 64U << 10U;

fs::path record_file(const fs::path& directory, std::string_view uid) {
  return directory / std::string(uid).append(".json");
}

std::optional<std::chrono::system_clock::time_point> written(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  return std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec);
}

/// nullopt: the file has gone since the folder was read.
std::optional<JournalEntry> read_entry(const fs::path& file, Condition condition) {
  JournalEntry entry;
  entry.uid = file.stem();
  entry.condition = condition;
  entry.written = written(file);
  const auto text = read_file(file);
  if (!text && text.error().code() == Code::kNotFound) return std::nullopt;
  auto record = text ? decode_record(*text) : Result<Record>(text.error());
  if (record && record->claim.uid != entry.uid)
    record = Error(Code::kDataLoss, "it is about claim UID " + record->claim.uid);
  if (record) {
    entry.record = std::make_shared<const Record>(*std::move(record));
    return entry;
  }
  if (condition == Condition::kGood) {
    entry.condition = Condition::kDamaged;
    entry.reason = record.error().with_context("record " + file.native()).to_string();
  }
  entry.record = last_known(file, text ? *text : std::string());
  return entry;
}

Status read_folder(const fs::path& folder, Condition condition, std::vector<JournalEntry>& out) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (!name.starts_with('.') && name.ends_with(".json")) files.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return errno_error(error.value(), "read directory " + folder.native(), "run this as root");
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    auto entry = read_entry(file, condition);
    if (!entry) continue;
    if (condition == Condition::kQuarantined) {
      const auto reason = read_file(folder / (entry->uid + ".reason"), kMaxReason);
      entry->reason = reason ? *reason : "record " + file.native() + ": no reason was written";
      while (entry->reason.ends_with('\n')) entry->reason.pop_back();
    }
    out.push_back(*std::move(entry));
  }
  return {};
}

void hold(HeldDevices& held, const Record& record, const std::string& state) {
  for (const DeviceRecord& device : record.devices) {
    if (device.plan.allocated.admin_access) continue;
    held.emplace(device.plan.allocated.device, std::make_shared<const HeldDevice>(HeldDevice{
                                                   record.claim, state, device.plan.published}));
  }
}

}  // namespace

Result<std::vector<JournalEntry>> read_journal_files(const fs::path& directory) {
  std::vector<JournalEntry> entries;
  if (auto read = read_folder(directory, Condition::kGood, entries); !read)
    return std::move(read).error();
  if (auto read = read_folder(directory / "quarantine", Condition::kQuarantined, entries); !read)
    return std::move(read).error();
  return entries;
}

std::vector<JournalEntry> journal_entries(const Journal& journal, const fs::path& directory) {
  std::vector<JournalEntry> entries;
  for (RecordPtr& record : journal.all()) {
    JournalEntry& entry = entries.emplace_back();
    entry.uid = record->claim.uid;
    entry.written = written(record_file(directory, entry.uid));
    entry.record = std::move(record);
  }
  for (Quarantined& bad : journal.quarantined()) {
    JournalEntry& entry = entries.emplace_back();
    entry.uid = std::move(bad.uid);
    entry.condition = Condition::kQuarantined;
    entry.written = written(record_file(directory / "quarantine", entry.uid));
    entry.record = std::move(bad.claimed);
    entry.reason = std::move(bad.reason);
  }
  return entries;
}

HeldDevices held_devices(const std::vector<JournalEntry>& entries, std::string_view boot_id) {
  HeldDevices held;
  const auto of = [&](bool good) {
    for (const JournalEntry& entry : entries) {
      if ((entry.condition == Condition::kGood) != good) continue;
      if (!entry.record || entry.record->boot_id != boot_id) continue;
      hold(held, *entry.record,
           good ? std::string(state_name(entry.record->state)) : "Quarantined");
    }
  };
  of(true);
  of(false);  // a good record of the device knows better: emplace() keeps it
  return held;
}

}  // namespace drasriov::claim
