// SPDX-License-Identifier: Apache-2.0
#include "host/claim/journal.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "host/base/durable_file.hpp"
#include "host/base/fault_point.hpp"
#include "host/base/names.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".json";
constexpr std::string_view kReasonSuffix = ".reason";
constexpr std::string_view kPreviousSuffix = ".previous";
constexpr const char* kQuarantine = "quarantine";

/// A CNI configuration may hold secrets: nobody else reads the records.
constexpr mode_t kDirectoryMode = 0700;

/// Names of the files that end in ".json", sorted; none when the directory is not there.
Result<std::vector<fs::path>> record_files(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (!name.starts_with('.') && name.ends_with(kSuffix)) files.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return errno_error(error.value(), "read directory " + directory.native());
  }
  std::ranges::sort(files);
  return files;
}

fs::path previous_of(fs::path file) {
  return file.replace_extension(kPreviousSuffix);
}

/// Before `file` is replaced. False: there is none yet, or the filesystem has no hard links.
bool keep_previous(const fs::path& file) {
  const fs::path previous = previous_of(file);
  std::error_code refused;
  fs::remove(previous, refused);
  fs::create_hard_link(file, previous, refused);
  return !refused;
}

/// Removes previous records whose record is not there: of a removal that was cut short.
void remove_lone_previous(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> lone;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    fs::path file = it->path();
    if (file.extension() != kPreviousSuffix) continue;
    std::error_code unclear;  // a record that cannot even be looked at is there
    if (!fs::exists(file.replace_extension(kSuffix), unclear) && !unclear)
      lone.push_back(it->path());
  }
  for (const fs::path& file : lone) fs::remove(file, error);
}

bool is_pod(const module::Consumer& consumer) {
  return consumer.resource == "pods";
}

/// Every pod that the record concerns.
std::set<std::string_view> pods_of(const Record& record) {
  std::set<std::string_view> pods;
  for (const module::Consumer& consumer : record.consumers) {
    if (is_pod(consumer)) pods.insert(consumer.uid);
  }
  if (record.pod_uid) pods.insert(*record.pod_uid);
  for (const DeviceRecord& device : record.devices) {
    for (const Attachment& attachment : device.attachments) pods.insert(attachment.pod_uid);
  }
  return pods;
}

/// The devices that nobody else may have while the record is there.
std::vector<std::string_view> devices_of(const Record& record) {
  std::vector<std::string_view> names;
  for (const DeviceRecord& device : record.devices) {
    if (!device.plan.allocated.admin_access) names.push_back(device.plan.allocated.device);
  }
  return names;
}

template <typename Index>
void remove_from(Index& index, std::string_view key, std::string_view uid) {
  const auto found = index.find(key);
  if (found == index.end()) return;
  const auto entry = found->second.find(uid);
  if (entry != found->second.end()) found->second.erase(entry);
  if (found->second.empty()) index.erase(found);
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(fs::path directory, std::string boot_id) {
  std::unique_ptr<Journal> journal(new Journal(std::move(directory), std::move(boot_id)));
  if (auto ok = journal->load(); !ok) return ok.error().with_context("journal of claims");
  return journal;
}

Journal::Journal(fs::path directory, std::string boot_id)
    : directory_(std::move(directory)),
      boot_id_(std::move(boot_id)) {}

fs::path Journal::path_of(std::string_view uid) const {
  return directory_ / std::string(uid).append(kSuffix);
}

Status Journal::load() {
  if (auto ok = make_directories(directory_, kDirectoryMode); !ok) return ok;
  for (const fs::path& folder : {directory_, directory_ / kQuarantine}) {
    if (auto removed = remove_stale_temporaries(folder); !removed)
      return std::move(removed).error();
  }
  load_quarantine();
  remove_lone_previous(directory_);
  const auto files = record_files(directory_);
  if (!files) return files.error();
  for (const fs::path& file : *files) {
    const auto text = read_file(file);
    if (!text) {
      quarantine(file, text.error(), {});
      continue;
    }
    auto record = decode_record(*text);
    if (!record) {
      quarantine(file, record.error(), *text);
    } else if (record->claim.uid != file.stem().native()) {
      quarantine(file, Error(Code::kDataLoss, "it is about claim UID " + record->claim.uid), {});
    } else {
      const MutexLock lock(mutex_);
      update(record->claim.uid, [&](Entry& entry) {
        entry.durable = std::make_shared<const Record>(std::move(*record));
      });
    }
  }
  return {};
}

void Journal::quarantine(const fs::path& file, const Error& why, std::string_view text) {
  Quarantined bad;
  bad.uid = file.stem();
  bad.reason = why.with_context("record " + file.native()).to_string();
  bad.fresh = true;
  bad.claimed = last_known(file, text);
  const fs::path folder = directory_ / kQuarantine;
  std::error_code error;
  if (auto made = make_directories(folder, kDirectoryMode); made) {
    // A copy, and first: killed anywhere, the next start finds one beside the record.
    const fs::path previous = previous_of(file);
    std::error_code none;
    fs::copy_file(previous, folder / previous.filename(), fs::copy_options::overwrite_existing,
                  none);
    fs::rename(file, folder / file.filename(), error);
    if (!error) fs::remove(previous, none);
    // The reason is for a person; without it the file is still in quarantine.
    (void)replace_file(folder / (bad.uid + std::string(kReasonSuffix)), bad.reason + "\n",
                       Durability::kDurable);
  } else {
    bad.reason += "; it could not be moved to quarantine: " + made.error().to_string();
  }
  if (error) bad.reason += "; it could not be moved to quarantine: " + error.message();
  const MutexLock lock(mutex_);
  quarantined_[bad.uid] = std::move(bad);
  held_snapshot_.reset();
}

void Journal::load_quarantine() {
  const auto files = record_files(directory_ / kQuarantine);
  if (!files) return;
  for (const fs::path& file : *files) {
    Quarantined bad;
    bad.uid = file.stem();
    const auto reason =
        read_file(directory_ / kQuarantine / (bad.uid + std::string(kReasonSuffix)), 64U << 10U);
    bad.reason =
        reason ? *reason : "record " + file.native() + ": in quarantine since an earlier start";
    while (bad.reason.ends_with('\n')) bad.reason.pop_back();
    const auto text = read_file(file);
    bad.claimed = last_known(file, text ? *text : std::string());
    const MutexLock lock(mutex_);
    quarantined_[bad.uid] = std::move(bad);
  }
}

RecordPtr Journal::find(std::string_view uid) const {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(uid);
  return found == entries_.end() ? nullptr : found->second.durable;
}

std::vector<RecordPtr> Journal::all() const {
  const MutexLock lock(mutex_);
  std::vector<RecordPtr> records;
  records.reserve(entries_.size());
  for (const auto& [uid, entry] : entries_) {
    if (entry.durable) records.push_back(entry.durable);
  }
  return records;
}

std::vector<RecordPtr> Journal::of_pod(std::string_view pod_uid) const {
  const MutexLock lock(mutex_);
  std::vector<RecordPtr> records;
  const auto uids = by_pod_.find(pod_uid);
  if (uids == by_pod_.end()) return records;
  for (const std::string& uid : uids->second) {
    const RecordPtr& record = entries_.find(uid)->second.durable;
    if (record && record->pod_uid == pod_uid) records.push_back(record);
  }
  return records;
}

std::vector<RecordPtr> Journal::network_claims_of(std::string_view pod_uid) const {
  const MutexLock lock(mutex_);
  std::vector<RecordPtr> records;
  const auto uids = by_pod_.find(pod_uid);
  if (uids == by_pod_.end()) return records;
  for (const std::string& uid : uids->second) {
    const RecordPtr& record = entries_.find(uid)->second.current();
    if (has_network(*record)) records.push_back(record);
  }
  return records;
}

std::optional<ClaimRef> Journal::quarantined_network_of(std::string_view pod_uid) const {
  const MutexLock lock(mutex_);
  for (const auto& [uid, bad] : quarantined_) {
    if (bad.claimed && has_network(*bad.claimed) && pods_of(*bad.claimed).contains(pod_uid))
      return bad.claimed->claim;
  }
  return std::nullopt;
}

std::vector<Quarantined> Journal::quarantined() const {
  const MutexLock lock(mutex_);
  std::vector<Quarantined> all;
  for (const auto& [uid, bad] : quarantined_) all.push_back(bad);
  return all;
}

Surroundings Journal::surroundings_of(std::string_view uid,
                                      const std::vector<std::string_view>& devices,
                                      const std::vector<module::Consumer>& consumers) const {
  Surroundings around;
  for (const std::string_view device : devices) {
    const auto uids = by_device_.find(device);
    if (uids == by_device_.end()) continue;
    for (const std::string& other : uids->second) {
      if (other == uid) continue;
      const Record& record = *entries_.find(other)->second.current();
      around.holders.emplace(
          device, Holder{record.claim, std::string(state_name(record.state)), record.last_error});
    }
  }
  for (const auto& [other, bad] : quarantined_) {
    if (!bad.claimed || other == uid || is_stale(*bad.claimed) || entries_.contains(other))
      continue;
    for (const std::string_view device : devices_of(*bad.claimed)) {
      if (std::ranges::find(devices, device) == devices.end()) continue;
      around.holders.emplace(device, Holder{bad.claimed->claim, "Quarantined", bad.reason});
    }
  }
  for (const module::Consumer& consumer : consumers) {
    const auto uids = is_pod(consumer) ? by_pod_.find(consumer.uid) : by_pod_.end();
    if (uids == by_pod_.end()) continue;
    for (const std::string& other : uids->second) {
      if (other == uid) continue;
      const Record& record = *entries_.find(other)->second.current();
      for (const DeviceRecord& device : record.devices) {
        if (!device.plan.interface_name.empty()) {
          around.interface_names.emplace(device.plan.interface_name, record.claim);
        }
      }
    }
  }
  const auto own = entries_.find(uid);
  if (own != entries_.end() && own->second.durable && is_stale(*own->second.durable)) {
    for (const DeviceRecord& device : own->second.durable->devices) {
      around.previous_names.emplace(device.plan.allocated.device, device.plan.interface_name);
    }
  }
  return around;
}

Surroundings Journal::surroundings(const ClaimObject& claim) const {
  std::vector<std::string_view> devices;
  for (const AllocatedDevice& device : claim.devices) devices.push_back(device.device);
  const MutexLock lock(mutex_);
  return surroundings_of(claim.ref.uid, devices, claim.consumers);
}

void Journal::index(const Entry& entry) {
  if (const RecordPtr& record = entry.current()) {
    for (const std::string_view pod : pods_of(*record)) {
      by_pod_[std::string(pod)].insert(record->claim.uid);
    }
    if (!is_stale(*record)) {
      for (const std::string_view device : devices_of(*record)) {
        by_device_[std::string(device)].insert(record->claim.uid);
      }
    }
  }
  if (!entry.durable || is_stale(*entry.durable)) return;
  for (const DeviceRecord& device : entry.durable->devices) {
    if (device.plan.allocated.admin_access) continue;
    held_[device.plan.allocated.device] = std::make_shared<const HeldDevice>(
        HeldDevice{entry.durable->claim, std::string(state_name(entry.durable->state)),
                   device.plan.published});
  }
}

void Journal::unindex(const Entry& entry) {
  if (const RecordPtr& record = entry.current()) {
    for (const std::string_view pod : pods_of(*record))
      remove_from(by_pod_, pod, record->claim.uid);
    for (const std::string_view device : devices_of(*record)) {
      remove_from(by_device_, device, record->claim.uid);
    }
  }
  if (!entry.durable || is_stale(*entry.durable)) return;
  for (const std::string_view device : devices_of(*entry.durable)) {
    if (const auto held = held_.find(device); held != held_.end()) held_.erase(held);
  }
}

void Journal::update(std::string_view uid, const std::function<void(Entry&)>& change) {
  const auto found = entries_.try_emplace(std::string(uid)).first;
  Entry& entry = found->second;
  const RecordPtr durable = entry.durable;
  unindex(entry);
  change(entry);
  index(entry);
  if (entry.durable != durable) held_snapshot_.reset();
  if (!entry.current()) entries_.erase(found);
}

bool Journal::reserve(const RecordPtr& planned) {
  const MutexLock lock(mutex_);
  const Surroundings around =
      surroundings_of(planned->claim.uid, devices_of(*planned), planned->consumers);
  if (!around.holders.empty()) return false;
  for (const DeviceRecord& device : planned->devices) {
    if (around.interface_names.contains(device.plan.interface_name)) return false;
  }
  update(planned->claim.uid, [&](Entry& entry) { entry.reserved = planned; });
  return true;
}

void Journal::cancel_reservation(std::string_view uid) {
  const MutexLock lock(mutex_);
  update(uid, [](Entry& entry) { entry.reserved = nullptr; });
}

Status Journal::write(RecordPtr record) {
  const std::string& uid = record->claim.uid;
  const fs::path file = path_of(uid);
  const std::string text = encode_record(*record);
  // That of another boot holds nothing, so it tells nothing either.
  const RecordPtr known = find(uid);
  const bool kept = known && !is_stale(*known) && keep_previous(file);
  if (!kept) (void)remove_file(previous_of(file), Durability::kAtomic);
  if (auto ok = replace_file(file, text, Durability::kDurable); !ok)
    return ok.error().with_context("journal");
  if (!kept && record->state == RecordState::kPrepared) {
    // After a power cut nothing of this boot is held: it need not be durable. Without it the record is as good.
    (void)replace_file(previous_of(file), text, Durability::kAtomic);
  }
  if (fault_leaves_out("journal.previous"))
    (void)remove_file(previous_of(file), Durability::kAtomic);
  const MutexLock lock(mutex_);
  update(uid, [&](Entry& entry) { entry = {record, nullptr}; });
  return {};
}

Status Journal::erase(std::string_view uid) {
  // First: a start that finds it alone takes it for what a cut short removal left.
  std::error_code refused;
  fs::remove(previous_of(path_of(uid)), refused);
  if (auto ok = remove_file(path_of(uid), Durability::kDurable); !ok) {
    return ok.error().with_context("journal");
  }
  const MutexLock lock(mutex_);
  update(uid, [](Entry& entry) { entry = {}; });
  return {};
}

Status Journal::release_quarantined(std::string_view uid) {
  {
    const MutexLock lock(mutex_);
    if (!quarantined_.contains(uid)) return {};
  }
  const fs::path folder = directory_ / kQuarantine;
  for (const std::string_view suffix : {kPreviousSuffix, kSuffix, kReasonSuffix}) {
    if (auto ok = remove_file(folder / std::string(uid).append(suffix), Durability::kDurable);
        !ok) {
      return ok.error().with_context("journal");
    }
  }
  const MutexLock lock(mutex_);
  quarantined_.erase(quarantined_.find(uid));
  held_snapshot_.reset();
  return {};
}

Status Journal::quarantine_file(const fs::path& file, const std::string& name,
                                const std::string& reason) {
  const fs::path folder = directory_ / kQuarantine;
  if (auto ok = make_directories(folder, kDirectoryMode); !ok) return ok;
  if (auto ok = replace_file(folder / (name + std::string(kReasonSuffix)), reason + "\n",
                             Durability::kDurable);
      !ok) {
    return ok;
  }
  std::error_code error;
  fs::rename(file, folder / (name + std::string(kSuffix)), error);
  if (error) return errno_error(error.value(), "move " + file.native() + " to quarantine");
  remember_unreadable(name, reason);
  return {};
}

Status Journal::quarantine_claim(const std::string& uid, const std::string& reason) {
  const fs::path folder = directory_ / kQuarantine;
  if (auto ok = make_directories(folder, kDirectoryMode); !ok) return ok;
  for (const auto& [suffix, content] :
       {std::pair(kReasonSuffix, reason + "\n"), std::pair(kSuffix, std::string("{}\n"))}) {
    const fs::path file = folder / (uid + std::string(suffix));
    if (auto ok = replace_file(file, content, Durability::kDurable); !ok) return ok;
  }
  remember_unreadable(uid, reason);
  return {};
}

void Journal::remember_unreadable(const std::string& name, const std::string& reason) {
  const MutexLock lock(mutex_);
  quarantined_[name] = {name, reason, nullptr, /*fresh=*/false};
  held_snapshot_.reset();
}

HeldSnapshot Journal::held() const {
  const MutexLock lock(mutex_);
  if (held_snapshot_) return held_snapshot_;
  HeldDevices all = held_;
  for (const auto& [uid, bad] : quarantined_) {
    if (!bad.claimed || is_stale(*bad.claimed)) continue;
    for (const DeviceRecord& device : bad.claimed->devices) {
      // A live record of the claim, made after the quarantine, knows better.
      if (device.plan.allocated.admin_access || all.contains(device.plan.allocated.device))
        continue;
      all.emplace(device.plan.allocated.device,
                  std::make_shared<const HeldDevice>(
                      HeldDevice{bad.claimed->claim, "Quarantined", device.plan.published}));
    }
  }
  held_snapshot_ = std::make_shared<const HeldDevices>(std::move(all));
  return held_snapshot_;
}

RecordPtr last_known(const fs::path& file, std::string_view text) {
  const std::string uid = file.stem();
  const auto about_it = [&uid](Result<Record> record) -> RecordPtr {
    if (!record || record->claim.uid != uid) return nullptr;
    return std::make_shared<const Record>(*std::move(record));
  };
  if (auto claimed = about_it(decode_record(text))) return claimed;
  if (const auto previous = read_file(previous_of(file))) {
    if (auto claimed = about_it(decode_record(*previous))) return claimed;
  }
  return about_it(decode_record(text, /*check_sum=*/false));
}

Result<std::string> read_boot_id(const fs::path& proc) {
  auto text = read_file(proc / "sys/kernel/random/boot_id", 256);
  if (!text) return text.error().with_context("boot id");
  while (text->ends_with('\n')) text->pop_back();
  if (!is_object_uid(*text))
    return Error(Code::kDataLoss, "boot id: " + proc.native() + " holds none");
  return text;
}

}  // namespace drasriov::claim
