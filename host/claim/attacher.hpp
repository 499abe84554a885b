// SPDX-License-Identifier: Apache-2.0
//
// Attacher: moves the devices of a claim into a sandbox's network namespace and takes them out again, so that whatever
// stops the process in between, the record says what has to be taken back. Owned by app/; used by pod/ (sandboxes) and by
// undo (unprepare). [worker]: the caller holds the tokens of the claim and of its devices, and no lock.
//
// A claim is in one sandbox as a whole: all its devices with a network step, or none.
//
//   attach   Attaching durable → netconf add, one device after the other → Attached durable → marker
//   detach   marker away → Detaching durable → netconf del, last device first → settle → record without attachments durable
//
// The marker, `<markers>/<claim uid>/<sandbox id>`, is what the OCI hook of the claim's CDI document looks for before a
// container starts. It is there only while the record says Attached.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "host/base/network_namespace.hpp"
#include "host/base/result.hpp"
#include "host/claim/journal.hpp"
#include "host/claim/netconf_turns.hpp"
#include "host/claim/record.hpp"
#include "host/device/inventory.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

struct AttacherParts {
  const module::Modules& modules;
  Journal& journal;
  /// The newest inventory, never null. [any]
  std::function<device::InventorySnapshot()> inventory;
  /// As open_network_namespace(). [any]
  std::function<Result<NetworkNamespace>(const std::string& path)> open_namespace;
  std::filesystem::path markers;  ///< folder, made when needed
};

class Attacher {
 public:
  explicit Attacher(AttacherParts parts);

  /// Attaches all devices of the record that have a network step. On success `record` is what the journal holds. On failure
  /// `record` holds what detach() has to take back, if anything. Errors: INVALID_ARGUMENT for a sandbox id that cannot be a
  /// file name; those of opening the namespace; those of the netconf module and the journal. REQUIRES: the record is
  /// Prepared, of this boot, and has no attachments.
  [[nodiscard]] Status attach(const module::Call& call, const module::Sandbox& sandbox,
                              Record& record) const;

  /// Takes back all attachments of the record; success when there are none. A namespace that is gone, or whose path names
  /// another one by now, is given to the module as gone: the kernel has the device back, leases are still released. For a
  /// record of another boot that is always so, and no module settles. On failure the attachments that could not be taken
  /// back stay, as Detaching; but not those of a device that is gone like its namespace, which plugins may refuse to look
  /// for: then the record's last_error says so.
  [[nodiscard]] Status detach(const module::Call& call, Record& record) const;

  /// CNI's CHECK: whether what is attached is as the netconf module made it. Success for what is not attached, for a namespace
  /// that is gone, and for a module or a network that knows no CHECK. Changes nothing.
  [[nodiscard]] Status check(const module::Call& call, const Record& record) const;

  /// CNI's GC: lets the netconf module release what it keeps of these networks (CNI configurations) for attachments that no
  /// record knows. Adds and dels that come meanwhile wait for its end. Errors: ABORTED, and
  /// nothing was done, while an add or del is running; the first of the module's. REQUIRES: the caller knows that nobody
  /// else attaches to these networks what no record tells of.
  [[nodiscard]] Status collect_garbage(const module::Call& call,
                                       const std::set<std::string>& networks) const;

  /// Whether the sandbox has a network namespace of its own that is there. [any], no token needed.
  [[nodiscard]] bool has_namespace(const module::Sandbox& sandbox) const;
  /// Whether the attachment's namespace is still there. [any], no token needed.
  [[nodiscard]] bool is_alive(const Attachment& attachment) const;

  /// Whether the marker of a claim that is attached is there: its folder may have been cleared. [any], no token needed.
  [[nodiscard]] bool has_marker(const Record& record) const;
  /// Writes it if it is missing.
  [[nodiscard]] Status keep_marker(const Record& record) const;

 private:
  [[nodiscard]] Status add(const module::Call& call, const module::Sandbox& sandbox, int netns_fd,
                           DeviceRecord& device) const;
  [[nodiscard]] Status take_back(const module::Call& call, const Record& record,
                                 DeviceRecord& device) const;
  [[nodiscard]] Status del(const module::Call& call, const module::NetconfRequest& request) const;
  [[nodiscard]] Status settle(const module::Call& call, const Record& record,
                              const DeviceRecord& device) const;
  [[nodiscard]] Status remove_markers(const Record& record) const;
  [[nodiscard]] std::filesystem::path marker(std::string_view claim_uid,
                                             std::string_view sandbox_id) const;

  const AttacherParts parts_;
  mutable NetconfTurns turns_;
};

}  // namespace drasriov::claim
