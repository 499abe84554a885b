// SPDX-License-Identifier: Apache-2.0
//
// The binding module of a step, by the name of its instance.
#pragma once

#include <algorithm>
#include <string_view>

#include "host/module/interfaces.hpp"

namespace drasriov::claim {

/// nullptr when no such instance is enabled.
[[nodiscard]] inline module::Binding* find_binding(const module::Modules& modules,
                                                   std::string_view instance) {
  const auto found = std::ranges::find_if(modules.binding, [&](const module::Binding* binding) {
    return binding->instance() == instance;
  });
  return found == modules.binding.end() ? nullptr : *found;
}

}  // namespace drasriov::claim
