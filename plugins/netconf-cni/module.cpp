// SPDX-License-Identifier: Apache-2.0
#include <drasriov/sdk/module.hpp>

#include "netconf_cni.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::netconf_cni::NetconfCni);
