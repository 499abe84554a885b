// SPDX-License-Identifier: Apache-2.0
//
// The commands: each does its work on the calling thread and returns the process' exit code.
#pragma once

#include <iosfwd>

#include "host/app/command_line.hpp"
#include "host/app/exit_code.hpp"
#include "host/config/environment.hpp"

namespace drasriov::app {

/// Where a command writes.
struct Streams {
  std::ostream& out;
  std::ostream& error;
};

[[nodiscard]] ExitCode run_command(const RunCommand& command,
                                   const config::Environment& environment, Streams streams);
[[nodiscard]] ExitCode devices_command(const DevicesCommand& command, Streams streams);
[[nodiscard]] ExitCode explain_command(const ExplainCommand& command,
                                       const config::Environment& environment, Streams streams);
[[nodiscard]] ExitCode claims_command(const ClaimsCommand& command,
                                      const config::Environment& environment, Streams streams);
[[nodiscard]] ExitCode module_command(const ModuleCommand& command,
                                      const config::Environment& environment, Streams streams);
[[nodiscard]] ExitCode verify_child_command(const VerifyChildCommand& command);
[[nodiscard]] ExitCode doctor_command(const DoctorCommand& command,
                                      const config::Environment& environment, Streams streams);
[[nodiscard]] ExitCode bundle_command(const BundleCommand& command,
                                      const config::Environment& environment, Streams streams);
[[nodiscard]] ExitCode version_command(const VersionCommand& command, Streams streams);

}  // namespace drasriov::app
