// SPDX-License-Identifier: Apache-2.0
#include <drasriov/sdk/module.hpp>

#include "binding_vfio.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::binding_vfio::BindingVfio);
