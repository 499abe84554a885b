// SPDX-License-Identifier: Apache-2.0
//
// What --help prints, for each command. Pure; any thread.
#pragma once

#include <string>

namespace drasriov::app {

[[nodiscard]] std::string main_help();
[[nodiscard]] std::string run_help();
[[nodiscard]] std::string devices_help();
[[nodiscard]] std::string module_help();
[[nodiscard]] std::string version_help();

}  // namespace drasriov::app
