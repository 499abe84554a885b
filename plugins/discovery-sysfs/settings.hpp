// SPDX-License-Identifier: Apache-2.0
//
// Settings: the configuration of an instance, and the JSON Schema that describes it. A value; any
// thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/result.hpp>

#include <chrono>
#include <string_view>

namespace drasriov::discovery_sysfs {

inline constexpr std::string_view kConfigSchema = R"json({
  "type": "object",
  "additionalProperties": false,
  "description": "Finds SR-IOV PFs and VFs in sysfs and watches them.",
  "properties": {
    "debounceMs": {
      "type": "integer", "minimum": 0, "maximum": 10000, "default": 50,
      "description": "A burst of device events has settled when this many milliseconds have passed since its last event."
    },
    "debounceCapMs": {
      "type": "integer", "minimum": 0, "maximum": 60000, "default": 500,
      "description": "A burst that does not settle is acted on this many milliseconds after its first event. Not below debounceMs."
    },
    "receiveBufferBytes": {
      "type": "integer", "minimum": 65536, "maximum": 268435456, "default": 8388608,
      "description": "Receive buffer for the kernel's device events. When it overflows nothing is lost: all devices are scanned again."
    },
    "devlinkTimeoutMs": {
      "type": "integer", "minimum": 0, "maximum": 10000, "default": 50,
      "description": "How long a scan waits for devlink to tell the eswitch modes. Later answers lead to another scan."
    }
  }
})json";

struct Settings {
  std::chrono::milliseconds debounce{50};
  std::chrono::milliseconds debounce_cap{500};
  int receive_buffer = 8 << 20;
  std::chrono::milliseconds devlink_timeout{50};

  /// kInvalidArgument naming the key.
  [[nodiscard]] static sdk::Result<Settings> read(const sdk::Config& config);
};

}  // namespace drasriov::discovery_sysfs
