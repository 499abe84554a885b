// SPDX-License-Identifier: Apache-2.0
//
// From a device's driver as it is to the driver as it should be: which writes, in which order. Pure
// functions over values; any thread.
//
// Why they are what they are (Linux, drivers/pci/pci-driver.c and drivers/base/{bus,dd}.c):
//  * drivers_probe succeeds and binds nothing for a VF whose PF has sriov_drivers_autoprobe=0,
//    unless driver_override is set. So a driver that is known by name always goes into
//    driver_override first, and what was there before is put back after the bind.
//  * drivers_probe does nothing for a bound device: unbind comes first.
//  * Nothing probes a device by itself after an unbind: there is no race for it in between.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace drasriov::binding_vfio {

/// What VfConfig.driver means with the kernel's own choice.
inline constexpr std::string_view kDefaultDriver = "default";

struct DeviceState {
  std::string driver;    ///< empty = not bound
  std::string override;  ///< driver_override; empty = not set
  friend bool operator==(const DeviceState&, const DeviceState&) = default;
};

/// What undo has to know. Kept in the host's journal as JSON.
struct Snapshot {
  DeviceState before;
  std::string incarnation;  ///< of the device's directory; empty = unknown (adopted)

  [[nodiscard]] std::string to_text() const;
  /// kDataLoss when it is none.
  [[nodiscard]] static sdk::Result<Snapshot> parse(std::string_view text);
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

struct Step {
  enum class Kind {
    kLoadDriver,    ///< `driver` is there, or its module is loaded
    kLoadClaiming,  ///< the modules that claim the device by its modalias are loaded
    kCheckFree,     ///< no process has the device open; before anything that would wait for it
    kSetOverride,   ///< driver_override = `driver`, empty clears it
    kUnbind,
    kProbe,  ///< and wait until `driver` is bound; empty = any
  };
  Kind kind;
  std::string driver;
  friend bool operator==(const Step&, const Step&) = default;
};

/// A driver that gives the device to user space through VFIO: vfio-pci and its variants
/// (mlx5_vfio_pci, nvgrace-gpu-vfio-pci …).
[[nodiscard]] bool is_vfio(std::string_view driver);
/// Likewise through UIO: uio_pci_generic, igb_uio.
[[nodiscard]] bool is_uio(std::string_view driver);

/// kPermissionDenied naming what is allowed. at_rest: the driver that the device has now.
[[nodiscard]] sdk::Status check_allowed(std::string_view driver,
                                        const std::vector<std::string>& allowed,
                                        std::string_view at_rest);

/// To a driver by name. REQUIRES: it is neither empty nor "default".
[[nodiscard]] std::vector<Step> steps_to_driver(const DeviceState& now, std::string_view driver);

/// To the kernel's own choice. A kernel driver that is bound is that choice. named: the driver that
/// it would be on a PF with autoprobe=0, where the kernel does not choose; empty = it chooses.
[[nodiscard]] std::vector<Step> steps_to_default(const DeviceState& now, std::string_view named);

/// Back to what was.
[[nodiscard]] std::vector<Step> steps_back(const DeviceState& now, const DeviceState& before);

}  // namespace drasriov::binding_vfio
