// SPDX-License-Identifier: Apache-2.0
#include "host/publish/at_rest.hpp"

#include <algorithm>

namespace drasriov::publish {
namespace {

using claim::HeldDevice;
using device::Device;

/// Whether the record speaks of the device that is there now. A record or a scan without
/// incarnation says nothing.
bool same_incarnation(const Device& recorded, const Device& seen) {
  const std::string* before = recorded.fact(device::fact::kIncarnation);
  const std::string* now = seen.fact(device::fact::kIncarnation);
  return before == nullptr || now == nullptr || *before == *now;
}

bool blocked(const HeldDevice& held) {
  return held.state == "Undoing" || held.state == "Quarantined";
}

bool shown_as_seen(const device::Inventory& inventory, const HeldDevice& held) {
  const Device* seen = inventory.find(held.published.name);
  return seen != nullptr && !blocked(held) && held.published == *seen;
}

/// Whether each entry of `held` that is not in `other` shows its device as it is seen.
bool differs_only_as_seen(const device::Inventory& inventory, const claim::HeldDevices& held,
                          const claim::HeldDevices& other) {
  return std::ranges::all_of(held, [&](const auto& entry) {
    const auto same = other.find(entry.first);
    return (same != other.end() && same->second == entry.second) ||
           shown_as_seen(inventory, *entry.second);
  });
}

std::string reason(const HeldDevice& held) {
  if (held.state == "Undoing") {
    return "claim " + held.claim.to_string() +
           " could not be undone yet; the device is published again when it is as "
           "it was found";
  }
  return "the record of claim " + held.claim.to_string() +
         " is damaged and was set aside; the device is published "
         "again when the record is resolved";
}

}  // namespace

AtRest devices_at_rest(const device::Inventory& inventory, const claim::HeldDevices& held) {
  AtRest result;
  result.devices.reserve(inventory.devices().size() + held.size());
  for (const Device& seen : inventory.devices()) {
    const auto it = held.find(seen.name);
    if (it == held.end()) {
      result.devices.push_back(seen);
    } else if (!blocked(*it->second)) {
      const Device& recorded = it->second->published;
      result.devices.push_back(same_incarnation(recorded, seen) ? recorded : seen);
    }
  }
  for (const auto& [name, entry] : held) {
    if (blocked(*entry)) {
      result.withheld.push_back({name, reason(*entry)});
    } else if (inventory.find(name) == nullptr) {
      result.devices.push_back(entry->published);
    }
  }
  std::ranges::sort(result.devices, {}, &Device::name);
  return result;
}

bool same_at_rest(const device::Inventory& inventory, const claim::HeldDevices& before,
                  const claim::HeldDevices& after) {
  return differs_only_as_seen(inventory, before, after) &&
         differs_only_as_seen(inventory, after, before);
}

}  // namespace drasriov::publish
