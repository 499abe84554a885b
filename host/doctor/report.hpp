// SPDX-License-Identifier: Apache-2.0
//
// What doctor prints. Pure; any thread.
#pragma once

#include <span>
#include <string>

#include "host/doctor/checks.hpp"

namespace drasriov::doctor {

/// A line for each check, and below it problem, check, fix and page of each finding.
[[nodiscard]] std::string format_text(std::span<const CheckResult> results);

/// {"format":1,"severity":…,"checks":[{"name":…,"severity":…,"findings":[{"id":…,"severity":…,"problem":…,"check":…,
/// "fix":…,"page":…}]}]}; members are added, never changed. A check's
/// severity may be "skipped": what it needs is not known.
[[nodiscard]] std::string format_json(std::span<const CheckResult> results);

}  // namespace drasriov::doctor
