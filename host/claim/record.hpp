// SPDX-License-Identifier: Apache-2.0
//
// Record: all that the driver knows of one claim, as the journal keeps it, and its text form.
// Values and pure functions; any thread. A record in use is shared as RecordPtr and never changes:
// an update is a changed copy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/plan.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

enum class RecordState {
  kPreparing,  ///< intent: what undo needs is there, modules may have begun
  kPrepared,   ///< answered, or about to be
  kUndoing,    ///< putting back failed at least once, or was interrupted
};
[[nodiscard]] std::string_view state_name(RecordState state) noexcept;

/// What one binding module left behind for one device. steps[i] belongs to plan.chain[i].
struct BindingStep {
  std::string snapshot;  ///< opaque bytes
  std::string state;     ///< opaque bytes of put_state
  std::map<std::string, std::string, std::less<>>
      facts;                            ///< of set_fact; an empty value removes the fact
  std::vector<std::string> edits_json;  ///< CDI containerEdits
  bool undone = false;
  friend bool operator==(const BindingStep&, const BindingStep&) = default;
};

enum class AttachmentState { kAttaching, kAttached, kDetaching };

/// A device in the network namespace of a sandbox. Written by pod/; an unprepare waits for its end.
struct Attachment {
  AttachmentState state = AttachmentState::kAttaching;
  std::string sandbox_id;
  std::string pod_uid;
  std::string pod_namespace;
  std::string pod_name;
  std::string netns_path;
  std::uint64_t netns_device =
      0;  ///< st_dev and st_ino of the namespace: the path may be used again
  std::uint64_t netns_inode = 0;
  std::string interface_name;
  std::string config_json;  ///< final CNI configuration
  std::string result_json;  ///< CNI result; empty before kAttached
  friend bool operator==(const Attachment&, const Attachment&) = default;
};

struct DeviceRecord {
  DevicePlan plan;
  std::vector<BindingStep> steps;
  std::vector<std::string> cdi_device_ids;  ///< of the answer; empty before kPrepared
  std::vector<Attachment> attachments;
  /// Set for a device that the Go driver prepared: the CDI containerEdits that it gave. Its steps
  /// have no snapshot: undo asks the modules to adopt the device.
  std::optional<std::string> adopted_edits_json;
  friend bool operator==(const DeviceRecord&, const DeviceRecord&) = default;
};

struct Record {
  RecordState state = RecordState::kPreparing;
  ClaimRef claim;
  std::string boot_id;  ///< of the boot in which the devices were taken
  std::vector<module::Consumer> consumers;
  std::optional<std::string> pod_uid;  ///< whose CDI document lists the devices
  std::vector<DeviceRecord> devices;   ///< in the order of the allocation
  std::string last_error;              ///< kUndoing: why it is not over; else what was given up
  friend bool operator==(const Record&, const Record&) = default;
};
using RecordPtr = std::shared_ptr<const Record>;

/// The record of a plan before anything was done.
[[nodiscard]] Record record_of(Plan plan, std::string boot_id);

/// Whether any device of the record is in a sandbox, or on its way in or out.
[[nodiscard]] bool has_attachments(const Record& record);
/// Whether all devices with a network step are attached to this sandbox.
[[nodiscard]] bool attached_to(const Record& record, std::string_view sandbox_id);
/// Whether any device has a network step.
[[nodiscard]] bool has_network(const Record& record);

/// WorkQueue's keys of the devices that the record holds, and of the sandboxes that they are in: a
/// netconf module works for one sandbox at a time, and a pod can have several claims.
[[nodiscard]] std::vector<std::string> device_keys(const Record& record);

/// The answer of a prepared record.
[[nodiscard]] std::vector<PreparedDevice> answer_of(const Record& record);

/// Whether the record is about the same devices: request, pool, device, share and adminAccess of
/// each, in any order.
[[nodiscard]] bool same_allocation(const Record& record,
                                   const std::vector<AllocatedDevice>& devices);

/// The device as module number `step` of its chain sees it: discovery's facts and those of the
/// modules before it. steps.size() = as the network step sees it.
[[nodiscard]] device::Device device_for_step(const DeviceRecord& device, std::size_t step);

/// One line of JSON: {"format":1,"sha256":"…","record":{…}}. The checksum is over the bytes of the
/// value of "record". Opaque bytes are base64.
[[nodiscard]] std::string encode_record(const Record& record);

/// Strict inverse: DATA_LOSS when the text is not what encode_record() writes (cut short, changed,
/// unknown format, unknown member), naming the first difference. `check_sum` false reads a record
/// whose checksum is wrong, for telling people which devices it was about.
[[nodiscard]] Result<Record> decode_record(std::string_view text, bool check_sum = true);

}  // namespace drasriov::claim
