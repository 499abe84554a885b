/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The witness of ABI 1.0: every member of every struct, where it stands and how large it is, and
 * the numbers of every code. What was released is never edited here: a new minor appends lines.
 * Compiling this file is the test; abi_layout_complete.cmake checks that no struct of the headers
 * is left out.
 */
#include <assert.h>
#include <drasriov/abi/abi.h>

#define SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#define MEMBER(type, member, offset, size)                                                  \
  static_assert(offsetof(type, member) == (offset) && sizeof(((type*)0)->member) == (size), \
                #type "." #member)
/* The last member reaches the end: a struct that ends in padding could not be extended safely. */
#define LAST(type, member)                                                           \
  static_assert(offsetof(type, member) + sizeof(((type*)0)->member) == sizeof(type), \
                #type " ends in padding, or has a member after " #member)
#define NUMBER(name, value) static_assert((name) == (value), #name)

SIZE(drasriov_string, 16);
MEMBER(drasriov_string, data, 0, 8);
MEMBER(drasriov_string, size, 8, 8);
LAST(drasriov_string, size);

SIZE(drasriov_bytes, 16);
MEMBER(drasriov_bytes, data, 0, 8);
MEMBER(drasriov_bytes, size, 8, 8);
LAST(drasriov_bytes, size);

SIZE(drasriov_pair, 32);
MEMBER(drasriov_pair, key, 0, 16);
MEMBER(drasriov_pair, value, 16, 16);
LAST(drasriov_pair, value);

SIZE(drasriov_value, 24);
MEMBER(drasriov_value, kind, 0, 4);
MEMBER(drasriov_value, count, 4, 4);
MEMBER(drasriov_value, as, 8, 16);
LAST(drasriov_value, as);

SIZE(drasriov_attribute, 40);
MEMBER(drasriov_attribute, key, 0, 16);
MEMBER(drasriov_attribute, value, 16, 24);
LAST(drasriov_attribute, value);

SIZE(drasriov_device, 104);
MEMBER(drasriov_device, struct_size, 0, 4);
MEMBER(drasriov_device, name, 8, 16);
MEMBER(drasriov_device, kind, 24, 16);
MEMBER(drasriov_device, parent, 40, 16);
MEMBER(drasriov_device, attributes, 56, 8);
MEMBER(drasriov_device, attribute_count, 64, 8);
MEMBER(drasriov_device, capacities, 72, 8);
MEMBER(drasriov_device, capacity_count, 80, 8);
MEMBER(drasriov_device, facts, 88, 8);
MEMBER(drasriov_device, fact_count, 96, 8);
LAST(drasriov_device, fact_count);

SIZE(drasriov_discovery_sink, 32);
MEMBER(drasriov_discovery_sink, struct_size, 0, 4);
MEMBER(drasriov_discovery_sink, context, 8, 8);
MEMBER(drasriov_discovery_sink, device, 16, 8);
MEMBER(drasriov_discovery_sink, problem, 24, 8);
LAST(drasriov_discovery_sink, problem);

SIZE(drasriov_discovery_v1, 32);
MEMBER(drasriov_discovery_v1, struct_size, 0, 4);
MEMBER(drasriov_discovery_v1, scan, 8, 8);
MEMBER(drasriov_discovery_v1, enrich, 16, 8);
MEMBER(drasriov_discovery_v1, watch, 24, 8);
LAST(drasriov_discovery_v1, watch);

SIZE(drasriov_host_table, 56);
MEMBER(drasriov_host_table, struct_size, 0, 4);
MEMBER(drasriov_host_table, abi_minor, 4, 4);
MEMBER(drasriov_host_table, set_error, 8, 8);
MEMBER(drasriov_host_table, log, 16, 8);
MEMBER(drasriov_host_table, get_service, 24, 8);
MEMBER(drasriov_host_table, call_deadline_ns, 32, 8);
MEMBER(drasriov_host_table, call_is_cancelled, 40, 8);
MEMBER(drasriov_host_table, call_id, 48, 8);
LAST(drasriov_host_table, call_id);

SIZE(drasriov_paths_v1, 24);
MEMBER(drasriov_paths_v1, struct_size, 0, 4);
MEMBER(drasriov_paths_v1, root, 8, 8);
MEMBER(drasriov_paths_v1, sys_is_live, 16, 8);
LAST(drasriov_paths_v1, sys_is_live);

SIZE(drasriov_metrics_v1, 32);
MEMBER(drasriov_metrics_v1, struct_size, 0, 4);
MEMBER(drasriov_metrics_v1, counter_add, 8, 8);
MEMBER(drasriov_metrics_v1, gauge_set, 16, 8);
MEMBER(drasriov_metrics_v1, histogram_observe, 24, 8);
LAST(drasriov_metrics_v1, histogram_observe);

SIZE(drasriov_exec_request, 88);
MEMBER(drasriov_exec_request, struct_size, 0, 4);
MEMBER(drasriov_exec_request, mount, 4, 4);
MEMBER(drasriov_exec_request, netns_fd, 8, 4);
MEMBER(drasriov_exec_request, path, 16, 16);
MEMBER(drasriov_exec_request, args, 32, 8);
MEMBER(drasriov_exec_request, arg_count, 40, 8);
MEMBER(drasriov_exec_request, env, 48, 8);
MEMBER(drasriov_exec_request, env_count, 56, 8);
MEMBER(drasriov_exec_request, input, 64, 16);
MEMBER(drasriov_exec_request, output_limit, 80, 8);
LAST(drasriov_exec_request, output_limit);

SIZE(drasriov_exec_result, 64);
MEMBER(drasriov_exec_result, struct_size, 0, 4);
MEMBER(drasriov_exec_result, exit_code, 4, 4);
MEMBER(drasriov_exec_result, signal, 8, 4);
MEMBER(drasriov_exec_result, truncated, 12, 4);
MEMBER(drasriov_exec_result, output, 16, 16);
MEMBER(drasriov_exec_result, diagnostics, 32, 16);
MEMBER(drasriov_exec_result, failure, 48, 16);
LAST(drasriov_exec_result, failure);

SIZE(drasriov_exec_v1, 16);
MEMBER(drasriov_exec_v1, struct_size, 0, 4);
MEMBER(drasriov_exec_v1, run, 8, 8);
LAST(drasriov_exec_v1, run);

SIZE(drasriov_module_table, 136);
MEMBER(drasriov_module_table, struct_size, 0, 4);
MEMBER(drasriov_module_table, abi_major, 4, 4);
MEMBER(drasriov_module_table, abi_minor, 8, 4);
MEMBER(drasriov_module_table, min_host_minor, 12, 4);
MEMBER(drasriov_module_table, name, 16, 16);
MEMBER(drasriov_module_table, version, 32, 16);
MEMBER(drasriov_module_table, config_schema, 48, 16);
MEMBER(drasriov_module_table, claim_schema, 64, 16);
MEMBER(drasriov_module_table, claim_fields, 80, 8);
MEMBER(drasriov_module_table, claim_field_count, 88, 8);
MEMBER(drasriov_module_table, create, 96, 8);
MEMBER(drasriov_module_table, destroy, 104, 8);
MEMBER(drasriov_module_table, get_capability, 112, 8);
MEMBER(drasriov_module_table, start, 120, 8);
MEMBER(drasriov_module_table, stop, 128, 8);
LAST(drasriov_module_table, stop);

SIZE(drasriov_consumer, 48);
MEMBER(drasriov_consumer, resource, 0, 16);
MEMBER(drasriov_consumer, name, 16, 16);
MEMBER(drasriov_consumer, uid, 32, 16);
LAST(drasriov_consumer, uid);

SIZE(drasriov_binding_request, 144);
MEMBER(drasriov_binding_request, struct_size, 0, 4);
MEMBER(drasriov_binding_request, claim_namespace, 8, 16);
MEMBER(drasriov_binding_request, claim_name, 24, 16);
MEMBER(drasriov_binding_request, claim_uid, 40, 16);
MEMBER(drasriov_binding_request, request, 56, 16);
MEMBER(drasriov_binding_request, device, 72, 8);
MEMBER(drasriov_binding_request, config_json, 80, 16);
MEMBER(drasriov_binding_request, parameters_json, 96, 16);
MEMBER(drasriov_binding_request, netconf_json, 112, 16);
MEMBER(drasriov_binding_request, consumers, 128, 8);
MEMBER(drasriov_binding_request, consumer_count, 136, 8);
LAST(drasriov_binding_request, consumer_count);

SIZE(drasriov_snapshot_sink, 24);
MEMBER(drasriov_snapshot_sink, struct_size, 0, 4);
MEMBER(drasriov_snapshot_sink, context, 8, 8);
MEMBER(drasriov_snapshot_sink, put_snapshot, 16, 8);
LAST(drasriov_snapshot_sink, put_snapshot);

SIZE(drasriov_prepare_sink, 40);
MEMBER(drasriov_prepare_sink, struct_size, 0, 4);
MEMBER(drasriov_prepare_sink, context, 8, 8);
MEMBER(drasriov_prepare_sink, put_state, 16, 8);
MEMBER(drasriov_prepare_sink, add_edits, 24, 8);
MEMBER(drasriov_prepare_sink, set_fact, 32, 8);
LAST(drasriov_prepare_sink, set_fact);

SIZE(drasriov_binding_v1, 56);
MEMBER(drasriov_binding_v1, struct_size, 0, 4);
MEMBER(drasriov_binding_v1, snapshot, 8, 8);
MEMBER(drasriov_binding_v1, prepare, 16, 8);
MEMBER(drasriov_binding_v1, unprepare, 24, 8);
MEMBER(drasriov_binding_v1, settle, 32, 8);
MEMBER(drasriov_binding_v1, handles, 40, 8);
MEMBER(drasriov_binding_v1, adopt, 48, 8);
LAST(drasriov_binding_v1, adopt);

SIZE(drasriov_pod, 104);
MEMBER(drasriov_pod, struct_size, 0, 4);
MEMBER(drasriov_pod, uid, 8, 16);
MEMBER(drasriov_pod, namespace_, 24, 16);
MEMBER(drasriov_pod, name, 40, 16);
MEMBER(drasriov_pod, sandbox_id, 56, 16);
MEMBER(drasriov_pod, labels, 72, 8);
MEMBER(drasriov_pod, label_count, 80, 8);
MEMBER(drasriov_pod, annotations, 88, 8);
MEMBER(drasriov_pod, annotation_count, 96, 8);
LAST(drasriov_pod, annotation_count);

SIZE(drasriov_netconf_request, 120);
MEMBER(drasriov_netconf_request, struct_size, 0, 4);
MEMBER(drasriov_netconf_request, netns_fd, 4, 4);
MEMBER(drasriov_netconf_request, config_json, 8, 16);
MEMBER(drasriov_netconf_request, container_id, 24, 16);
MEMBER(drasriov_netconf_request, netns_path, 40, 16);
MEMBER(drasriov_netconf_request, interface_name, 56, 16);
MEMBER(drasriov_netconf_request, args, 72, 8);
MEMBER(drasriov_netconf_request, arg_count, 80, 8);
MEMBER(drasriov_netconf_request, device, 88, 8);
MEMBER(drasriov_netconf_request, pod, 96, 8);
MEMBER(drasriov_netconf_request, result_json, 104, 16);
LAST(drasriov_netconf_request, result_json);

SIZE(drasriov_netconf_sink, 24);
MEMBER(drasriov_netconf_sink, struct_size, 0, 4);
MEMBER(drasriov_netconf_sink, context, 8, 8);
MEMBER(drasriov_netconf_sink, result, 16, 8);
LAST(drasriov_netconf_sink, result);

SIZE(drasriov_attachment, 32);
MEMBER(drasriov_attachment, container_id, 0, 16);
MEMBER(drasriov_attachment, interface_name, 16, 16);
LAST(drasriov_attachment, interface_name);

SIZE(drasriov_netconf_v1, 56);
MEMBER(drasriov_netconf_v1, struct_size, 0, 4);
MEMBER(drasriov_netconf_v1, flags, 4, 4);
MEMBER(drasriov_netconf_v1, validate, 8, 8);
MEMBER(drasriov_netconf_v1, add, 16, 8);
MEMBER(drasriov_netconf_v1, del, 24, 8);
MEMBER(drasriov_netconf_v1, check, 32, 8);
MEMBER(drasriov_netconf_v1, status, 40, 8);
MEMBER(drasriov_netconf_v1, gc, 48, 8);
LAST(drasriov_netconf_v1, gc);

SIZE(drasriov_sandbox, 48);
MEMBER(drasriov_sandbox, struct_size, 0, 4);
MEMBER(drasriov_sandbox, pid, 4, 4);
MEMBER(drasriov_sandbox, pod, 8, 8);
MEMBER(drasriov_sandbox, netns_path, 16, 16);
MEMBER(drasriov_sandbox, runtime_handler, 32, 16);
LAST(drasriov_sandbox, runtime_handler);

SIZE(drasriov_container, 56);
MEMBER(drasriov_container, struct_size, 0, 4);
MEMBER(drasriov_container, running, 4, 4);
MEMBER(drasriov_container, id, 8, 16);
MEMBER(drasriov_container, name, 24, 16);
MEMBER(drasriov_container, sandbox_id, 40, 16);
LAST(drasriov_container, sandbox_id);

SIZE(drasriov_runtime_event, 80);
MEMBER(drasriov_runtime_event, struct_size, 0, 4);
MEMBER(drasriov_runtime_event, kind, 4, 4);
MEMBER(drasriov_runtime_event, budget_ns, 8, 8);
MEMBER(drasriov_runtime_event, sandbox, 16, 8);
MEMBER(drasriov_runtime_event, container, 24, 8);
MEMBER(drasriov_runtime_event, sandboxes, 32, 8);
MEMBER(drasriov_runtime_event, sandbox_count, 40, 8);
MEMBER(drasriov_runtime_event, sandbox_stride, 48, 8);
MEMBER(drasriov_runtime_event, containers, 56, 8);
MEMBER(drasriov_runtime_event, container_count, 64, 8);
MEMBER(drasriov_runtime_event, container_stride, 72, 8);
LAST(drasriov_runtime_event, container_stride);

SIZE(drasriov_runtime_events_v1, 24);
MEMBER(drasriov_runtime_events_v1, struct_size, 0, 4);
MEMBER(drasriov_runtime_events_v1, submit, 8, 8);
MEMBER(drasriov_runtime_events_v1, cancel, 16, 8);
LAST(drasriov_runtime_events_v1, cancel);

SIZE(drasriov_runtime_hooks_v1, 24);
MEMBER(drasriov_runtime_hooks_v1, struct_size, 0, 4);
MEMBER(drasriov_runtime_hooks_v1, set_events, 8, 8);
MEMBER(drasriov_runtime_hooks_v1, request_timeout_ns, 16, 8);
LAST(drasriov_runtime_hooks_v1, request_timeout_ns);

SIZE(drasriov_cdi_list_sink, 24);
MEMBER(drasriov_cdi_list_sink, struct_size, 0, 4);
MEMBER(drasriov_cdi_list_sink, context, 8, 8);
MEMBER(drasriov_cdi_list_sink, spec, 16, 8);
LAST(drasriov_cdi_list_sink, spec);

SIZE(drasriov_cdi_v1, 32);
MEMBER(drasriov_cdi_v1, struct_size, 0, 4);
MEMBER(drasriov_cdi_v1, write_spec, 8, 8);
MEMBER(drasriov_cdi_v1, remove_spec, 16, 8);
MEMBER(drasriov_cdi_v1, list_specs, 24, 8);
LAST(drasriov_cdi_v1, list_specs);

NUMBER(DRASRIOV_ABI_MAJOR, 1);
NUMBER(DRASRIOV_NOTE_TYPE, 1);
NUMBER(DRASRIOV_NOTE_SCHEMA, 1);

NUMBER(DRASRIOV_OK, 0);
NUMBER(DRASRIOV_CANCELLED, 1);
NUMBER(DRASRIOV_UNKNOWN, 2);
NUMBER(DRASRIOV_INVALID_ARGUMENT, 3);
NUMBER(DRASRIOV_DEADLINE_EXCEEDED, 4);
NUMBER(DRASRIOV_NOT_FOUND, 5);
NUMBER(DRASRIOV_ALREADY_EXISTS, 6);
NUMBER(DRASRIOV_PERMISSION_DENIED, 7);
NUMBER(DRASRIOV_RESOURCE_EXHAUSTED, 8);
NUMBER(DRASRIOV_FAILED_PRECONDITION, 9);
NUMBER(DRASRIOV_ABORTED, 10);
NUMBER(DRASRIOV_OUT_OF_RANGE, 11);
NUMBER(DRASRIOV_UNIMPLEMENTED, 12);
NUMBER(DRASRIOV_INTERNAL, 13);
NUMBER(DRASRIOV_UNAVAILABLE, 14);
NUMBER(DRASRIOV_DATA_LOSS, 15);
NUMBER(DRASRIOV_UNAUTHENTICATED, 16);
NUMBER(DRASRIOV_VALUE_INT, 1);
NUMBER(DRASRIOV_VALUE_BOOL, 2);
NUMBER(DRASRIOV_VALUE_STRING, 3);
NUMBER(DRASRIOV_VALUE_VERSION, 4);
NUMBER(DRASRIOV_VALUE_INTS, 5);
NUMBER(DRASRIOV_VALUE_BOOLS, 6);
NUMBER(DRASRIOV_VALUE_STRINGS, 7);
NUMBER(DRASRIOV_VALUE_VERSIONS, 8);
NUMBER(DRASRIOV_LOG_DEBUG, 1);
NUMBER(DRASRIOV_LOG_INFO, 2);
NUMBER(DRASRIOV_LOG_WARNING, 3);
NUMBER(DRASRIOV_LOG_ERROR, 4);
NUMBER(DRASRIOV_ROOT_SYS, 1);
NUMBER(DRASRIOV_ROOT_DEV, 2);
NUMBER(DRASRIOV_ROOT_PROC, 3);
NUMBER(DRASRIOV_ROOT_NETNS, 4);
NUMBER(DRASRIOV_ROOT_DATA, 5);
NUMBER(DRASRIOV_ROOT_CDI, 6);
NUMBER(DRASRIOV_MOUNT_CONTAINER, 0);
NUMBER(DRASRIOV_MOUNT_HOST, 1);
NUMBER(DRASRIOV_NETCONF_PARALLEL_SAFE, 1);
NUMBER(DRASRIOV_EVENT_SYNCHRONISED, 1);
NUMBER(DRASRIOV_EVENT_RUN_POD_SANDBOX, 2);
NUMBER(DRASRIOV_EVENT_STOP_POD_SANDBOX, 3);
NUMBER(DRASRIOV_EVENT_REMOVE_POD_SANDBOX, 4);
NUMBER(DRASRIOV_EVENT_CREATE_CONTAINER, 5);
NUMBER(DRASRIOV_EVENT_DISCONNECTED, 6);
