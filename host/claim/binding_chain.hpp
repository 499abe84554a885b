// SPDX-License-Identifier: Apache-2.0
//
// Runs the binding modules of a record's devices: snapshot, prepare, unprepare. Internal to claim/.
// [worker]: the caller holds the tokens of the claim and its devices, and no lock.
#pragma once

#include <functional>
#include <string>

#include "host/base/result.hpp"
#include "host/claim/record.hpp"
#include "host/device/inventory.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

/// Fills the snapshots of all steps of all devices. Changes nothing on the machine.
[[nodiscard]] Status take_snapshots(const module::Modules& modules, const module::Call& call,
                                    Record& record);

/// Prepares step `step` of device `device` of the record and fills in its facts and edits.
/// `put_state` makes the record, in which the state was set, durable; once it has failed its error
/// is returned whatever the module says, with `journal_failed` set: trying again would not help.
[[nodiscard]] Status prepare_step(const module::Modules& modules, const module::Call& call,
                                  Record& record, std::size_t device, std::size_t step,
                                  const std::function<Status(const Record&)>& put_state,
                                  bool& journal_failed);

/// Unprepares the steps that are not undone, last device and last step first; what succeeds is
/// marked. A device stops at its first error, as earlier modules rely on later ones being undone;
/// the other devices go on. The first error is returned. A device that is gone, or whose place
/// another one has taken (its incarnation differs), is not touched: its steps count as undone and
/// `lost` is called with what to tell people. UNAVAILABLE when discovery failed to read it.
[[nodiscard]] Status undo_steps(const module::Modules& modules, const module::Call& call,
                                const device::Inventory& inventory, Record& record,
                                const std::function<void(std::string)>& lost);

/// After a detach: the modules of the device's chain settle it, last step first; the first error ends it. A step that is
/// undone, or whose module is not loaded any more, is left out: unprepare says the latter.
[[nodiscard]] Status settle_steps(const module::Modules& modules, const module::Call& call,
                                  const Record& record, const DeviceRecord& device);

[[nodiscard]] bool all_undone(const Record& record);

/// Whether another device has taken the place of one that the record holds, or it is gone.
enum class Presence { kSame, kGone, kReplaced, kUnreadable };
[[nodiscard]] Presence presence_of(const DeviceRecord& device, const device::Inventory& inventory);

}  // namespace drasriov::claim
