// SPDX-License-Identifier: Apache-2.0
//
// What kubelet's health stream is told of each device. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "host/app/control.hpp"
#include "host/dra/device_health.hpp"

namespace drasriov::app {

/// All VFs that are there, healthy, and those that are gone while a prepared claim holds them, not. A device that a claim
/// is only taking or giving back may be unseen for a moment while its driver changes: it counts as healthy.
[[nodiscard]] std::vector<dra::DeviceHealth> device_health(const NodeView& view,
                                                           const std::string& pool);

}  // namespace drasriov::app
