// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <charconv>

namespace drasriov::mount_vhost {

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  const auto directory = config.string("socketDir");
  const auto mount_path = config.string("socketMountPath");
  const auto mode = config.string("socketMode");
  const auto label = config.string("socketSelinuxLabel");
  for (const auto* text : {&directory, &mount_path, &mode, &label}) {
    if (!*text) {
      return text->error();
    }
  }
  const auto uid = config.integer("socketUid");
  const auto gid = config.integer("socketGid");
  for (const auto* number : {&uid, &gid}) {
    if (!*number) {
      return number->error();
    }
  }
  settings.socket_dir = directory->value_or("");
  settings.socket_mount_path = mount_path->value_or(settings.socket_mount_path);
  settings.socket_selinux_label = label->value_or("");
  settings.socket_uid = static_cast<uid_t>(uid->value_or(settings.socket_uid));
  settings.socket_gid = static_cast<gid_t>(gid->value_or(settings.socket_gid));
  if (*mode) {
    const std::string& text = **mode;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    if (error != std::errc() || end != text.data() + text.size() || value > 0777) {
      return sdk::Error(sdk::Code::kInvalidArgument, "socketMode \"" + text + "\" is no mode",
                        "three octal digits, for example \"0770\"");
    }
    settings.socket_mode = static_cast<mode_t>(value);
  }
  return settings;
}

}  // namespace drasriov::mount_vhost
