// SPDX-License-Identifier: Apache-2.0
//
// Words of the command descriptions that help texts and documentation share. Pure; any thread.
#pragma once

#include <array>
#include <string>

#include "host/app/command_spec.hpp"

namespace drasriov::app {

/// As in exit_code.hpp.
inline constexpr std::array<SectionSpec::Row, 6> kExitCodes = {{
    {"0", "done; run: stopped by SIGTERM or SIGINT"},
    {"1", "failed; the log or standard error says what"},
    {"2", "wrong command line or configuration: starting again does not help"},
    {"3", "run: did not stop within 28 s, a module or a call did not return"},
    {"4", "doctor: the worst finding is a warning"},
    {"5", "doctor: it found an error"},
}};

/// "-o, --output table|wide"
[[nodiscard]] std::string option_term(const OptionSpec& option);

/// One line for each way to call the command.
[[nodiscard]] std::vector<std::string> usage_lines(const CommandSpec& command);

}  // namespace drasriov::app
