// SPDX-License-Identifier: Apache-2.0
//
// diagnose(): from facts to findings. Pure; any thread. A finding's id is stable: scripts and documentation use it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/doctor/facts.hpp"

namespace drasriov::doctor {

enum class Severity : std::uint8_t {
  kOk,       ///< looked at, nothing found
  kInfo,     ///< worth knowing, nothing to repair
  kWarning,  ///< works now or in part; something will not
  kError,    ///< the driver cannot do its work, or pods get no device
};
[[nodiscard]] std::string_view severity_name(Severity severity) noexcept;

struct Finding {
  std::string_view id;  ///< of finding_ids(); docs/troubleshooting/<id>.md explains it
  Severity severity = Severity::kInfo;
  std::string problem;  ///< names the object
  std::string check;    ///< a command that shows it
  std::string fix;
};

/// One area of the node. Without findings it is ok, unless what it needs is not known.
struct CheckResult {
  std::string_view name;
  std::vector<Finding> findings;
  bool skipped = false;
  [[nodiscard]] Severity severity() const noexcept;
};

/// Every check, in the order in which an operator would repair.
[[nodiscard]] std::vector<CheckResult> diagnose(const Facts& facts);

[[nodiscard]] Severity worst(std::span<const CheckResult> results) noexcept;

/// All ids that diagnose() can give, sorted.
[[nodiscard]] std::span<const std::string_view> finding_ids() noexcept;

}  // namespace drasriov::doctor
