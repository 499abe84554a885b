// SPDX-License-Identifier: Apache-2.0
//
// The description of each command, for command_table() alone. Pure; any thread.
#pragma once

#include "host/app/command_spec.hpp"

namespace drasriov::app {

[[nodiscard]] CommandSpec run_spec();
[[nodiscard]] CommandSpec devices_spec();
[[nodiscard]] CommandSpec explain_spec();
[[nodiscard]] CommandSpec claims_spec();
[[nodiscard]] CommandSpec module_spec();
[[nodiscard]] CommandSpec doctor_spec();
[[nodiscard]] CommandSpec bundle_spec();
[[nodiscard]] CommandSpec completion_spec();
[[nodiscard]] CommandSpec version_spec();

}  // namespace drasriov::app
