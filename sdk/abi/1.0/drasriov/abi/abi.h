/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every header of the module ABI.
 */
#ifndef DRASRIOV_ABI_ABI_H
#define DRASRIOV_ABI_ABI_H

#include "base.h"
#include "binding.h"
#include "cdi.h"
#include "discovery.h"
#include "host.h"
#include "module.h"
#include "netconf.h"
#include "runtime_hooks.h"

#endif /* DRASRIOV_ABI_ABI_H */
