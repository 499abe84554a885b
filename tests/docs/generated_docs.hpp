// SPDX-License-Identifier: Apache-2.0
//
// The parts of docs/ that are made from the program: what scripts/generate-docs writes and docs_test compares. Reads module
// files and runs their query function; one thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::docs {

/// docs/command-line.md, whole.
[[nodiscard]] std::string command_line_page();

/// docs/configuration.md with its generated parts made anew: what is between "<!-- generated: NAME -->" and
/// "<!-- end -->", NAME being `settings` or `module-configuration`. `modules`: directory of the builtin modules.
[[nodiscard]] Result<std::string> configuration_page(std::string_view page,
                                                     const std::filesystem::path& modules);

}  // namespace drasriov::docs
