// SPDX-License-Identifier: Apache-2.0
//
// From the command line and the environment to the configuration. Reads the one file; any thread.
#pragma once

#include "host/app/command_line.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"

namespace drasriov::app {

[[nodiscard]] Result<config::Configuration> load_configuration(
    const ConfigArguments& arguments, const config::Environment& environment);

/// What `run` needs beyond a valid configuration: a node name, and a cluster that this build knows.
[[nodiscard]] Status check_runnable(const config::Configuration& configuration);

}  // namespace drasriov::app
