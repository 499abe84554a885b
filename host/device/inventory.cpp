// SPDX-License-Identifier: Apache-2.0
#include "host/device/inventory.hpp"

#include <algorithm>
#include <cassert>

namespace drasriov::device {

Inventory::Inventory(std::uint64_t version, std::vector<Device> devices,
                     std::vector<Problem> problems)
    : version_(version),
      devices_(std::move(devices)),
      problems_(std::move(problems)) {
  std::ranges::sort(devices_, {}, &Device::name);
  assert(std::ranges::adjacent_find(devices_, {}, &Device::name) == devices_.end());
}

const Device* Inventory::find(std::string_view name) const noexcept {
  const auto it = std::ranges::lower_bound(
      devices_, name, {}, [](const Device& d) { return std::string_view(d.name); });
  return it != devices_.end() && it->name == name ? &*it : nullptr;
}

}  // namespace drasriov::device
