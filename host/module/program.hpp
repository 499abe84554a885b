// SPDX-License-Identifier: Apache-2.0
//
// ProgramRunner: runs a program to its end for the service exec/1 and for `module verify`:
// posix_spawn in a process group of its own, bounded output, deadline, network and mount namespace.
// One for the process; any thread, blocks.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/base/unique_fd.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::module {

struct ProgramRequest {
  std::string path;                      ///< absolute, in the mount namespace that it runs in
  std::vector<std::string> args;         ///< argv[1] and on
  std::vector<std::string> environment;  ///< "NAME=value"; nothing is inherited
  std::string_view input;                ///< standard input, then end of file
  std::size_t output_limit = 1U << 20U;  ///< bytes kept of each of stdout and stderr
  int netns_fd = -1;                     ///< network namespace to run in; -1 = this process's
  bool host_mounts = false;  ///< in the mount namespace of process 1 instead of this process's
};

struct ProgramResult {
  /// Success when it ended by itself, whatever its exit code. DEADLINE_EXCEEDED and CANCELLED: its
  /// process group was killed. Else it could not be started.
  Status status;
  int exit_code = -1;  ///< -1 when a signal ended it or it never ran
  int signal = 0;
  bool truncated = false;
  std::string output;
  std::string diagnostics;  ///< stderr
};

class ProgramRunner {
 public:
  /// `proc` is where the host's process 1 is looked up, "/proc".
  explicit ProgramRunner(std::filesystem::path proc) : proc_(std::move(proc)) {}
  ProgramRunner(const ProgramRunner&) = delete;
  ProgramRunner& operator=(const ProgramRunner&) = delete;

  /// Only the program itself is waited for: what it leaves running in the background does not hold
  /// up the caller, and its output is no longer read.
  [[nodiscard]] ProgramResult run(const ProgramRequest& request, const Call& call);

 private:
  [[nodiscard]] Result<pid_t> spawn(const ProgramRequest& request, int input, int output,
                                    int diagnostics) const;
  [[nodiscard]] Result<UniqueFd> host_mount_namespace() const;
  void kill_group(pid_t program, ProgramResult& result);
  void reap_lingering();

  const std::filesystem::path proc_;
  Mutex mutex_;
  /// Killed, but stuck in the kernel when we stopped waiting; reaped by later calls.
  std::vector<pid_t> lingering_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::module
