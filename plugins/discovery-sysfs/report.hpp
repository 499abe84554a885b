// SPDX-License-Identifier: Apache-2.0
//
// From what a scan found to what the host is told: names, attributes and facts of a device. Pure;
// any thread.
#pragma once

#include <drasriov/sdk/device.hpp>

#include <optional>
#include <string_view>

#include "eswitch.hpp"
#include "pci_scan.hpp"

namespace drasriov::discovery_sysfs {

/// Mode that is published: devlink's answer, else what sysfs shows; nothing when neither is
/// certain.
[[nodiscard]] std::optional<EswitchMode> eswitch_mode(std::optional<EswitchMode> by_devlink,
                                                      EswitchEvidence evidence) noexcept;

/// sys_root: absolute, without a trailing '/'.
[[nodiscard]] sdk::Device describe(const PhysicalFunction& pf, std::optional<EswitchMode> mode,
                                   std::string_view sys_root);
[[nodiscard]] sdk::Device describe(const VirtualFunction& vf, const PhysicalFunction& pf,
                                   std::optional<EswitchMode> mode, std::string_view sys_root);

}  // namespace drasriov::discovery_sysfs
