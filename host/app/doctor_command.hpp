// SPDX-License-Identifier: Apache-2.0
//
// Collecting facts for `doctor` and `bundle`: the one place that opens the cluster for them. Only reads.
#pragma once

#include <filesystem>

#include "host/app/command_line.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"
#include "host/doctor/facts.hpp"

namespace drasriov::app {

[[nodiscard]] doctor::Facts collect_facts(const config::Configuration& configuration,
                                          const config::Environment& environment,
                                          const std::filesystem::path& host_root);

}  // namespace drasriov::app
