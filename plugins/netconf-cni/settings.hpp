// SPDX-License-Identifier: Apache-2.0
//
// Settings: the configuration of an instance, and the JSON Schema that describes it. A value; any
// thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace drasriov::netconf_cni {

inline constexpr std::string_view kConfigSchema = R"json({
  "type": "object",
  "additionalProperties": false,
  "description": "Attaches devices to pods with CNI plugins, as a NetworkAttachmentDefinition says.",
  "properties": {
    "pluginDirs": {
      "type": "array", "items": {"type": "string", "pattern": "^/[^:]*$"},
      "default": ["/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/cni"],
      "description": "Where CNI plugins are looked for, in this order; at least one."
    },
    "mountNamespace": {
      "type": "string", "enum": ["host", "container"], "default": "host",
      "description": "Whose files plugins see. host needs hostPID and CAP_SYS_ADMIN; container needs everything that the plugins use mounted into the driver's container."
    }
  }
})json";

struct Settings {
  std::vector<std::string> plugin_dirs = {"/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/cni"};
  sdk::Mount mount = sdk::Mount::kHost;

  /// kInvalidArgument naming the key.
  [[nodiscard]] static sdk::Result<Settings> read(const sdk::Config& config);
};

}  // namespace drasriov::netconf_cni
