// SPDX-License-Identifier: Apache-2.0
//
// Signals: the process' signals as events of one thread, so that no code runs in a handler. Made in
// main() before the first thread, which then all inherit the mask.
#pragma once

#include <cstdint>
#include <optional>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov::app {

enum class Signal : std::uint8_t {
  kStop,    ///< SIGTERM, SIGINT
  kRescan,  ///< SIGHUP: look at the machine again
  kStatus,  ///< SIGUSR1: write the state to the log
};

class Signals {
 public:
  /// Blocks these signals for this and all later threads, and ignores SIGPIPE: a peer that went
  /// away is an errno.
  [[nodiscard]] static Result<Signals> open();

  /// The next one; nullopt when the deadline passes first.
  [[nodiscard]] std::optional<Signal> wait(Deadline deadline);

 private:
  explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// From now on the process has `seconds` to end by itself; then it ends with ExitCode::kStuck and a
/// line on standard error. The last resort of a stop.
void end_process_after(unsigned seconds);

}  // namespace drasriov::app
