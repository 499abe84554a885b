// SPDX-License-Identifier: Apache-2.0
#include "host/app/specs.hpp"

namespace drasriov::app {

std::span<const CommandSpec> command_table() {
  static const std::vector<CommandSpec> table = {
      run_spec(),    devices_spec(), explain_spec(),    claims_spec(),  module_spec(),
      doctor_spec(), bundle_spec(),  completion_spec(), version_spec(),
  };
  return table;
}

OptionSpec setting_option(const config::Setting& setting) {
  const bool is_switch = setting.type == config::Setting::Type::kBoolean;
  return {setting.flag, setting.flag == "v" ? 'v' : '\0',
          is_switch ? std::string_view() : setting.placeholder, setting.help, ""};
}

std::vector<OptionSpec> all_options(const CommandSpec& command) {
  std::vector<OptionSpec> all = command.options;
  all.push_back(kHelpOption);
  if (command.settings == SettingFlags::kNone) return all;
  all.push_back(kConfigOption);
  for (const config::Setting& setting : config::settings()) {
    if (!setting.flag.empty()) all.push_back(setting_option(setting));
  }
  return all;
}

std::vector<std::string_view> choices(std::string_view placeholder) {
  std::vector<std::string_view> texts;
  if (placeholder.find('|') == std::string_view::npos) return texts;
  for (;;) {
    const auto bar = placeholder.find('|');
    texts.push_back(placeholder.substr(0, bar));
    if (bar == std::string_view::npos) return texts;
    placeholder.remove_prefix(bar + 1);
  }
}

}  // namespace drasriov::app
