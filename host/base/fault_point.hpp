// SPDX-License-Identifier: Apache-2.0
//
// Named places where a test kills or fails the process. The release binary links drasriov_fault_points_off, in which
// fault_point() is empty; only the test binary `dra-driver-sriov-faults` links drasriov_fault_points_on. Any thread.
#pragma once

namespace drasriov {

/// With DRASRIOV_CRASH_AT="name" or "name#N" in the environment of the test binary: raises SIGKILL when the place
/// `name` is passed for the first (the N-th) time. With DRASRIOV_HANG_AT the thread stops there for ever.
/// `name` is "area.step" and stays stable: tests and the crash-point list in docs/ use it.
void fault_point(const char* name) noexcept;

/// Whether to do without the guard `name`, to show that its test notices: DRASRIOV_LEAVE_OUT="name" in the environment of
/// the test binary. Always false in the release binary.
[[nodiscard]] bool fault_leaves_out(const char* name) noexcept;

}  // namespace drasriov
