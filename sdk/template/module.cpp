// SPDX-License-Identifier: Apache-2.0
#include "link_speed.hpp"

DRASRIOV_EXPORT_MODULE(acme::LinkSpeed);
