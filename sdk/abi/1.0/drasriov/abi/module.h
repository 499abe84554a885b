/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module ABI, part 3: the manifest note, the one exported function and the module table.
 *
 * Before it maps a file the host reads its ELF note: section ".note.drasriov", owner "drasriov",
 * type 1, payload one JSON object:
 *   {"schema":1,"abi":"1.0","minHost":"1.0","name":"…","version":"…","vendor":"…","license":"…",
 *    "capabilities":["discovery/1"],"compiler":"…","sanitizer":"none|address|thread"}
 * The table repeats name, version and ABI; the host compares.
 */
#ifndef DRASRIOV_ABI_MODULE_H
#define DRASRIOV_ABI_MODULE_H

#include "base.h"
#include "host.h"

DRASRIOV_EXTERN_C_BEGIN

#define DRASRIOV_NOTE_SECTION ".note.drasriov"
#define DRASRIOV_NOTE_OWNER "drasriov"
#define DRASRIOV_NOTE_TYPE 1
#define DRASRIOV_NOTE_SCHEMA 1

#define DRASRIOV_CAPABILITY_DISCOVERY_1 "discovery/1"
#define DRASRIOV_CAPABILITY_BINDING_1 "binding/1"
#define DRASRIOV_CAPABILITY_NETCONF_1 "netconf/1"
#define DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1 "runtime-hooks/1"
#define DRASRIOV_CAPABILITY_CDI_1 "cdi/1"

/* Mandatory members: create, destroy, get_capability. Everything else may be NULL or empty. */
typedef struct drasriov_module_table {
  uint32_t struct_size;
  uint32_t abi_major;      /* DRASRIOV_ABI_MAJOR of the headers it was built with */
  uint32_t abi_minor;      /* DRASRIOV_TARGET_ABI_MINOR likewise */
  uint32_t min_host_minor; /* the oldest host minor that it works with */
  drasriov_string name;    /* "[a-z0-9-]+", equals the note's */
  drasriov_string version; /* semantic version 2.0.0 */

  /* JSON Schema (draft-07 subset: type, properties, required, additionalProperties, enum, items,
   * pattern, minimum, maximum, minLength, maxLength, default, description) of the instance's
   * `config`; empty = takes only {}. */
  drasriov_string config_schema;
  /* The same of VfConfig.modules.<instance>; empty = takes no claim parameters. */
  drasriov_string claim_schema;
  /* VfConfig fields that this module owns: exactly one enabled module may own a field. */
  const drasriov_string* claim_fields;
  size_t claim_field_count;

  /* [control] A new instance. config_json is checked against config_schema already. On success *out
   * is not NULL. Nothing on the machine changes and no thread starts before start(). */
  drasriov_status (*create)(const drasriov_host_table* table, drasriov_host* host,
                            drasriov_string instance_name, drasriov_string config_json,
                            drasriov_module** out, drasriov_error* error);
  /* [control] After stop(), or instead of start(). */
  void (*destroy)(drasriov_module* module);
  /* [any] The capability's table, NULL when the module does not have it. The same pointer each
   * time. */
  const void* (*get_capability)(drasriov_module* module, drasriov_string id);

  /* [control] Threads, sockets and watches begin here. Optional. */
  drasriov_status (*start)(drasriov_module* module, drasriov_error* error);
  /* [control] Optional. Returns when all threads of the instance have ended; no call is under way
   * then. */
  void (*stop)(drasriov_module* module);
} drasriov_module_table;

/* The only symbol that a module exports. Pure, callable any number of times from any thread; NULL =
 * this module cannot serve a host of that ABI. */
#define DRASRIOV_MODULE_QUERY_SYMBOL "drasriov_module_query_v1"
typedef const drasriov_module_table* (*drasriov_module_query_fn)(uint32_t host_major,
                                                                 uint32_t host_minor);

/* What the note says about the compiler. A module and a host must agree on the sanitizer: its
 * runtime aborts inside dlopen otherwise. */
#if defined(__has_feature)
#define DRASRIOV_HAS_FEATURE(feature) __has_feature(feature)
#else
#define DRASRIOV_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || DRASRIOV_HAS_FEATURE(address_sanitizer)
#define DRASRIOV_SANITIZER "address"
#elif defined(__SANITIZE_THREAD__) || DRASRIOV_HAS_FEATURE(thread_sanitizer)
#define DRASRIOV_SANITIZER "thread"
#else
#define DRASRIOV_SANITIZER "none"
#endif
#ifdef __clang__
#define DRASRIOV_COMPILER __VERSION__
#else
#define DRASRIOV_COMPILER "gcc " __VERSION__
#endif

/* The note of a module in C, once at file scope; all arguments are string literals that JSON needs
 * not escape. capabilities: "\"discovery/1\",\"binding/1\"". The C++ layer emits its own. Layout:
 * ELF gABI, "Note Section". `retain` keeps it through --gc-sections, `used` through LTO. */
#ifndef __cplusplus
#define DRASRIOV_TEXT_OF(token) #token
#define DRASRIOV_NUMBER_TEXT(macro) DRASRIOV_TEXT_OF(macro)
/* clang-format off */
#define DRASRIOV_MANIFEST(name, version, vendor, license, min_host_abi, capabilities) \
  "{\"schema\":" DRASRIOV_NUMBER_TEXT(DRASRIOV_NOTE_SCHEMA)                           \
  ",\"abi\":\"" DRASRIOV_NUMBER_TEXT(DRASRIOV_ABI_MAJOR)                             \
  "." DRASRIOV_NUMBER_TEXT(DRASRIOV_TARGET_ABI_MINOR)                                 \
  "\",\"minHost\":\"" min_host_abi "\",\"name\":\"" name                              \
  "\",\"version\":\"" version "\",\"vendor\":\"" vendor "\",\"license\":\"" license     \
  "\",\"capabilities\":[" capabilities                                               \
  "],\"compiler\":\"" DRASRIOV_COMPILER "\",\"sanitizer\":\"" DRASRIOV_SANITIZER "\"}"
/* clang-format on */
#define DRASRIOV_DEFINE_NOTE(payload)                                                            \
  static const struct {                                                                          \
    uint32_t name_size;                                                                          \
    uint32_t payload_size;                                                                       \
    uint32_t type;                                                                               \
    char name[(sizeof(DRASRIOV_NOTE_OWNER) + 3) / 4 * 4];                                        \
    char text[(sizeof(payload) + 2) / 4 * 4];                                                    \
  } drasriov_note __attribute__((used, retain, section(DRASRIOV_NOTE_SECTION), aligned(4))) = {  \
      sizeof(DRASRIOV_NOTE_OWNER), sizeof(payload) - 1, DRASRIOV_NOTE_TYPE, DRASRIOV_NOTE_OWNER, \
      payload}
#endif

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_MODULE_H */
