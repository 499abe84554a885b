// SPDX-License-Identifier: Apache-2.0
//
// One pass over the discovery modules. [control] thread, as their scans.
#pragma once

#include <span>

#include "host/base/result.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::app {

/// Scans every module in list order and lets the later ones enrich what the earlier ones found. A
/// name that a second module reports too is dropped and becomes a problem, and so does an enrich
/// that fails. An error of a scan is one of the whole: nothing is known then, and the last
/// inventory stays.
[[nodiscard]] Result<module::Discovery::Scan> discover(std::span<module::Discovery* const> modules,
                                                       const module::Call& call);

}  // namespace drasriov::app
