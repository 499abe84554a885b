// SPDX-License-Identifier: Apache-2.0
//
// Settings: the configuration of an instance, and the JSON Schema that describes it. A value; any
// thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/result.hpp>

#include <chrono>
#include <string_view>

namespace drasriov::vf_state {

inline constexpr std::string_view kConfigSchema = R"json({
  "type": "object",
  "additionalProperties": false,
  "description": "Puts back what pods and CNI plugins change of a VF: its interface, and its settings at the PF.",
  "properties": {
    "everyClaim": {
      "type": "boolean", "default": false,
      "description": "Take part in claims that have neither a driver nor a network of their own, too, because something else (Multus) changes their VFs. Costs such a claim one more durable write."
    },
    "timeoutMs": {
      "type": "integer", "minimum": 100, "maximum": 300000, "default": 5000,
      "description": "How long an interface may take to come back to the host after its pod has gone."
    }
  }
})json";

struct Settings {
  bool every_claim = false;
  std::chrono::milliseconds timeout{5000};

  /// kInvalidArgument naming the key.
  [[nodiscard]] static sdk::Result<Settings> read(const sdk::Config& config);
};

}  // namespace drasriov::vf_state
