// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

namespace drasriov::netconf_cni {

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  const auto dirs = config.strings("pluginDirs");
  if (!dirs) return dirs.error();
  if (*dirs) settings.plugin_dirs = **dirs;
  const auto mount = config.string("mountNamespace");
  if (!mount) return mount.error();
  if (*mount) {
    // The host has checked it against the schema.
    settings.mount = **mount == "container" ? sdk::Mount::kContainer : sdk::Mount::kHost;
  }
  return settings;
}

}  // namespace drasriov::netconf_cni
