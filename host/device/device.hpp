// SPDX-License-Identifier: Apache-2.0
//
// Device: one allocatable (or parent) device as the discovery modules reported it. A value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/device/fields.hpp"

namespace drasriov::device {

/// A semantic version 2.0.0 string, published under `version` instead of `string`.
struct Version {
  std::string text;
  friend bool operator==(const Version&, const Version&) = default;
};

/// One value of a ResourceSlice device attribute (resource.k8s.io/v1 DeviceAttribute). Lists need the
/// DRAListTypeAttributes gate of Kubernetes 1.36.
using AttributeValue =
    std::variant<std::int64_t, bool, std::string, Version, std::vector<std::int64_t>,
                 std::vector<bool>, std::vector<std::string>, std::vector<Version>>;

/// Facts (never published) that discovery reports under fixed keys; sdk/include/drasriov/abi/discovery.h defines them.
/// Modules may add keys of their own with a domain prefix.
namespace fact {
inline constexpr std::string_view kPciAddress = "pciAddress";  ///< "0000:08:00.2"
inline constexpr std::string_view kSysfsPath = "sysfsPath";    ///< absolute, below the `sys` root
inline constexpr std::string_view kNetdev =
    "netdev";  ///< absent while in another netns or without driver
inline constexpr std::string_view kDriver = "driver";  ///< bound kernel driver; absent when unbound
inline constexpr std::string_view kIommuGroup = "iommuGroup";      ///< decimal number
inline constexpr std::string_view kPfPciAddress = "pfPciAddress";  ///< of a VF
inline constexpr std::string_view kPfNetdev = "pfNetdev";  ///< absent for a PF without netdev
inline constexpr std::string_view kVfIndex = "vfIndex";    ///< N of virtfnN, decimal
/// Opaque; differs when another device takes the same address (VFs removed and made anew).
inline constexpr std::string_view kIncarnation = "incarnation";
}  // namespace fact

struct Device {
  std::string name;    ///< DNS label, unique in the node's pool
  std::string kind;    ///< "vf" (published), "pf" (facts for filters and people only)
  std::string parent;  ///< name of the PF's device, or empty
  /// Key: "domain/name", or "name" for the driver's own domain (qualified when published).
  Fields<AttributeValue> attributes;
  Fields<std::string> capacities;  ///< same keys, values are canonical quantities
  Fields<std::string> facts;
  std::string module;  ///< instance name of the discovery module that reported it

  [[nodiscard]] const std::string* fact(std::string_view key) const {
    const auto it = facts.find(key);
    return it == facts.end() ? nullptr : &it->second;
  }
  [[nodiscard]] const AttributeValue* attribute(std::string_view key) const {
    const auto it = attributes.find(key);
    return it == attributes.end() ? nullptr : &it->second;
  }
  /// The attribute as text when it is a string, else nullptr.
  [[nodiscard]] const std::string* string_attribute(std::string_view key) const {
    const AttributeValue* value = attribute(key);
    return value == nullptr ? nullptr : std::get_if<std::string>(value);
  }

  friend bool operator==(const Device&, const Device&) = default;
};

}  // namespace drasriov::device
