// SPDX-License-Identifier: Apache-2.0
//
// SliceEntry: one device in the form of a ResourceSlice, checked against the limits of
// resource.k8s.io/v1 before the API server sees it, because it refuses the whole slice for one bad
// device. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/device/device.hpp"

namespace drasriov::publish {

/// Limits of resource.k8s.io/v1 (1.34 to 1.36) that this driver can meet.
inline constexpr std::size_t kMaxAttributesAndCapacities = 32;  ///< of a device, together
inline constexpr std::size_t kMaxAttributeBytes = 64;           ///< of a string or version
inline constexpr std::size_t kMaxAttributeValues =
    48;  ///< of a device, elements of lists counted one by one
inline constexpr std::size_t kMaxDomain = 63;
inline constexpr std::size_t kMaxIdentifier = 32;

struct SliceEntry {
  std::string name;
  /// The Device object as compact JSON with sorted keys, so that equal devices are equal text. Text
  /// and not a tree: 2,048 devices are 1.5 MB this way and 8 MB as nlohmann::json.
  std::string json;
  friend bool operator==(const SliceEntry&, const SliceEntry&) = default;
};

/// Attributes and capacities without a domain get `driver_name`'s. INVALID_ARGUMENT names device,
/// attribute and limit; the device is then not published at all: without one of its attributes a
/// selector could match what it must not.
[[nodiscard]] Result<SliceEntry> slice_entry(const device::Device& device,
                                             std::string_view driver_name);

/// A device that is not published, and why.
struct Rejected {
  std::string device;
  Error error;
};

struct SliceEntries {
  std::vector<SliceEntry> entries;  ///< by name, names unique
  std::vector<Rejected> rejected;
};

/// One bad device does not keep the others back. Of two with one name the first is taken.
[[nodiscard]] SliceEntries slice_entries(const std::vector<device::Device>& devices,
                                         std::string_view driver_name);

/// `[domain "/"] identifier`: resource.k8s.io/v1 QualifiedName, stricter than the API server in
/// that two slashes are refused.
[[nodiscard]] bool is_qualified_name(std::string_view name) noexcept;

/// Semantic version 2.0.0, in full.
[[nodiscard]] bool is_semantic_version(std::string_view text) noexcept;

/// A Kubernetes quantity, canonical or not: "1", "1.5Gi", "200m", "1e3".
[[nodiscard]] bool is_quantity(std::string_view text) noexcept;

}  // namespace drasriov::publish
