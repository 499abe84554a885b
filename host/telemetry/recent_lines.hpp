// SPDX-License-Identifier: Apache-2.0
//
// RecentLines: a Log that hands every line on and remembers the last warnings and errors, for whoever asks the running
// driver. One for the process, owned by app/. [any] thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::telemetry {

class RecentLines final : public Log {
 public:
  static constexpr std::size_t kLines = 64;
  static constexpr std::size_t kBytes = 2048;  ///< of a message or a value; the rest is cut off

  struct Line {
    std::chrono::system_clock::time_point time;
    Level level = Level::kWarning;
    std::string message;
    std::vector<std::pair<std::string, std::string>> fields;
  };

  /// `next` outlives this.
  explicit RecentLines(Log& next) : next_(next) {}

  [[nodiscard]] bool enabled(Level level) const noexcept override { return next_.enabled(level); }
  void write(Level level, std::string_view message, std::span<const Field> fields,
             const std::source_location* where) override DRASRIOV_EXCLUDES(mutex_);

  /// Oldest first.
  [[nodiscard]] std::vector<Line> lines() const DRASRIOV_EXCLUDES(mutex_);

 private:
  Log& next_;
  mutable Mutex mutex_;
  std::deque<Line> lines_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::telemetry
