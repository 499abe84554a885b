// SPDX-License-Identifier: Apache-2.0
//
// WarningsOnly: the Log of a command on a terminal. Used from the command's threads while only one of them writes.
#pragma once

#include <ostream>

#include "host/telemetry/log.hpp"

namespace drasriov::app {

/// Only what is wrong, without time and caller.
class WarningsOnly final : public telemetry::Log {
 public:
  explicit WarningsOnly(std::ostream& out) : out_(out) {}
  [[nodiscard]] bool enabled(telemetry::Level level) const noexcept override {
    return level >= telemetry::Level::kWarning;
  }
  void write(telemetry::Level level, std::string_view message,
             std::span<const telemetry::Field> /*fields*/,
             const std::source_location* /*where*/) override {
    if (enabled(level))
      out_ << (level == telemetry::Level::kError ? "error: " : "warning: ") << message << "\n";
  }

 private:
  std::ostream& out_;
};

}  // namespace drasriov::app
