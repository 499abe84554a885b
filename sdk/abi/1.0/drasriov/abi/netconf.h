/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability netconf/1: puts a device into a pod sandbox's network namespace and takes it out, in
 * the sense of the CNI specification's ADD, DEL, CHECK, STATUS and GC. Configuration and result
 * cross as the standard's own JSON.
 */
#ifndef DRASRIOV_ABI_NETCONF_H
#define DRASRIOV_ABI_NETCONF_H

#include "base.h"
#include "discovery.h"

DRASRIOV_EXTERN_C_BEGIN

/* The pod as the container runtime names it. */
typedef struct drasriov_pod {
  uint32_t struct_size;
  drasriov_string uid;
  drasriov_string namespace_; /* "namespace" is a C++ keyword */
  drasriov_string name;
  drasriov_string sandbox_id;
  const drasriov_pair* labels;
  size_t label_count;
  const drasriov_pair* annotations;
  size_t annotation_count;
} drasriov_pod;

typedef struct drasriov_netconf_request {
  uint32_t struct_size;
  int32_t netns_fd;             /* open network namespace of the sandbox, -1 when it is gone */
  drasriov_string config_json;  /* as written in the NetworkAttachmentDefinition */
  drasriov_string container_id; /* sandbox id */
  drasriov_string netns_path; /* empty when it is gone (CNI: DEL must still release what it can) */
  drasriov_string interface_name; /* 1-15 bytes, checked */
  const drasriov_pair* args; /* CNI_ARGS without the pod's own, which the module makes from pod */
  size_t arg_count;
  const drasriov_device* device; /* with facts; NULL in validate and status */
  const drasriov_pod* pod;       /* NULL in validate and status */
  drasriov_string result_json;   /* of the add, for check and del; empty when unknown */
} drasriov_netconf_request;

typedef struct drasriov_netconf_sink {
  uint32_t struct_size;
  void* context;
  /* The CNI result (version 1.0.0 or newer) of an add. At most once. */
  void (*result)(void* context, drasriov_string result_json);
} drasriov_netconf_sink;

/* An attachment that is alive, for gc. Never grows. */
typedef struct drasriov_attachment {
  drasriov_string container_id;
  drasriov_string interface_name;
} drasriov_attachment;

/* Flag: add and del of several devices of one sandbox may run at once. */
#define DRASRIOV_NETCONF_PARALLEL_SAFE 1u

/* validate, add and del are mandatory. */
typedef struct drasriov_netconf_v1 {
  uint32_t struct_size;
  uint32_t flags; /* DRASRIOV_NETCONF_… */

  /* [any] At Prepare: does the configuration parse, is the plugin there, is it ready (STATUS)?
   * Changes nothing. */
  drasriov_status (*validate)(drasriov_module* module, const drasriov_call* call,
                              const drasriov_netconf_request* request, drasriov_error* error);
  /* [worker] */
  drasriov_status (*add)(drasriov_module* module, const drasriov_call* call,
                         const drasriov_netconf_request* request, const drasriov_netconf_sink* sink,
                         drasriov_error* error);
  /* [worker] Idempotent; succeeds when the namespace, the interface or both are gone. */
  drasriov_status (*del)(drasriov_module* module, const drasriov_call* call,
                         const drasriov_netconf_request* request, drasriov_error* error);
  /* [worker] Optional. A check of CNI has no result. */
  drasriov_status (*check)(drasriov_module* module, const drasriov_call* call,
                           const drasriov_netconf_request* request, drasriov_error* error);
  /* [worker] Optional. */
  drasriov_status (*status)(drasriov_module* module, const drasriov_call* call,
                            const drasriov_netconf_request* request, drasriov_error* error);
  /* [worker] Optional. Releases everything of config_json that is not in `alive`. */
  drasriov_status (*gc)(drasriov_module* module, const drasriov_call* call,
                        drasriov_string config_json, const drasriov_attachment* alive,
                        size_t alive_count, drasriov_error* error);
} drasriov_netconf_v1;

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_NETCONF_H */
