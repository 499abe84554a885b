// SPDX-License-Identifier: Apache-2.0
#include <drasriov/sdk/module.hpp>

#include "discovery_sysfs.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::discovery_sysfs::DiscoverySysfs);
