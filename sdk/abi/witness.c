/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exported function for each public type of the ABI headers. The real modules show no tool their
 * types, because these cross the boundary behind `const void*`; a library built from this file does.
 * tests/sdk/abi_baseline.cmake compares its types with the baselines of this folder.
 */
#include <drasriov/abi/abi.h>

#define WITNESS(type)                                        \
  DRASRIOV_EXPORT void witness_##type(const type* argument); \
  void witness_##type(const type* argument) {                \
    (void)argument;                                          \
  }

/* clang-format off */
WITNESS(drasriov_string)
WITNESS(drasriov_bytes)
WITNESS(drasriov_pair)
WITNESS(drasriov_value)
WITNESS(drasriov_attribute)
WITNESS(drasriov_device)
WITNESS(drasriov_discovery_sink)
WITNESS(drasriov_discovery_v1)
WITNESS(drasriov_host_table)
WITNESS(drasriov_paths_v1)
WITNESS(drasriov_metrics_v1)
WITNESS(drasriov_exec_request)
WITNESS(drasriov_exec_result)
WITNESS(drasriov_exec_v1)
WITNESS(drasriov_module_table)
WITNESS(drasriov_consumer)
WITNESS(drasriov_binding_request)
WITNESS(drasriov_snapshot_sink)
WITNESS(drasriov_prepare_sink)
WITNESS(drasriov_binding_v1)
WITNESS(drasriov_pod)
WITNESS(drasriov_netconf_request)
WITNESS(drasriov_netconf_sink)
WITNESS(drasriov_attachment)
WITNESS(drasriov_netconf_v1)
WITNESS(drasriov_sandbox)
WITNESS(drasriov_container)
WITNESS(drasriov_runtime_event)
WITNESS(drasriov_runtime_events_v1)
WITNESS(drasriov_runtime_hooks_v1)
WITNESS(drasriov_cdi_list_sink)
WITNESS(drasriov_cdi_v1)
WITNESS(drasriov_module_query_fn)
WITNESS(drasriov_reply_fn)
/* clang-format on */
