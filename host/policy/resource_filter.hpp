// SPDX-License-Identifier: Apache-2.0
//
// SriovResourceFilter objects (docs/user-guide: filtering): decoded strictly, and reduced to those
// that apply to one node, in the order in which they are asked. Pure functions over values; any
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::policy {

using Labels = std::map<std::string, std::string, std::less<>>;

/// The lists of one entry of `resourceFilters`, in the order in which they are tried and reported.
enum class Criterion : std::uint8_t {
  kVendors,
  kDevices,
  kPciAddresses,
  kPfNames,
  kRootDevices,
  kNumaNodes,
  kDrivers,
};
inline constexpr std::size_t kCriterionCount = 7;

/// "vendors", "devices" …: the key in the manifest.
[[nodiscard]] std::string_view criterion_key(Criterion criterion) noexcept;

/// One entry of `resourceFilters`: all lists that are not empty must hold the device's value.
struct DeviceFilter {
  std::array<std::vector<std::string>, kCriterionCount> lists;

  [[nodiscard]] const std::vector<std::string>& list(Criterion criterion) const {
    return lists[static_cast<std::size_t>(criterion)];
  }
  friend bool operator==(const DeviceFilter&, const DeviceFilter&) = default;
};

/// One entry of `configs`: any of `filters` matches; no filters = every device.
struct FilterConfig {
  std::string resource_name;
  std::vector<DeviceFilter> filters;
  friend bool operator==(const FilterConfig&, const FilterConfig&) = default;
};

struct ResourceFilter {
  std::string namespace_;
  std::string name;
  std::string uid;                      ///< may be empty
  std::int64_t generation = 0;          ///< of the spec; 0 = the cluster counts none
  std::optional<std::int64_t> created;  ///< metadata.creationTimestamp, Unix seconds
  Labels node_selector;                 ///< all must be on the node; empty = every node
  std::vector<FilterConfig> configs;

  [[nodiscard]] std::string to_string() const { return namespace_ + "/" + name; }
  friend bool operator==(const ResourceFilter&, const ResourceFilter&) = default;
};

/// Strict: an unknown key, a wrong type or a resource name that no attribute can hold (1-64 bytes)
/// is INVALID_ARGUMENT naming object and path, and nothing of the object applies. A missing or null
/// `spec`, `configs` or list is an empty one, as the API server stores it.
[[nodiscard]] Result<ResourceFilter> decode_resource_filter(const nlohmann::json& object,
                                                            std::string_view driver_name);

/// What the filter objects mean on one node.
struct NodeFilters {
  struct LeftOut {
    std::string object;  ///< "namespace/name"
    std::string reason;
    friend bool operator==(const LeftOut&, const LeftOut&) = default;
  };
  /// In precedence: older first, an unknown age last; then by namespace and name.
  std::vector<ResourceFilter> applied;
  std::vector<LeftOut> unselected;  ///< reason: which label of the node decided
  std::vector<LeftOut> invalid;     ///< reason: what is wrong, and whether an earlier version holds
  friend bool operator==(const NodeFilters&, const NodeFilters&) = default;
};

[[nodiscard]] NodeFilters filters_of_node(std::vector<ResourceFilter> filters,
                                          const Labels& node_labels);

}  // namespace drasriov::policy
