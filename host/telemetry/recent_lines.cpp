// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/recent_lines.hpp"

namespace drasriov::telemetry {

void RecentLines::write(Level level, std::string_view message, std::span<const Field> fields,
                        const std::source_location* where) {
  if (level >= Level::kWarning) {
    Line line;
    line.time = std::chrono::system_clock::now();
    line.level = level;
    line.message = message.substr(0, kBytes);
    for (const Field& field : fields)
      line.fields.emplace_back(field.key, field.value.substr(0, kBytes));
    const MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
    if (lines_.size() > kLines) lines_.pop_front();
  }
  next_.write(level, message, fields, where);
}

std::vector<RecentLines::Line> RecentLines::lines() const {
  const MutexLock lock(mutex_);
  return {lines_.begin(), lines_.end()};
}

}  // namespace drasriov::telemetry
