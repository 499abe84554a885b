// SPDX-License-Identifier: Apache-2.0
//
// Settings: the configuration of an instance, and the JSON Schema that describes it. A value; any
// thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>

#include "refusal.hpp"

namespace drasriov::runtime_nri {

inline constexpr std::string_view kConfigSchema = R"json({
  "type": "object",
  "additionalProperties": false,
  "description": "Follows pod sandboxes and containers through NRI of containerd or CRI-O.",
  "properties": {
    "socket": {
      "type": "string", "pattern": "^/", "maxLength": 107, "default": "/var/run/nri/nri.sock",
      "description": "Absolute path of the runtime's NRI socket. The runtime makes it anew at each start: mount its directory into the driver's container, not the socket."
    },
    "pluginName": {
      "type": "string", "pattern": "^[A-Za-z0-9_.+-]+$", "default": "dra-driver-sriov",
      "description": "Name among the runtime's plugins: letters, digits, '_', '.', '+' and '-'. The driver sets it from nriPluginName."
    },
    "pluginIndex": {
      "type": "string", "pattern": "^[0-9]{2}$", "default": "42",
      "description": "Place among the runtime's plugins, two digits; lower ones are called first. The driver sets it from nriPluginIndex."
    },
    "refuseAt": {
      "type": "string", "enum": ["auto", "sandbox", "container"], "default": "auto",
      "description": "Where a pod that cannot have its network is refused: sandbox = the start of its sandbox; container = each of its containers. auto = sandbox, but container with containerd 2.0, 2.1, 2.2 before 2.2.6 and 2.3 before 2.3.3, which leave a refused sandbox behind."
    }
  }
})json";

struct Settings {
  std::string socket = "/var/run/nri/nri.sock";
  std::string plugin_name = "dra-driver-sriov";
  std::string plugin_index = "42";
  RefuseAt refuse_at = RefuseAt::kAuto;

  /// kInvalidArgument naming the key.
  [[nodiscard]] static sdk::Result<Settings> read(const sdk::Config& config);
};

}  // namespace drasriov::runtime_nri
