// SPDX-License-Identifier: Apache-2.0
//
// Settings: the configuration of an instance, and the JSON Schema that describes it. A value; any
// thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/result.hpp>

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace drasriov::mount_vhost {

inline constexpr std::string_view kConfigSchema = R"json({
  "type": "object",
  "additionalProperties": false,
  "description": "Gives a container /dev/vhost-net, /dev/net/tun and, if configured, a directory for vhost-user sockets.",
  "properties": {
    "socketDir": {
      "type": "string", "pattern": "^(|/.*[^/])$", "default": "",
      "description": "Directory of the node below which each claim gets one for vhost-user sockets; empty: none. It must be there, and the container runtime must see it under the same path."
    },
    "socketMountPath": {
      "type": "string", "pattern": "^/.*[^/]$", "default": "/var/run/vhost-user",
      "description": "Where containers see it: as a directory named like the device below this path."
    },
    "socketMode": {
      "type": "string", "pattern": "^0?[0-7]{3}$", "default": "0770",
      "description": "Mode of a claim's directory."
    },
    "socketUid": {
      "type": "integer", "minimum": 0, "maximum": 4294967294, "default": 0,
      "description": "Its owner."
    },
    "socketGid": {
      "type": "integer", "minimum": 0, "maximum": 4294967294, "default": 0,
      "description": "Its group, for example that of the vswitch."
    },
    "socketSelinuxLabel": {
      "type": "string", "maxLength": 255, "default": "",
      "description": "Its SELinux label, for example system_u:object_r:container_file_t:s0; empty: inherited."
    }
  }
})json";

struct Settings {
  std::filesystem::path socket_dir;  ///< empty = no directories
  std::string socket_mount_path = "/var/run/vhost-user";
  mode_t socket_mode = 0770;
  uid_t socket_uid = 0;
  gid_t socket_gid = 0;
  std::string socket_selinux_label;

  /// kInvalidArgument naming the key.
  [[nodiscard]] static sdk::Result<Settings> read(const sdk::Config& config);
};

}  // namespace drasriov::mount_vhost
