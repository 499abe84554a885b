// SPDX-License-Identifier: Apache-2.0
#include "host/app/device_list.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "host/app/table.hpp"
#include "host/cluster/directory/block_yaml.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

template <typename T>
json plain(const T& value) {
  if constexpr (std::is_same_v<T, device::Version>) {
    return value.text;
  } else {
    return value;
  }
}

template <typename T>
json plain(const std::vector<T>& values) {
  json array = json::array();
  for (const T& value : values) array.push_back(plain<T>(value));
  return array;
}

json attribute_json(const device::AttributeValue& value) {
  return std::visit([](const auto& v) { return plain(v); }, value);
}

json device_json(const device::Device& device) {
  json object = {{"name", device.name},          {"kind", device.kind},
                 {"parent", device.parent},      {"module", device.module},
                 {"attributes", json::object()}, {"capacities", json::object()},
                 {"facts", json::object()}};
  for (const auto& [key, value] : device.attributes)
    object["attributes"][key.str()] = attribute_json(value);
  for (const auto& [key, value] : device.capacities) object["capacities"][key.str()] = value;
  for (const auto& [key, value] : device.facts) object["facts"][key.str()] = value;
  return object;
}

json scan_json(const module::Discovery::Scan& scan) {
  json object = {{"devices", json::array()}, {"problems", json::array()}};
  for (const device::Device& device : scan.devices)
    object["devices"].push_back(device_json(device));
  for (const device::Problem& problem : scan.problems) {
    object["problems"].push_back({{"object", problem.object}, {"message", problem.message}});
  }
  return object;
}

/// An attribute of any type as a person writes it; empty when the device has none of that name.
std::string attribute_text(const device::Device& device, std::string_view key) {
  const device::AttributeValue* value = device.attribute(key);
  if (value == nullptr) return {};
  const json plain_value = attribute_json(*value);
  return plain_value.is_string() ? plain_value.get<std::string>() : plain_value.dump();
}

std::string fact_text(const device::Device& device, std::string_view key) {
  const std::string* value = device.fact(key);
  return value == nullptr ? std::string() : *value;
}

/// As lspci -nn writes it.
std::string ids_text(const device::Device& device) {
  const std::string vendor = attribute_text(device, "vendor");
  const std::string id = attribute_text(device, "deviceID");
  return vendor.empty() && id.empty() ? std::string() : vendor + ":" + id;
}

/// The PF by its interface, or by its address when it has none.
std::string pf_text(const device::Device& device) {
  std::string netdev = fact_text(device, device::fact::kPfNetdev);
  return netdev.empty() ? fact_text(device, device::fact::kPfPciAddress) : netdev;
}

std::string table(const module::Discovery::Scan& scan, bool wide) {
  std::vector<std::string> header = {"DEVICE",    "PCI ADDRESS", "PF",        "VF",
                                     "VENDOR:ID", "DRIVER",      "INTERFACE", "NUMA"};
  if (wide) {
    for (const char* title : {"ESWITCH", "LINK", "RDMA", "IOMMU GROUP", "PCIE ROOT", "PARENT"})
      header.emplace_back(title);
  }
  std::vector<std::vector<std::string>> rows;
  for (const device::Device& device : scan.devices) {
    if (device.kind != "vf") continue;
    std::vector<std::string> row = {
        device.name,
        fact_text(device, device::fact::kPciAddress),
        pf_text(device),
        fact_text(device, device::fact::kVfIndex),
        ids_text(device),
        fact_text(device, device::fact::kDriver),
        fact_text(device, device::fact::kNetdev),
        attribute_text(device, "resource.kubernetes.io/numaNode"),
    };
    if (wide) {
      for (const char* key : {"EswitchMode", "linkType", "rdmaCapable"})
        row.push_back(attribute_text(device, key));
      row.push_back(fact_text(device, device::fact::kIommuGroup));
      row.push_back(attribute_text(device, "resource.kubernetes.io/pcieRoot"));
      row.push_back(attribute_text(device, "parentPciAddress"));
    }
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return "No virtual functions. A PF makes them when sriov_numvfs is written.\n";
  return format_table(header, rows);
}

}  // namespace

std::string format_devices(module::Discovery::Scan scan, OutputFormat format) {
  std::ranges::sort(scan.devices, {}, &device::Device::name);
  switch (format) {
    case OutputFormat::kTable: return table(scan, false);
    case OutputFormat::kWide: return table(scan, true);
    case OutputFormat::kJson:
      return scan_json(scan).dump(2, ' ', false, json::error_handler_t::replace) + "\n";
    case OutputFormat::kYaml: return cluster::print_block_yaml(scan_json(scan));
  }
  return {};
}

}  // namespace drasriov::app
