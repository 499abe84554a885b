// SPDX-License-Identifier: Apache-2.0
//
// Times as the Kubernetes API writes them. Pure functions.
#pragma once

#include <chrono>
#include <string>

namespace drasriov::publish {

using Time = std::chrono::system_clock::time_point;

/// RFC 3339 in UTC with whole seconds (metav1.Time), "2026-01-02T03:04:05Z".
[[nodiscard]] std::string api_time(Time time);
/// With microseconds (metav1.MicroTime), "2026-01-02T03:04:05.000000Z".
[[nodiscard]] std::string api_micro_time(Time time);

}  // namespace drasriov::publish
