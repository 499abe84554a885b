// SPDX-License-Identifier: Apache-2.0
//
// From the command line and the environment to the configuration. Reads the one file; any thread.
#pragma once

#include <filesystem>
#include <vector>

#include "host/app/command_line.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"

namespace drasriov::app {

[[nodiscard]] Result<config::Configuration> load_configuration(
    const ConfigArguments& arguments, const config::Environment& environment);

/// Why `run` would refuse a configuration that is valid by itself: no node name, a cluster that this build does not know,
/// builtin modules that do not exist. All of it; empty = it would start. Reads the directory of builtin modules.
[[nodiscard]] std::vector<Error> find_mistakes(const config::Configuration& configuration,
                                               const config::Environment& environment,
                                               const std::filesystem::path& executable);

}  // namespace drasriov::app
