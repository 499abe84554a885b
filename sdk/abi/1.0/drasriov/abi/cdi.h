/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability cdi/1: keeps the Container Device Interface spec files that the runtime reads.
 * A spec is identified by its kind ("vendor/class") and an id (claim UID or pod UID), and is CDI
 * JSON.
 */
#ifndef DRASRIOV_ABI_CDI_H
#define DRASRIOV_ABI_CDI_H

#include "base.h"

DRASRIOV_EXTERN_C_BEGIN

typedef struct drasriov_cdi_list_sink {
  uint32_t struct_size;
  void* context;
  void (*spec)(void* context, drasriov_string id);
} drasriov_cdi_list_sink;

/* All members are mandatory. */
typedef struct drasriov_cdi_v1 {
  uint32_t struct_size;

  /* [worker] Writes or replaces the spec atomically; writes nothing when the file holds the same
   * bytes. Checks the document first by the rules of the CDI specification: one bad file would stop
   * every container of the claim. */
  drasriov_status (*write_spec)(drasriov_module* module, const drasriov_call* call,
                                drasriov_string kind, drasriov_string id, drasriov_string spec_json,
                                drasriov_error* error);
  /* [worker] A spec that is not there is success. */
  drasriov_status (*remove_spec)(drasriov_module* module, const drasriov_call* call,
                                 drasriov_string kind, drasriov_string id, drasriov_error* error);
  /* [control] The ids of all specs of `kind` that this module wrote; other files of the folder are
   * left alone. Also removes temporary files that a killed write left. */
  drasriov_status (*list_specs)(drasriov_module* module, const drasriov_call* call,
                                drasriov_string kind, const drasriov_cdi_list_sink* sink,
                                drasriov_error* error);
} drasriov_cdi_v1;

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_CDI_H */
