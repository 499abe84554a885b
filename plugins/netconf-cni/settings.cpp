// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

namespace drasriov::netconf_cni {

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  const auto dirs = config.strings("pluginDirs");
  if (!dirs) return dirs.error();
  if (*dirs) settings.plugin_dirs = **dirs;
  if (settings.plugin_dirs.empty()) {  // the host's subset of JSON Schema has no minItems
    return sdk::Error(sdk::Code::kInvalidArgument, "config.pluginDirs: names no directory",
                      "name the directories of the CNI plugins, or leave the key out");
  }
  const auto mount = config.string("mountNamespace");
  if (!mount) return mount.error();
  if (*mount) {
    // The host has checked it against the schema.
    settings.mount = **mount == "container" ? sdk::Mount::kContainer : sdk::Mount::kHost;
  }
  return settings;
}

}  // namespace drasriov::netconf_cni
