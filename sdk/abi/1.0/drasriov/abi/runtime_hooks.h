/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability runtime-hooks/1: tells the host about pod sandboxes and containers, and gives the
 * host's answer to the container runtime. The module owns transport and the runtime's deadlines;
 * the host decides.
 */
#ifndef DRASRIOV_ABI_RUNTIME_HOOKS_H
#define DRASRIOV_ABI_RUNTIME_HOOKS_H

#include "base.h"
#include "netconf.h"

DRASRIOV_EXTERN_C_BEGIN

#define DRASRIOV_EVENT_SYNCHRONISED 1 /* connected; sandboxes and containers hold what is alive */
#define DRASRIOV_EVENT_RUN_POD_SANDBOX 2
#define DRASRIOV_EVENT_STOP_POD_SANDBOX 3
#define DRASRIOV_EVENT_REMOVE_POD_SANDBOX 4
#define DRASRIOV_EVENT_CREATE_CONTAINER 5
#define DRASRIOV_EVENT_DISCONNECTED 6

typedef struct drasriov_sandbox {
  uint32_t struct_size;
  int32_t pid; /* of the sandbox's process, 0 when unknown */
  const drasriov_pod* pod;
  drasriov_string netns_path; /* empty = host network */
  drasriov_string runtime_handler;
} drasriov_sandbox;

typedef struct drasriov_container {
  uint32_t struct_size;
  int32_t running; /* 1 once its process was started */
  drasriov_string id;
  drasriov_string name;
  drasriov_string sandbox_id;
} drasriov_container;

typedef struct drasriov_runtime_event {
  uint32_t struct_size;
  uint32_t kind;                       /* DRASRIOV_EVENT_… */
  int64_t budget_ns;                   /* how long the runtime waits for this answer; 0 = unknown */
  const drasriov_sandbox* sandbox;     /* of the event; NULL for SYNCHRONISED and DISCONNECTED */
  const drasriov_container* container; /* CREATE_CONTAINER only */
  const drasriov_sandbox* sandboxes;   /* SYNCHRONISED only */
  size_t sandbox_count;
  size_t sandbox_stride;
  const drasriov_container* containers; /* SYNCHRONISED only */
  size_t container_count;
  size_t container_stride;
} drasriov_runtime_event;

/* code DRASRIOV_OK = go on; anything else refuses, message is what the runtime reports. */
typedef void (*drasriov_reply_fn)(void* context, drasriov_status code, drasriov_string message);

/* Handed to set_events; valid until stop() has returned. */
typedef struct drasriov_runtime_events_v1 {
  uint32_t struct_size;
  /* [any] Copies the event and returns at once with an id > 0. reply is called exactly once, from
   * any host thread, maybe before submit returns, at the latest during the module's stop(). */
  uint64_t (*submit)(drasriov_host* host, const drasriov_runtime_event* event,
                     drasriov_reply_fn reply, void* context);
  /* [any] Nobody waits for the answer any more (the module has answered the runtime itself): the
   * host stops the work that can be stopped. The reply still comes. */
  void (*cancel)(drasriov_host* host, uint64_t event_id);
} drasriov_runtime_events_v1;

/* set_events is mandatory. */
typedef struct drasriov_runtime_hooks_v1 {
  uint32_t struct_size;
  /* [control] Before start(). */
  void (*set_events)(drasriov_module* module, const drasriov_runtime_events_v1* events);
  /* [any] Optional: the runtime's request timeout in nanoseconds as told at connection, 0 =
   * unknown. */
  int64_t (*request_timeout_ns)(drasriov_module* module);
} drasriov_runtime_hooks_v1;

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_RUNTIME_HOOKS_H */
