// SPDX-License-Identifier: Apache-2.0
//
// Attributes at rest: an inventory with the devices that claims hold shown as they were when they
// were taken, so that nothing published flaps while a VF is in use. A pure function; any thread.
#pragma once

#include <string>
#include <vector>

#include "host/claim/claim_service.hpp"
#include "host/device/device.hpp"
#include "host/device/inventory.hpp"

namespace drasriov::publish {

/// A device that is there but must not be allocated.
struct Withheld {
  std::string device;
  std::string reason;  ///< a sentence for events and `explain`
  friend bool operator==(const Withheld&, const Withheld&) = default;
};

struct AtRest {
  std::vector<device::Device> devices;  ///< of all kinds, by name
  std::vector<Withheld> withheld;       ///< by device
};

/// * A held device is shown as the record has it, not as discovery sees it (its netdev is in a pod,
/// its driver is
///   vfio-pci). The filters of today are applied to that form afterwards.
/// * Discovery does not see it at the moment (a scan met it between two drivers, or it is really
/// gone): it stays. Its claim
///   keeps it from being allocated, and leaving it out would cost two writes for each rebind.
/// * Discovery sees another incarnation at its address (the VFs were made anew): the record speaks
/// of a device that no
///   longer exists, so the new one is shown.
/// * A device whose undo failed ("Undoing") or whose record cannot be read ("Quarantined") would
/// only be refused by the
///   next Prepare: it is withheld until the record is gone, so that the scheduler looks elsewhere.
[[nodiscard]] AtRest devices_at_rest(const device::Inventory& inventory,
                                     const claim::HeldDevices& held);

/// True: devices_at_rest() is the same for both, since what they differ in are devices that are seen as they were taken.
/// Costs what differs, not what is there; false may also mean "not known".
[[nodiscard]] bool same_at_rest(const device::Inventory& inventory,
                                const claim::HeldDevices& before, const claim::HeldDevices& after);

}  // namespace drasriov::publish
