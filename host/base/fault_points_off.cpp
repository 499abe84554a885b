// SPDX-License-Identifier: Apache-2.0
#include "host/base/fault_point.hpp"

namespace drasriov {

void fault_point(const char* /*name*/) noexcept {}

bool fault_leaves_out(const char* /*name*/) noexcept {
  return false;
}

}  // namespace drasriov
