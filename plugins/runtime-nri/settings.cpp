// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <sys/un.h>

#include <utility>

namespace drasriov::runtime_nri {

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  for (const auto& [key, to] :
       {std::pair<std::string_view, std::string*>("socket", &settings.socket),
        {"pluginName", &settings.plugin_name},
        {"pluginIndex", &settings.plugin_index}}) {
    const auto value = config.string(key);
    if (!value) return value.error();
    if (*value) *to = **value;
  }
  const auto refuse_at = config.string("refuseAt");
  if (!refuse_at) return refuse_at.error();
  // The schema knows the names.
  if (*refuse_at)
    settings.refuse_at = runtime_nri::refuse_at(**refuse_at).value_or(RefuseAt::kAuto);
  // The host has checked all against the schema; this one guards memory.
  if (settings.socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      "socket '" + settings.socket + "' is longer than a unix socket's path can be",
                      "mount the runtime's NRI directory at a shorter path");
  }
  return settings;
}

}  // namespace drasriov::runtime_nri
