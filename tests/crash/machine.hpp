// SPDX-License-Identifier: Apache-2.0
//
// A node in a temporary folder (synthetic sysfs, a folder as the cluster, kubelet's directories), the real program on it,
// and kubelet's part played by kubelet_player. Used from one thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace drasriov::crash {

/// Name → content of what a claim leaves behind: "claims/…", "cdi/…", "machine/…", and anything else in the data
/// directory beside its socket and lock.
using Leftovers = std::map<std::string, std::string>;

class Machine {
 public:
  Machine();
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Starts the driver with these variables in its environment.
  void start(const std::vector<std::string>& environment);
  /// Waits until it is gone; the signal that ended it, 0 for an exit.
  int wait_end();
  /// SIGTERM, and waits; the exit status.
  int stop();

  /// kubelet: waits for the registration, then calls. True = every claim succeeded; false also when the driver dies.
  [[nodiscard]] bool kubelet(const std::string& action, const std::vector<std::string>& claims);

  [[nodiscard]] Leftovers leftovers() const;
  [[nodiscard]] std::string log() const;
  /// Names of the fault points passed so far, see DRASRIOV_FAULT_LOG.
  [[nodiscard]] std::vector<std::string> fault_log() const;
  [[nodiscard]] std::string fault_log_variable() const;

  /// Two claims of one pod; the first has two devices. As kubelet_player wants them.
  static const std::vector<std::string>& claims();

 private:
  std::filesystem::path root_;
  pid_t driver_ = -1;
};

}  // namespace drasriov::crash
