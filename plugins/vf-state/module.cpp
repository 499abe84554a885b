// SPDX-License-Identifier: Apache-2.0
#include <drasriov/sdk/module.hpp>

#include "vf_state.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::vf_state::VfState);
