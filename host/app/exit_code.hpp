// SPDX-License-Identifier: Apache-2.0
//
// What the process ends with; the same list as in every --help.
#pragma once

namespace drasriov::app {

enum class ExitCode : int {
  kSuccess = 0,   ///< done; `run`: stopped by SIGTERM or SIGINT
  kFailure = 1,   ///< the log or standard error says what failed
  kUsage = 2,     ///< wrong command line or configuration: starting again does not help
  kStuck = 3,     ///< `run` could not stop in time: a module or a call did not return
  kWarnings = 4,  ///< `doctor`: the worst finding is a warning
  kErrors = 5,    ///< `doctor`: it found an error
};

}  // namespace drasriov::app
