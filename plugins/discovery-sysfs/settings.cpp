// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <cstdint>
#include <string>

namespace drasriov::discovery_sysfs {
namespace {

/// The integer at key, or `otherwise`; the host has checked it against the schema's bounds.
sdk::Result<std::int64_t> integer(const sdk::Config& config, std::string_view key,
                                  std::int64_t otherwise) {
  const auto value = config.integer(key);
  if (!value) {
    return value.error();
  }
  return value->value_or(otherwise);
}

}  // namespace

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  const auto debounce = integer(config, "debounceMs", settings.debounce.count());
  const auto cap = integer(config, "debounceCapMs", settings.debounce_cap.count());
  const auto buffer = integer(config, "receiveBufferBytes", settings.receive_buffer);
  const auto devlink = integer(config, "devlinkTimeoutMs", settings.devlink_timeout.count());
  for (const auto* value : {&debounce, &cap, &buffer, &devlink}) {
    if (!*value) {
      return value->error();
    }
  }
  if (*cap < *debounce) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      "debounceCapMs is " + std::to_string(*cap) + ", below debounceMs, which is " +
                          std::to_string(*debounce),
                      "raise debounceCapMs or lower debounceMs");
  }
  settings.debounce = std::chrono::milliseconds(*debounce);
  settings.debounce_cap = std::chrono::milliseconds(*cap);
  settings.receive_buffer = static_cast<int>(*buffer);
  settings.devlink_timeout = std::chrono::milliseconds(*devlink);
  return settings;
}

}  // namespace drasriov::discovery_sysfs
