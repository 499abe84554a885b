// SPDX-License-Identifier: Apache-2.0
//
// Devices across the module ABI: a Device as the C struct that modules read, and a C struct from a
// module as a checked Device. The limits are those of resource.k8s.io/v1: what would make the API
// server refuse a whole slice is stopped here, where the module that said it is known. Pure; any
// thread.
#pragma once

#include <drasriov/abi/discovery.h>

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/device/device.hpp"

namespace drasriov::module {

/// Borrows from `device`, which must outlive it; not copyable, because the C struct points into it.
class DeviceView {
 public:
  explicit DeviceView(const device::Device& device);
  DeviceView(const DeviceView&) = delete;
  DeviceView& operator=(const DeviceView&) = delete;

  [[nodiscard]] const drasriov_device* get() const noexcept { return &device_; }

 private:
  [[nodiscard]] drasriov_value value_of(const device::AttributeValue& value);

  std::vector<drasriov_attribute> attributes_;
  std::vector<drasriov_pair> capacities_;
  std::vector<drasriov_pair> facts_;
  std::deque<std::vector<drasriov_string>> strings_;  // deques: elements stay where they are
  std::deque<std::vector<uint8_t>> booleans_;
  drasriov_device device_ = {};
};

/// What became of a module's device.
struct CheckedDevice {
  device::Device device;
  std::vector<std::string>
      dropped;  ///< attributes, capacities and facts that were left out, a sentence each
};

/// The device without `module`. An error when the device as a whole is unusable: short struct, bad
/// name, unknown kind, or more attributes and capacities than the API takes; a single bad attribute
/// is left out, so that it costs no VF.
[[nodiscard]] Result<CheckedDevice> device_from_abi(const drasriov_device* device);

/// At most 32 attributes and capacities together, and 48 values in them.
[[nodiscard]] Status check_device_limits(const device::Device& device);

/// "domain/identifier" or "identifier": C identifier of at most 32 characters, domain a DNS
/// subdomain of at most 63.
[[nodiscard]] bool is_qualified_name(std::string_view text) noexcept;

/// MAJOR.MINOR.PATCH[-pre][+build] of semver.org 2.0.0.
[[nodiscard]] bool is_semantic_version(std::string_view text) noexcept;

/// A Kubernetes quantity: decimal number with a suffix or an exponent.
[[nodiscard]] bool is_quantity(std::string_view text) noexcept;

}  // namespace drasriov::module
