// SPDX-License-Identifier: Apache-2.0
#include "host/config/load.hpp"

#include <nlohmann/json.hpp>

#include "host/base/durable_file.hpp"
#include "host/config/settings.hpp"

namespace drasriov::config {

namespace {

constexpr const char* kNriModule = "runtime-nri";

}  // namespace

std::vector<ModuleEntry> default_modules() {
  const auto builtin = [](std::string name, std::string capability) {
    ModuleEntry entry;
    entry.module = "builtin:" + name;
    entry.name = std::move(name);
    entry.capabilities = {std::move(capability)};
    return entry;
  };
  return {builtin("discovery-sysfs", "discovery/1"),
          builtin("vf-state", "binding/1"),
          builtin("binding-vfio", "binding/1"),
          builtin("mount-vhost", "binding/1"),
          builtin(kNriModule, "runtime-hooks/1"),
          builtin("netconf-cni", "netconf/1"),
          builtin("cdi", "cdi/1")};
}

namespace {

Status apply_environment(Configuration& configuration, const Environment& environment) {
  for (const Setting& setting : settings()) {
    if (setting.environment.empty()) continue;
    const auto variable = environment.find(setting.environment);
    if (variable == environment.end() || variable->second.empty()) continue;
    if (auto set = setting.set(configuration, variable->second); !set) {
      return set.error().with_context("environment variable " + variable->first);
    }
  }
  return {};
}

Status apply_flags(Configuration& configuration, const Sources& sources) {
  for (const auto& [name, value] : sources.flags) {
    const Setting* setting = find_setting_by_flag(name);
    assert(setting != nullptr);  // the command line knows no other
    if (auto set = setting->set(configuration, value); !set)
      return set.error().with_context("flag --" + name);
  }
  return {};
}

/// nriPluginName and nriPluginIndex are settings of the driver for users of the Go driver; the
/// module is where they act. What the module's own config says wins.
void name_nri_plugin(Configuration& configuration) {
  for (ModuleEntry& entry : configuration.modules) {
    if (entry.module != std::string("builtin:") + kNriModule) continue;
    auto config = nlohmann::json::parse(entry.config_json);
    config.emplace("pluginName", configuration.nri_plugin_name);
    config.emplace("pluginIndex", configuration.nri_plugin_index);
    entry.config_json = config.dump();
  }
}

}  // namespace

Result<Configuration> load(const Sources& sources) {
  Configuration configuration;
  configuration.modules = default_modules();

  constexpr std::size_t kLargestFile = 1U << 20U;
  const auto text = read_file(sources.file, kLargestFile);
  if (text) {
    auto applied = apply_file(configuration, *text, sources.file.native(), sources.environment);
    if (!applied) return applied.error();
  } else if (sources.file_required || text.error().code() != Code::kNotFound) {
    return text.error()
        .with_context("configuration")
        .with_hint("give an existing file to --config; without the flag it is " +
                   std::string(kDefaultFile) + ", which may be missing");
  }
  if (auto applied = apply_environment(configuration, sources.environment); !applied)
    return applied.error();
  if (auto applied = apply_flags(configuration, sources); !applied) return applied.error();
  name_nri_plugin(configuration);
  return configuration;
}

}  // namespace drasriov::config
