// SPDX-License-Identifier: Apache-2.0
//
// The single-valued settings: one table from which the file's keys, the flags, the environment
// variables, their help and the printed configuration are made. Constant data and pure functions;
// any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"

namespace drasriov::config {

struct Setting {
  /// What a value of the setting is in YAML. Text takes any scalar: `nriPluginIndex: 42` means
  /// "42".
  enum class Type : std::uint8_t { kText, kInteger, kNumber, kBoolean };

  std::string_view key;          ///< in the file; "roots.sys" is `sys` within `roots`
  std::string_view flag;         ///< without the leading "--"; empty = file only
  std::string_view environment;  ///< empty = none
  std::string_view placeholder;  ///< of the value in --help
  std::string_view help;
  Type type;
  /// Checks and stores. An error says what the value must be; the caller adds where it was written.
  Status (*set)(Configuration&, std::string_view text);
  /// As set() would take it.
  std::string (*get)(const Configuration&);
};

/// In the order in which they are printed.
[[nodiscard]] std::span<const Setting> settings();

/// nullptr when there is none.
[[nodiscard]] const Setting* find_setting_by_key(std::string_view key);
[[nodiscard]] const Setting* find_setting_by_flag(std::string_view flag);

}  // namespace drasriov::config
