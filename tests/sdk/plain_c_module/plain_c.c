/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module in plain C against the ABI headers alone: discovery of the PCI addresses that the file
 * <data>/devices lists, and a binding that owns the claim field addVhostMount: it adds the node
 * <dev>/vhost-net to the container and leaves a marker <data>/<device>.claim while the device is
 * held.
 */
#include <drasriov/abi/abi.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT(literal) \
  { (literal), sizeof(literal) - 1 }

struct drasriov_module {
  const drasriov_host_table* table;
  drasriov_host* host;
  const drasriov_paths_v1* paths;
};

static drasriov_string text(const char* terminated) {
  const drasriov_string view = {terminated, strlen(terminated)};
  return view;
}

static int same(drasriov_string view, const char* terminated) {
  return view.size == strlen(terminated) && memcmp(view.data, terminated, view.size) == 0;
}

static drasriov_status fail(const drasriov_module* module, drasriov_error* error,
                            drasriov_status code, const char* object, const char* cause,
                            const char* hint) {
  char message[512];
  snprintf(message, sizeof(message), "%s: %s", object, cause);
  module->table->set_error(error, code, text(message), text(hint));
  return code;
}

/* Joins <root>/<name><suffix>; 0 when it does not fit. */
static int path_below(const drasriov_module* module, int32_t root, drasriov_string name,
                      const char* suffix, char* out, size_t size) {
  const drasriov_string folder = module->paths->root(module->host, root);
  const int length = snprintf(out, size, "%.*s/%.*s%s", (int)folder.size, folder.data,
                              (int)name.size, name.data, suffix);
  return length > 0 && (size_t)length < size;
}

/* ---- discovery/1 ---- */

static void report(const drasriov_discovery_sink* sink, char* address, int64_t index) {
  char name[64];
  snprintf(name, sizeof(name), "%s", address);
  for (char* c = name; *c != '\0'; ++c) {
    if (*c == ':' || *c == '.') {
      *c = '-';
    }
  }
  const drasriov_attribute attributes[] = {
      {TEXT("pciAddress"), {DRASRIOV_VALUE_STRING, 0, {.string = text(address)}}},
      {TEXT("vfID"), {DRASRIOV_VALUE_INT, 0, {.integer = index}}},
  };
  const drasriov_pair facts[] = {{TEXT(DRASRIOV_FACT_PCI_ADDRESS), text(address)}};
  const drasriov_device device = {
      .struct_size = sizeof(device),
      .name = text(name),
      .kind = TEXT(DRASRIOV_DEVICE_VF),
      .attributes = attributes,
      .attribute_count = sizeof(attributes) / sizeof(attributes[0]),
      .facts = facts,
      .fact_count = sizeof(facts) / sizeof(facts[0]),
  };
  sink->device(sink->context, &device);
}

static drasriov_status scan(drasriov_module* module, const drasriov_call* call,
                            const drasriov_discovery_sink* sink, drasriov_error* error) {
  char path[4096];
  char line[64];
  const drasriov_string name = TEXT("devices");
  if (!path_below(module, DRASRIOV_ROOT_DATA, name, "", path, sizeof(path))) {
    return fail(module, error, DRASRIOV_INVALID_ARGUMENT, "devices", "path too long", "");
  }
  FILE* const file = fopen(path, "re");
  if (file == NULL) {
    return fail(module, error, DRASRIOV_NOT_FOUND, path, strerror(errno),
                "write one PCI address a line into this file");
  }
  drasriov_status status = DRASRIOV_OK;
  for (int64_t index = 0; fgets(line, sizeof(line), file) != NULL; ++index) {
    if (module->table->call_is_cancelled(call)) {
      status = fail(module, error, DRASRIOV_CANCELLED, path, "the call was cancelled", "");
      break;
    }
    line[strcspn(line, "\n")] = '\0';
    if (strlen(line) != strlen("0000:00:00.0")) {
      sink->problem(sink->context, text(line), text("not a PCI address"));
      continue;
    }
    report(sink, line, index);
  }
  fclose(file);
  return status;
}

static const drasriov_discovery_v1 discovery = {.struct_size = sizeof(discovery), .scan = scan};

/* ---- binding/1 ---- */

static drasriov_status snapshot(drasriov_module* module, const drasriov_call* call,
                                const drasriov_binding_request* request,
                                const drasriov_snapshot_sink* sink, drasriov_error* error) {
  static const uint8_t was_free[] = {'f', 'r', 'e', 'e'};
  const drasriov_bytes bytes = {was_free, sizeof(was_free)};
  (void)module, (void)call, (void)request, (void)error;
  sink->put_snapshot(sink->context, bytes);
  return DRASRIOV_OK;
}

static drasriov_status prepare(drasriov_module* module, const drasriov_call* call,
                               const drasriov_binding_request* request, drasriov_bytes before,
                               const drasriov_prepare_sink* sink, drasriov_error* error) {
  char marker[4096];
  char node[4096];
  char edits[8400];
  const drasriov_string vhost = TEXT("vhost-net");
  (void)call, (void)before;
  if (!path_below(module, DRASRIOV_ROOT_DATA, request->device->name, ".claim", marker,
                  sizeof(marker)) ||
      !path_below(module, DRASRIOV_ROOT_DEV, vhost, "", node, sizeof(node))) {
    return fail(module, error, DRASRIOV_INVALID_ARGUMENT, "marker", "path too long", "");
  }
  /* First what undo must know, durable; then the thing itself. */
  const drasriov_bytes state = {(const uint8_t*)marker, strlen(marker)};
  const drasriov_status stored = sink->put_state(sink->context, state);
  if (stored != DRASRIOV_OK) {
    return fail(module, error, stored, marker, "the host did not store the module's state", "");
  }
  FILE* const file = fopen(marker, "we");
  if (file == NULL) {
    return fail(module, error, DRASRIOV_UNAVAILABLE, marker, strerror(errno),
                "make the plugin data directory writable");
  }
  fprintf(file, "%.*s\n", (int)request->claim_uid.size, request->claim_uid.data);
  fclose(file);
  snprintf(edits, sizeof(edits),
           "{\"deviceNodes\":[{\"path\":\"/dev/vhost-net\",\"hostPath\":\"%s\"}]}", node);
  const drasriov_status added = sink->add_edits(sink->context, text(edits));
  return added == DRASRIOV_OK ? added
                              : fail(module, error, added, node, "the host refused the edits", "");
}

static drasriov_status unprepare(drasriov_module* module, const drasriov_call* call,
                                 const drasriov_binding_request* request, drasriov_bytes before,
                                 drasriov_bytes state, drasriov_error* error) {
  char marker[4096];
  (void)call, (void)request, (void)before;
  if (state.size >= sizeof(marker)) {
    return fail(module, error, DRASRIOV_DATA_LOSS, "state", "longer than a path", "");
  }
  if (state.size == 0) { /* killed before put_state: nothing was made */
    return DRASRIOV_OK;
  }
  memcpy(marker, state.data, state.size);
  marker[state.size] = '\0';
  if (unlink(marker) != 0 && errno != ENOENT) {
    return fail(module, error, DRASRIOV_UNAVAILABLE, marker, strerror(errno), "");
  }
  return DRASRIOV_OK;
}

static const drasriov_binding_v1 binding = {.struct_size = sizeof(binding),
                                            .snapshot = snapshot,
                                            .prepare = prepare,
                                            .unprepare = unprepare};

/* ---- the module ---- */

static drasriov_status create(const drasriov_host_table* table, drasriov_host* host,
                              drasriov_string instance_name, drasriov_string config_json,
                              drasriov_module** out, drasriov_error* error) {
  const drasriov_string paths_id = TEXT(DRASRIOV_SERVICE_PATHS_1);
  drasriov_module instance = {table, host, NULL};
  (void)instance_name, (void)config_json;
  instance.paths = table->get_service(host, paths_id);
  if (!DRASRIOV_HAS(instance.paths, root)) {
    return fail(&instance, error, DRASRIOV_FAILED_PRECONDITION, "plain-c",
                "the host has no paths/1", "update dra-driver-sriov");
  }
  *out = malloc(sizeof(**out));
  if (*out == NULL) {
    return fail(&instance, error, DRASRIOV_RESOURCE_EXHAUSTED, "plain-c", "no memory", "");
  }
  **out = instance;
  return DRASRIOV_OK;
}

static void destroy(drasriov_module* module) {
  free(module);
}

static const void* get_capability(drasriov_module* module, drasriov_string id) {
  (void)module;
  if (same(id, DRASRIOV_CAPABILITY_DISCOVERY_1)) {
    return &discovery;
  }
  return same(id, DRASRIOV_CAPABILITY_BINDING_1) ? (const void*)&binding : NULL;
}

static const drasriov_string claim_fields[] = {TEXT("addVhostMount")};

static const drasriov_module_table module_table = {
    .struct_size = sizeof(module_table),
    .abi_major = DRASRIOV_ABI_MAJOR,
    .abi_minor = DRASRIOV_TARGET_ABI_MINOR,
    .min_host_minor = 0,
    .name = TEXT(DRASRIOV_MODULE_NAME),
    .version = TEXT(DRASRIOV_MODULE_VERSION),
    .claim_fields = claim_fields,
    .claim_field_count = sizeof(claim_fields) / sizeof(claim_fields[0]),
    .create = create,
    .destroy = destroy,
    .get_capability = get_capability,
};

DRASRIOV_DEFINE_NOTE(DRASRIOV_MANIFEST(DRASRIOV_MODULE_NAME, DRASRIOV_MODULE_VERSION,
                                       DRASRIOV_MODULE_VENDOR, DRASRIOV_MODULE_LICENSE,
                                       DRASRIOV_MODULE_MIN_HOST_ABI,
                                       "\"discovery/1\",\"binding/1\""));

DRASRIOV_EXPORT const drasriov_module_table* drasriov_module_query_v1(uint32_t host_major,
                                                                      uint32_t host_minor);

const drasriov_module_table* drasriov_module_query_v1(uint32_t host_major, uint32_t host_minor) {
  return host_major == DRASRIOV_ABI_MAJOR && host_minor >= module_table.min_host_minor
             ? &module_table
             : NULL;
}
