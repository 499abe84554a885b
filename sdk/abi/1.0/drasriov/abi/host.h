/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module ABI, part 2: what the host offers. One table for the process, one drasriov_host handle
 * per instance. All functions are [any] and never call the module back before they return.
 */
#ifndef DRASRIOV_ABI_HOST_H
#define DRASRIOV_ABI_HOST_H

#include "base.h"

DRASRIOV_EXTERN_C_BEGIN

/* Log levels. HINT-worthy advice belongs into an error's hint, not into a log line of its own. */
#define DRASRIOV_LOG_DEBUG 1   /* how a decision was made */
#define DRASRIOV_LOG_INFO 2    /* what an operator acts on */
#define DRASRIOV_LOG_WARNING 3 /* degraded, works */
#define DRASRIOV_LOG_ERROR 4   /* something was not done */

/* The base table: handed to create(), valid for the life of the process. All members are mandatory
 * in ABI 1.0. */
typedef struct drasriov_host_table {
  uint32_t struct_size;
  uint32_t abi_minor; /* the host's ABI minor */

  /* [any] Fills *error: message names the object and the cause, hint (may be empty) what the
   * operator should do. The last call before the function returns wins. Ignored when error is
   * NULL. */
  void (*set_error)(drasriov_error* error, drasriov_status code, drasriov_string message,
                    drasriov_string hint);

  /* [any] One log line of this instance. Copies. call may be NULL; with it the call's correlation
   * id is added. */
  void (*log)(drasriov_host* host, const drasriov_call* call, int32_t level,
              drasriov_string message, const drasriov_pair* pairs, size_t pair_count);

  /* [any] A service table by id ("paths/1"), NULL when this host has none of that id. */
  const void* (*get_service)(drasriov_host* host, drasriov_string id);

  /* [any] CLOCK_MONOTONIC nanoseconds by which the call must have returned; INT64_MAX = no
   * deadline. */
  int64_t (*call_deadline_ns)(const drasriov_call* call);
  /* [any] 1 once nobody waits for the result any more: stop, undo nothing, return
   * DRASRIOV_CANCELLED. */
  int32_t (*call_is_cancelled)(const drasriov_call* call);
  /* [any] Correlation id; valid until the call returns. */
  drasriov_string (*call_id)(const drasriov_call* call);
} drasriov_host_table;

/* ---- paths/1: the roots of this machine. Nothing in a module spells one of them. ---- */
#define DRASRIOV_SERVICE_PATHS_1 "paths/1"

#define DRASRIOV_ROOT_SYS 1   /* "/sys" */
#define DRASRIOV_ROOT_DEV 2   /* "/dev" */
#define DRASRIOV_ROOT_PROC 3  /* "/proc" */
#define DRASRIOV_ROOT_NETNS 4 /* "/var/run/netns" */
#define DRASRIOV_ROOT_DATA 5  /* this instance's own directory; created, mode 0750 */
#define DRASRIOV_ROOT_CDI 6   /* CDI spec directory, "/var/run/cdi" */

typedef struct drasriov_paths_v1 {
  uint32_t struct_size;
  /* [any] Absolute path without a trailing '/'; valid for the life of the process. Empty for an
   * unknown root. */
  drasriov_string (*root)(drasriov_host* host, int32_t which);
  /* [any] 1 when `sys` is this machine's live sysfs (uevents of the kernel speak about it), 0 for a
   * captured tree. */
  int32_t (*sys_is_live)(drasriov_host* host);
} drasriov_paths_v1;

/* ---- metrics/1: counters, gauges and histograms by name with fixed labels. ---- */
#define DRASRIOV_SERVICE_METRICS_1 "metrics/1"

typedef struct drasriov_metrics_v1 {
  uint32_t struct_size;
  /* [any] Adds to a counter; name is "[a-z_]+" without prefix, the host adds "drasriov_module_" and
   * label module. A name that is used with another kind or label set later is dropped and logged
   * once. */
  void (*counter_add)(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                      size_t label_count, double amount);
  void (*gauge_set)(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                    size_t label_count, double value);
  /* [any] Seconds, bytes or another base unit, in the host's default buckets. */
  void (*histogram_observe)(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                            size_t label_count, double value);
} drasriov_metrics_v1;

/* ---- exec/1: running a program. No fork in modules. ---- */
#define DRASRIOV_SERVICE_EXEC_1 "exec/1"

#define DRASRIOV_MOUNT_CONTAINER 0 /* the driver's own mount namespace */
#define DRASRIOV_MOUNT_HOST 1      /* that of process 1 below the `proc` root, for CNI plugins */

typedef struct drasriov_exec_request {
  uint32_t struct_size;
  int32_t mount;               /* DRASRIOV_MOUNT_… */
  int32_t netns_fd;            /* network namespace to run in, -1 = the driver's */
  drasriov_string path;        /* absolute, in that mount namespace */
  const drasriov_string* args; /* argv[1] and on; argv[0] is path */
  size_t arg_count;
  const drasriov_string* env; /* "NAME=value"; nothing is inherited */
  size_t env_count;
  drasriov_bytes input; /* standard input, then end of file */
  size_t output_limit;  /* bytes kept of each of stdout and stderr; the rest is read and dropped */
} drasriov_exec_request;

typedef struct drasriov_exec_result {
  uint32_t struct_size;
  int32_t exit_code;          /* 0-255, or -1 when a signal ended it or it never ran */
  int32_t signal;             /* 0, or the signal */
  int32_t truncated;          /* 1 when output went over output_limit */
  drasriov_bytes output;      /* stdout; valid until the result function returns */
  drasriov_bytes diagnostics; /* stderr, likewise */
  drasriov_string failure;    /* why run fails: not started, killed at the deadline; empty when the
                                 program ended itself */
} drasriov_exec_result;

typedef struct drasriov_exec_v1 {
  uint32_t struct_size;
  /* [any], blocks: runs the program in a process group of its own until it ends or the call's
   * deadline passes or the call is cancelled (the group is then killed: DRASRIOV_DEADLINE_EXCEEDED,
   * DRASRIOV_CANCELLED). A program that ended by itself is DRASRIOV_OK whatever its exit code; one
   * that could not be started is NOT_FOUND, PERMISSION_DENIED or another code. done is called
   * exactly once, on this thread, before run returns, also on failure. */
  drasriov_status (*run)(drasriov_host* host, const drasriov_call* call,
                         const drasriov_exec_request* request,
                         void (*done)(void* context, const drasriov_exec_result* result),
                         void* context);
} drasriov_exec_v1;

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_HOST_H */
