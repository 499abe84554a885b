// SPDX-License-Identifier: Apache-2.0
//
// Runs a piece of a test in a child process in which chosen system calls fail or kill, by seccomp:
// real processes die at real places, and the code under test has no hook for it. One test thread.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>

namespace drasriov::cdi {

/// What a system call does in the child.
struct SyscallFault {
  long number = 0;  ///< SYS_…
  int error = 0;    ///< errno, or 0: the process is killed when it tries
  /// Only calls whose argument `flag_argument` has one of these bits; 0 = all calls.
  std::uint32_t flags = 0;
  unsigned flag_argument = 0;
};

struct ChildResult {
  std::string said;              ///< what the function returned; empty when it did not
  std::optional<int> killed_by;  ///< signal
};

/// Forks, installs the faults, runs `body`, and ends without destructors. Throws std::system_error
/// when the child cannot be made or seccomp is not there.
[[nodiscard]] ChildResult run_in_child(std::initializer_list<SyscallFault> faults,
                                       const std::function<std::string()>& body);

}  // namespace drasriov::cdi
