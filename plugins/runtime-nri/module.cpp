// SPDX-License-Identifier: Apache-2.0
#include <drasriov/sdk/module.hpp>

#include "runtime_nri.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::runtime_nri::RuntimeNri);
