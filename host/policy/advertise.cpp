// SPDX-License-Identifier: Apache-2.0
#include "host/policy/advertise.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace drasriov::policy {
namespace {

using device::Device;

constexpr std::string_view kNumaNode = "resource.kubernetes.io/numaNode";
constexpr std::string_view kPcieRoot = "resource.kubernetes.io/pcieRoot";

/// What the criteria compare with. A device has up to three values for rootDevices and one for each
/// other criterion.
struct DeviceValues {
  std::array<std::string_view, kCriterionCount> first;
  std::string_view pf_address;
  std::string_view pcie_root;
  std::string numa_node;  // what first[kNumaNodes] views

  [[nodiscard]] std::string_view value(Criterion criterion) const {
    return first[static_cast<std::size_t>(criterion)];
  }
};

std::string qualified(std::string_view driver_name, std::string_view name) {
  std::string key(driver_name);
  key.append("/").append(name);
  return key;
}

/// A string attribute of the driver's own domain, under either of its two spellings, else the fact.
std::string_view own_value(const Device& device, std::string_view driver_name,
                           std::string_view name, std::string_view fact = {}) {
  if (const std::string* value = device.string_attribute(name)) return *value;
  if (const std::string* value = device.string_attribute(qualified(driver_name, name)))
    return *value;
  const std::string* value = fact.empty() ? nullptr : device.fact(fact);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

void read_values(const Device& device, std::string_view driver_name, DeviceValues& values) {
  const auto set = [&](Criterion criterion, std::string_view value) {
    values.first[static_cast<std::size_t>(criterion)] = value;
  };
  set(Criterion::kVendors, own_value(device, driver_name, "vendor"));
  set(Criterion::kDevices, own_value(device, driver_name, "deviceID"));
  set(Criterion::kPciAddresses,
      own_value(device, driver_name, "pciAddress", device::fact::kPciAddress));
  set(Criterion::kPfNames, own_value(device, driver_name, "PFName", device::fact::kPfNetdev));
  set(Criterion::kRootDevices, own_value(device, driver_name, "parentPciAddress"));
  set(Criterion::kDrivers, own_value(device, driver_name, "driver", device::fact::kDriver));
  values.pf_address = own_value(device, driver_name, "pfPciAddress", device::fact::kPfPciAddress);
  const std::string* root = device.string_attribute(kPcieRoot);
  values.pcie_root = root == nullptr ? std::string_view() : std::string_view(*root);

  // The kernel says -1 and the attribute is absent for a device that belongs to no node.
  const device::AttributeValue* numa = device.attribute(kNumaNode);
  const auto* node = numa == nullptr ? nullptr : std::get_if<std::int64_t>(numa);
  values.numa_node = node == nullptr ? "-1" : std::to_string(*node);
  set(Criterion::kNumaNodes, values.numa_node);
}

bool holds(const std::vector<std::string>& list, std::string_view value) {
  return !value.empty() && std::ranges::find(list, value) != list.end();
}

/// nullopt = the filter matches.
std::optional<Criterion> first_failed(const DeviceFilter& filter, const DeviceValues& values) {
  for (std::size_t i = 0; i < kCriterionCount; ++i) {
    const auto criterion = static_cast<Criterion>(i);
    const auto& list = filter.list(criterion);
    if (list.empty() || holds(list, values.value(criterion))) continue;
    if (criterion == Criterion::kRootDevices &&
        (holds(list, values.pf_address) || holds(list, values.pcie_root))) {
      continue;
    }
    return criterion;
  }
  return std::nullopt;
}

std::string in_words(Criterion criterion, const DeviceFilter& filter, const DeviceValues& values) {
  std::string text(criterion_key(criterion));
  text.append(": ");
  std::string found;
  const auto add = [&](std::string_view value) {
    if (!value.empty()) found.append(found.empty() ? "\"" : ", \"").append(value).append("\"");
  };
  add(values.value(criterion));
  if (criterion == Criterion::kRootDevices) {
    add(values.pf_address);
    add(values.pcie_root);
  }
  text.append(found.empty() ? "the device has no such value, the filter wants"
                            : "the device has " + found + ", the filter wants");
  std::string_view separator = " \"";
  for (const auto& wanted : filter.list(criterion)) {
    text.append(separator).append(wanted).append("\"");
    separator = ", \"";
  }
  return text;
}

/// The resource name that `object` gives to the device, or nullptr. `visit(config, filter, failed)`
/// sees each decision.
template <typename Visit>
const std::string* name_in(const ResourceFilter& object, const DeviceValues& values, Visit visit) {
  for (std::size_t c = 0; c < object.configs.size(); ++c) {
    const FilterConfig& config = object.configs[c];
    if (config.filters.empty()) {
      visit(c, std::optional<std::size_t>(), std::optional<Criterion>());
      return &config.resource_name;
    }
    for (std::size_t f = 0; f < config.filters.size(); ++f) {
      const auto failed = first_failed(config.filters[f], values);
      visit(c, std::optional<std::size_t>(f), failed);
      if (!failed) return &config.resource_name;
    }
  }
  return nullptr;
}

struct Named {
  const ResourceFilter* object = nullptr;
  const std::string* name = nullptr;
};

/// The first object that names the device, and the later ones that want another name.
template <typename Visit>
Named name_of(const Device& device, const NodeFilters& filters, const DeviceValues& values,
              std::vector<Conflict>& conflicts, Visit visit) {
  Named winner;
  for (const ResourceFilter& object : filters.applied) {
    const std::string* name =
        name_in(object, values,
                [&](std::size_t config, std::optional<std::size_t> filter,
                    std::optional<Criterion> failed) { visit(object, config, filter, failed); });
    if (name == nullptr) continue;
    if (winner.name == nullptr) {
      winner = {&object, name};
    } else if (*name != *winner.name) {
      conflicts.push_back({device.name, winner.object->to_string(), *winner.name,
                           object.to_string(), object.uid, *name});
    }
  }
  return winner;
}

void set_resource_name(Device& device, std::string_view driver_name, const std::string* name) {
  device.attributes.erase(qualified(driver_name, kResourceName));
  if (name == nullptr) {
    if (const auto it = device.attributes.find(kResourceName); it != device.attributes.end()) {
      device.attributes.erase(it);
    }
    if (const auto it = device.attributes.find(kMultusResourceName);
        it != device.attributes.end()) {
      device.attributes.erase(it);
    }
    return;
  }
  device.attributes.insert_or_assign(std::string(kResourceName), *name);
  device.attributes.insert_or_assign(std::string(kMultusResourceName), *name);
}

bool is_published(const Named& named, const Settings& settings) {
  return named.name != nullptr || settings.advertise == config::Advertise::kAll;
}

}  // namespace

std::string Conflict::to_string() const {
  return "SriovResourceFilter " + loser + " wants resourceName \"" + loser_name + "\" for device " +
         device + ", which SriovResourceFilter " + winner + " has named \"" + winner_name +
         "\" — hint: the older object wins; make their filters disjoint or their names equal";
}

Advertised advertise(std::vector<Device> devices, const NodeFilters& filters,
                     const Settings& settings) {
  Advertised result;
  std::ranges::sort(devices, {}, &Device::name);
  DeviceValues values;
  std::erase_if(devices, [&](Device& device) {
    if (device.kind != "vf") return true;
    read_values(device, settings.driver_name, values);
    const Named named = name_of(device, filters, values, result.conflicts, [](const auto&...) {});
    if (!is_published(named, settings)) return true;
    set_resource_name(device, settings.driver_name, named.name);
    return false;
  });
  result.devices = std::move(devices);
  return result;
}

Explanation explain(const Device& device, const NodeFilters& filters, const Settings& settings) {
  Explanation result;
  result.device = device.name;
  if (device.kind != "vf") return result;
  DeviceValues values;
  read_values(device, settings.driver_name, values);
  const Named named = name_of(
      device, filters, values, result.conflicts,
      [&](const ResourceFilter& object, std::size_t config, std::optional<std::size_t> filter,
          std::optional<Criterion> failed) {
        Attempt attempt{object.to_string(), config, filter, !failed.has_value(), {}};
        if (failed)
          attempt.reason = in_words(*failed, object.configs[config].filters[*filter], values);
        if (attempt.matched && !result.winner) result.winner = result.attempts.size();
        result.attempts.push_back(std::move(attempt));
      });
  result.advertised = is_published(named, settings);
  if (named.name != nullptr) result.resource_name = *named.name;
  return result;
}

std::string Explanation::summary() const {
  if (winner) {
    const Attempt& match = attempts[*winner];
    std::string text = device + ": resourceName \"" + resource_name + "\" by SriovResourceFilter " +
                       match.object + ", configs[" + std::to_string(match.config) + "]";
    text += match.filter ? ".resourceFilters[" + std::to_string(*match.filter) + "]"
                         : " (takes every device)";
    return text;
  }
  return device + (advertised
                       ? ": published without resourceName, no filter matches"
                       : ": not published, no filter matches and `advertise: filtered` is set");
}

}  // namespace drasriov::policy
