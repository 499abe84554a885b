/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability binding/1: prepares a device for a claim and puts it back: driver binding, device
 * nodes, mounts, VF settings. The enabled binding modules form a chain in list order; undo runs in
 * reverse.
 *
 *   snapshot (all modules) → durable intent → prepare (in order) → in use → unprepare (in reverse)
 *
 * Every function is idempotent: after a crash the host calls it again with the same request.
 */
#ifndef DRASRIOV_ABI_BINDING_H
#define DRASRIOV_ABI_BINDING_H

#include "base.h"
#include "discovery.h"

DRASRIOV_EXTERN_C_BEGIN

/* A pod (or another object) that the claim is reserved for. Never grows. */
typedef struct drasriov_consumer {
  drasriov_string resource; /* "pods" */
  drasriov_string name;
  drasriov_string uid;
} drasriov_consumer;

typedef struct drasriov_binding_request {
  uint32_t struct_size;
  drasriov_string claim_namespace;
  drasriov_string claim_name;
  drasriov_string claim_uid;
  drasriov_string request;         /* name of the claim's request, "main" or "main/sub" */
  const drasriov_device* device;   /* with the facts of the modules before this one in the chain */
  drasriov_string config_json;     /* effective VfConfig, all fields present */
  drasriov_string parameters_json; /* VfConfig.modules.<this instance>, checked, "{}" = absent */
  drasriov_string netconf_json;    /* of the device, empty = no network step */
  const drasriov_consumer* consumers;
  size_t consumer_count;
} drasriov_binding_request;

typedef struct drasriov_snapshot_sink {
  uint32_t struct_size;
  void* context;
  /* What undo needs to know, in the module's own format; durable before any prepare. Not called =
   * nothing to undo. */
  void (*put_snapshot)(void* context, drasriov_bytes snapshot);
} drasriov_snapshot_sink;

typedef struct drasriov_prepare_sink {
  uint32_t struct_size;
  void* context;
  /* Replaces this module's state of the device; durable when it returns DRASRIOV_OK (else stop: the
   * code says why). For things made on the way: a created vDPA device, a socket path. */
  drasriov_status (*put_state)(void* context, drasriov_bytes state);
  /* CDI containerEdits as JSON (CDI specification, section containerEdits), merged into the
   * device's edits. */
  drasriov_status (*add_edits)(void* context, drasriov_string edits_json);
  /* A fact for later modules and for the network step; an empty value removes it. */
  void (*set_fact)(void* context, drasriov_string key, drasriov_string value);
} drasriov_prepare_sink;

/* snapshot, prepare and unprepare are mandatory. */
typedef struct drasriov_binding_v1 {
  uint32_t struct_size;

  /* [worker] Reads what only this module changes; changes nothing. */
  drasriov_status (*snapshot)(drasriov_module* module, const drasriov_call* call,
                              const drasriov_binding_request* request,
                              const drasriov_snapshot_sink* sink, drasriov_error* error);
  /* [worker] Brings the device into the wanted state. On failure the host calls unprepare. */
  drasriov_status (*prepare)(drasriov_module* module, const drasriov_call* call,
                             const drasriov_binding_request* request, drasriov_bytes snapshot,
                             const drasriov_prepare_sink* sink, drasriov_error* error);
  /* [worker] Puts back what the snapshot says. state is empty after a kill before put_state. OK =
   * the device is as found; "still busy" is an error that names the holder, and the host comes
   * again. */
  drasriov_status (*unprepare)(drasriov_module* module, const drasriov_call* call,
                               const drasriov_binding_request* request, drasriov_bytes snapshot,
                               drasriov_bytes state, drasriov_error* error);

  /* [worker] Optional. After each detach from a pod: wait for the netdev, rename it, restore what
   * the pod changed. */
  drasriov_status (*settle)(drasriov_module* module, const drasriov_call* call,
                            const drasriov_binding_request* request, drasriov_bytes snapshot,
                            drasriov_error* error);

  /* [any] Optional: 1 when this module takes part in preparing this request. Without it a module
   * takes part when the claim sets one of its claim fields or gives it parameters. Pure: decided
   * from the request alone. */
  int32_t (*handles)(drasriov_module* module, const drasriov_binding_request* request);

  /* [worker] Optional. The snapshot of a device that another driver had already prepared for this
   * claim when the host took the node over: config_json says what was wanted, the facts of
   * request->device how the device was before (DRASRIOV_FACT_DRIVER absent = it was not bound).
   * Decided from the request alone: the device as it is now says nothing. unprepare is then called
   * with this snapshot and without state. */
  drasriov_status (*adopt)(drasriov_module* module, const drasriov_call* call,
                           const drasriov_binding_request* request,
                           const drasriov_snapshot_sink* sink, drasriov_error* error);
} drasriov_binding_v1;

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_BINDING_H */
