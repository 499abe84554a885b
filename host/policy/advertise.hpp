// SPDX-License-Identifier: Apache-2.0
//
// From (devices, filters of the node, advertise mode) to what is published: which VFs, under which
// resource names, and why. Pure functions over values; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/configuration.hpp"
#include "host/device/device.hpp"
#include "host/policy/resource_filter.hpp"

namespace drasriov::policy {

/// Attribute that Multus reads for the resource name (Device Information specification of the
/// Network Plumbing WG).
inline constexpr std::string_view kMultusResourceName = "k8s.cni.cncf.io/resourceName";
/// In the driver's own domain.
inline constexpr std::string_view kResourceName = "resourceName";

struct Settings {
  std::string_view driver_name;
  config::Advertise advertise = config::Advertise::kAll;
};

/// Two objects want different names for one device; `winner` comes first in NodeFilters::applied.
struct Conflict {
  std::string device;
  std::string winner;  ///< "namespace/name" of the objects
  std::string winner_name;
  std::string loser;
  std::string loser_uid;  ///< may be empty; for the event on the object
  std::string loser_name;
  /// "SriovResourceFilter ns/b wants … — hint: …": the event's note.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Conflict&, const Conflict&) = default;
};

struct Advertised {
  /// VFs to publish, by name, with both resource name attributes set where a filter matches, and
  /// without any that discovery brought.
  std::vector<device::Device> devices;
  std::vector<Conflict> conflicts;  ///< by device, then by precedence of the loser
};

/// `devices` is a whole inventory in the form to publish (attributes at rest); devices of another
/// kind than "vf" are dropped.
[[nodiscard]] Advertised advertise(std::vector<device::Device> devices, const NodeFilters& filters,
                                   const Settings& settings);

/// One filter asked about one device.
struct Attempt {
  std::string object;  ///< "namespace/name"
  std::size_t config = 0;
  std::optional<std::size_t> filter;  ///< nullopt: the config has no filters and takes every device
  bool matched = false;
  std::string reason;  ///< the first criterion that failed, in words; empty when matched
  friend bool operator==(const Attempt&, const Attempt&) = default;
};

/// Why a device is published as it is; built on demand for people, by the rules that advertise()
/// follows.
struct Explanation {
  std::string device;
  bool advertised = false;
  std::string resource_name;          ///< empty = none
  std::optional<std::size_t> winner;  ///< index into attempts: the match that named the device
  std::vector<Attempt>
      attempts;  ///< every filter that was asked, in order; the first match ends an object
  std::vector<Conflict> conflicts;
  /// One sentence.
  [[nodiscard]] std::string summary() const;
};

[[nodiscard]] Explanation explain(const device::Device& device, const NodeFilters& filters,
                                  const Settings& settings);

}  // namespace drasriov::policy
