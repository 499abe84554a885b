// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <utility>

namespace drasriov::binding_vfio {

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  auto allowed = config.strings("allowedDrivers");
  if (!allowed) {
    return allowed.error();
  }
  const auto iommu = config.string("iommu");
  if (!iommu) {
    return iommu.error();
  }
  const auto timeout = config.integer("timeoutMs");
  if (!timeout) {
    return timeout.error();
  }
  if (*allowed) {
    settings.allowed_drivers = **std::move(allowed);
  }
  if (*iommu == "iommufd") {
    settings.iommu = Iommu::kIommufd;
  }
  settings.timeout = std::chrono::milliseconds(timeout->value_or(settings.timeout.count()));
  return settings;
}

}  // namespace drasriov::binding_vfio
