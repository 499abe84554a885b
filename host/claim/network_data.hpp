// SPDX-License-Identifier: Apache-2.0
//
// What the result of a CNI plugin says about the interface in the sandbox, as ResourceClaim.status.devices[].networkData
// wants it (resource.k8s.io/v1 NetworkDeviceData). Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::claim {

struct NetworkData {
  std::string interface_name;    ///< at most 256 bytes
  std::vector<std::string> ips;  ///< CIDR, at most 16, each once
  std::string hardware_address;  ///< at most 128 bytes; empty when the plugin did not say
  friend bool operator==(const NetworkData&, const NetworkData&) = default;
};

/// Reads a result of CNI 0.3.0 or newer: the interface is the one with `sandbox` set that is called `interface_name`, else
/// the first with `sandbox` set; addresses are those of it and those of no interface. What is missing is empty, and the
/// name is then `interface_name`. Errors: DATA_LOSS for a text that is no such result.
[[nodiscard]] Result<NetworkData> network_data(std::string_view result_json,
                                               std::string_view interface_name);

}  // namespace drasriov::claim
