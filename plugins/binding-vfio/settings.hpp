// SPDX-License-Identifier: Apache-2.0
//
// Settings: the configuration of an instance, and the JSON Schema that describes it. A value; any
// thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/result.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::binding_vfio {

inline constexpr std::string_view kConfigSchema = R"json({
  "type": "object",
  "additionalProperties": false,
  "description": "Binds a device to the kernel driver that a claim asks for, and back.",
  "properties": {
    "allowedDrivers": {
      "type": "array", "items": {"type": "string", "pattern": "^[a-z0-9_-]{1,63}$"},
      "default": ["default", "vfio-pci", "uio_pci_generic", "igb_uio"],
      "description": "What a claim may set as driver, beside the one that the device has anyway. Their kernel modules are loaded when they are missing."
    },
    "iommu": {
      "type": "string", "enum": ["legacy", "iommufd"], "default": "legacy",
      "description": "The nodes that a container gets for a VFIO device: /dev/vfio/GROUP and /dev/vfio/vfio, or /dev/vfio/devices/vfioN and /dev/iommu."
    },
    "timeoutMs": {
      "type": "integer", "minimum": 100, "maximum": 300000, "default": 10000,
      "description": "How long the kernel may take for one change of a device's driver before the call fails."
    }
  }
})json";

enum class Iommu { kLegacy, kIommufd };

struct Settings {
  std::vector<std::string> allowed_drivers = {"default", "vfio-pci", "uio_pci_generic", "igb_uio"};
  Iommu iommu = Iommu::kLegacy;
  std::chrono::milliseconds timeout{10000};

  /// kInvalidArgument naming the key.
  [[nodiscard]] static sdk::Result<Settings> read(const sdk::Config& config);
};

}  // namespace drasriov::binding_vfio
