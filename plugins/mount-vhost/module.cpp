// SPDX-License-Identifier: Apache-2.0
#include <drasriov/sdk/module.hpp>

#include "mount_vhost.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::mount_vhost::MountVhost);
