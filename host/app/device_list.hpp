// SPDX-License-Identifier: Apache-2.0
//
// The devices of one scan as text, for `devices` and for people. Pure; any thread.
#pragma once

#include <string>

#include "host/app/command_line.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::app {

/// kTable and kWide: VFs, one a line, in the order of their names. kJson and kYaml: all devices and
/// problems, in a form that scripts may rely on: {"devices": [{"name", "kind", "parent", "module",
/// "attributes", "capacities", "facts"}], "problems": [{"object", "message"}]}; an attribute is its
/// plain value, a version its text.
[[nodiscard]] std::string format_devices(module::Discovery::Scan scan, OutputFormat format);

}  // namespace drasriov::app
