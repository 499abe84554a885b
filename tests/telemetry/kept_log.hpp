// SPDX-License-Identifier: Apache-2.0
//
// KeptLog: a Log for tests that keeps every line as "message key=value key=value". Any thread.
#pragma once

#include <string>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::telemetry {

class KeptLog final : public Log {
 public:
  struct Line {
    Level level;
    std::string text;
  };

  [[nodiscard]] bool enabled(Level /*level*/) const noexcept override { return true; }
  void write(Level level, std::string_view message, std::span<const Field> fields,
             const std::source_location* /*where*/) override {
    std::string text(message);
    for (const Field& field : fields)
      text.append(" ").append(field.key).append("=").append(field.value);
    const MutexLock lock(mutex_);
    lines_.push_back({level, std::move(text)});
  }

  [[nodiscard]] std::vector<Line> lines() const {
    const MutexLock lock(mutex_);
    return lines_;
  }
  [[nodiscard]] bool contains(std::string_view part) const {
    const MutexLock lock(mutex_);
    for (const Line& line : lines_) {
      if (line.text.find(part) != std::string::npos) return true;
    }
    return false;
  }

 private:
  mutable Mutex mutex_;
  std::vector<Line> lines_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::telemetry
