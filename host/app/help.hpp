// SPDX-License-Identifier: Apache-2.0
//
// What --help prints, made from the command table. Pure; any thread.
#pragma once

#include <string>

#include "host/app/command_spec.hpp"

namespace drasriov::app {

[[nodiscard]] std::string main_help();
[[nodiscard]] std::string help_of(const CommandSpec& command);

}  // namespace drasriov::app
