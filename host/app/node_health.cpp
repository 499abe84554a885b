// SPDX-License-Identifier: Apache-2.0
#include "host/app/node_health.hpp"

namespace drasriov::app {

std::vector<dra::DeviceHealth> device_health(const NodeView& view, const std::string& pool) {
  std::vector<dra::DeviceHealth> health;
  for (const device::Device& device : view.inventory->devices()) {
    if (device.kind == "vf") health.push_back({.pool = pool, .device = device.name});
  }
  for (const auto& [name, held] : *view.held) {
    if (view.inventory->find(name) != nullptr) continue;
    dra::DeviceHealth entry{.pool = pool, .device = name};
    if (held->state == "Prepared") {
      entry.healthy = false;
      entry.message = "the device is not on the node any more";
    }
    health.push_back(std::move(entry));
  }
  return health;
}

}  // namespace drasriov::app
