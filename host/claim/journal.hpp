// SPDX-License-Identifier: Apache-2.0
//
// Journal: the durable memory of the claims of this node, one file each, `<directory>/<claim
// uid>.json`, and the index of them in memory. Owned by app/, used by ClaimRunner and by pod/. Any
// thread; writes of one claim are serialised by the claim's token (TokenQueue). No lock is held
// while a file is written.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/plan.hpp"
#include "host/claim/record.hpp"

namespace drasriov::claim {

/// A record that could not be read. Its file lies in `<directory>/quarantine` beside a `.reason`
/// file.
struct Quarantined {
  std::string uid;     ///< from the file's name; may be no UID
  std::string reason;  ///< what is wrong, with the path
  /// What is known of it all the same, see last_known(): its devices stay held until kubelet
  /// unprepares the claim. nullptr when nothing is.
  RecordPtr claimed;
  bool fresh = false;  ///< found in this start, not in an earlier one
};

class Journal {
 public:
  /// Reads all records. A bad one is moved to quarantine, the others live; temporary files of a
  /// killed write are removed. `boot_id`: of now; see read_boot_id(). Errors: the directory cannot
  /// be made or read.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(std::filesystem::path directory,
                                                             std::string boot_id);

  [[nodiscard]] const std::string& boot_id() const noexcept { return boot_id_; }

  /// nullptr when the claim is not known.
  [[nodiscard]] RecordPtr find(std::string_view uid) const DRASRIOV_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<RecordPtr> all() const DRASRIOV_EXCLUDES(mutex_);
  /// Records whose CDI document is this pod's.
  [[nodiscard]] std::vector<RecordPtr> of_pod(std::string_view pod_uid) const
      DRASRIOV_EXCLUDES(mutex_);
  /// Records of claims that the pod uses, alone or with others, and that have a device with a network step.
  [[nodiscard]] std::vector<RecordPtr> network_claims_of(std::string_view pod_uid) const
      DRASRIOV_EXCLUDES(mutex_);
  /// The claim of the pod that had a network step and whose record is in quarantine: nobody can attach its devices.
  [[nodiscard]] std::optional<ClaimRef> quarantined_network_of(std::string_view pod_uid) const
      DRASRIOV_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Quarantined> quarantined() const DRASRIOV_EXCLUDES(mutex_);

  /// Whether the record was made in another boot: nothing of it is on the machine, it holds no
  /// device.
  [[nodiscard]] bool is_stale(const Record& record) const noexcept {
    return record.boot_id != boot_id_;
  }

  /// What the other claims hold and use of what this claim wants.
  [[nodiscard]] Surroundings surroundings(const ClaimObject& claim) const DRASRIOV_EXCLUDES(mutex_);

  /// Enters a planned claim in memory, so that no other claim plans the same device or name. False,
  /// and nothing is entered, when that happened since surroundings(): plan again. A record of the
  /// claim itself is replaced. REQUIRES: the claim's token.
  [[nodiscard]] bool reserve(const RecordPtr& planned) DRASRIOV_EXCLUDES(mutex_);
  /// Takes back a reserve() that was not followed by write(); what it replaced is there again.
  /// REQUIRES: the claim's token.
  void cancel_reservation(std::string_view uid) DRASRIOV_EXCLUDES(mutex_);

  /// Replaces the claim's record on disk, durably, then in memory. On failure both are as before.
  /// Beside it stays `<claim uid>.previous` for last_known(): the record before it, or a copy when the first one is
  /// Prepared. REQUIRES: the claim's token.
  [[nodiscard]] Status write(RecordPtr record) DRASRIOV_EXCLUDES(mutex_);
  /// Removes the claim's record, and a reservation. REQUIRES: the claim's token.
  [[nodiscard]] Status erase(std::string_view uid) DRASRIOV_EXCLUDES(mutex_);
  /// What an import could not read. While such an entry is there, nobody can tell which CDI
  /// documents have no owner. `name` is as Quarantined::uid.
  /// Moves a file of the Go driver to quarantine, for a person to remove.
  [[nodiscard]] Status quarantine_file(const std::filesystem::path& file, const std::string& name,
                                       const std::string& reason) DRASRIOV_EXCLUDES(mutex_);
  /// Remembers a claim until kubelet unprepares it. REQUIRES: is_object_uid(uid).
  [[nodiscard]] Status quarantine_claim(const std::string& uid, const std::string& reason)
      DRASRIOV_EXCLUDES(mutex_);
  /// Until the process ends.
  void remember_unreadable(const std::string& name, const std::string& reason)
      DRASRIOV_EXCLUDES(mutex_);

  /// Removes what lies in quarantine of the claim, if anything, and frees its devices: kubelet is
  /// done with it.
  [[nodiscard]] Status release_quarantined(std::string_view uid) DRASRIOV_EXCLUDES(mutex_);

  /// The devices that records on disk hold, of this boot, and those of quarantined ones. The same
  /// pointer until it changes.
  [[nodiscard]] HeldSnapshot held() const DRASRIOV_EXCLUDES(mutex_);

 private:
  /// What the journal knows of one claim. `durable` is what is on disk; `reserved` stands in for it
  /// until then.
  struct Entry {
    RecordPtr durable;
    RecordPtr reserved;
    [[nodiscard]] const RecordPtr& current() const { return reserved ? reserved : durable; }
  };
  using Uids = std::set<std::string, std::less<>>;

  Journal(std::filesystem::path directory, std::string boot_id);
  Status load();
  void quarantine(const std::filesystem::path& file, const Error& why, std::string_view text);
  void load_quarantine();
  [[nodiscard]] std::filesystem::path path_of(std::string_view uid) const;

  void index(const Entry& entry) DRASRIOV_REQUIRES(mutex_);
  void unindex(const Entry& entry) DRASRIOV_REQUIRES(mutex_);
  /// Changes one entry and all that is derived from it.
  void update(std::string_view uid, const std::function<void(Entry&)>& change)
      DRASRIOV_REQUIRES(mutex_);
  [[nodiscard]] Surroundings surroundings_of(std::string_view uid,
                                             const std::vector<std::string_view>& devices,
                                             const std::vector<module::Consumer>& consumers) const
      DRASRIOV_REQUIRES(mutex_);

  const std::filesystem::path directory_;
  const std::string boot_id_;

  mutable Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ DRASRIOV_GUARDED_BY(mutex_);  ///< by claim UID
  std::map<std::string, Uids, std::less<>> by_device_ DRASRIOV_GUARDED_BY(mutex_);
  std::map<std::string, Uids, std::less<>> by_pod_
      DRASRIOV_GUARDED_BY(mutex_);  ///< consumers and pod_uid
  std::map<std::string, Quarantined, std::less<>> quarantined_
      DRASRIOV_GUARDED_BY(mutex_);  ///< by uid
  HeldDevices held_ DRASRIOV_GUARDED_BY(mutex_);
  mutable HeldSnapshot held_snapshot_
      DRASRIOV_GUARDED_BY(mutex_);  ///< null = to be copied from held_
};

/// What a record that is damaged still tells of its claim, pods and devices: `<claim uid>.previous` beside `file`, else
/// its own text when only the checksum is wrong. nullptr when neither can be read.
[[nodiscard]] RecordPtr last_known(const std::filesystem::path& file, std::string_view text);

/// <proc>/sys/kernel/random/boot_id.
[[nodiscard]] Result<std::string> read_boot_id(const std::filesystem::path& proc);

}  // namespace drasriov::claim
