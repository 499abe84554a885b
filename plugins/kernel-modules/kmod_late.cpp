// SPDX-License-Identifier: Apache-2.0
#include "kmod_late.hpp"

#include <dlfcn.h>
#include <libkmod.h>

#include <string>
#include <type_traits>

namespace drasriov::kernel_modules {
namespace {

constexpr const char* kLibrary = "libkmod.so.2";

struct Functions {
  decltype(&::kmod_list_next) list_next;
  decltype(&::kmod_module_apply_filter) module_apply_filter;
  decltype(&::kmod_module_get_module) module_get_module;
  decltype(&::kmod_module_get_name) module_get_name;
  decltype(&::kmod_module_new_from_lookup) module_new_from_lookup;
  decltype(&::kmod_module_probe_insert_module) module_probe_insert_module;
  decltype(&::kmod_module_unref) module_unref;
  decltype(&::kmod_module_unref_list) module_unref_list;
  decltype(&::kmod_new) new_context;
  decltype(&::kmod_set_log_fn) set_log_fn;
  decltype(&::kmod_unref) unref;
};

Functions functions;

sdk::Status load() {
  // Never closed: libcrypto has handlers at exit.
  void* const library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  bool complete = library != nullptr;
  const auto find = [&](auto& function, const char* name) {
    if (!complete) return;
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    complete = function != nullptr;
  };
  find(functions.list_next, "kmod_list_next");
  find(functions.module_apply_filter, "kmod_module_apply_filter");
  find(functions.module_get_module, "kmod_module_get_module");
  find(functions.module_get_name, "kmod_module_get_name");
  find(functions.module_new_from_lookup, "kmod_module_new_from_lookup");
  find(functions.module_probe_insert_module, "kmod_module_probe_insert_module");
  find(functions.module_unref, "kmod_module_unref");
  find(functions.module_unref_list, "kmod_module_unref_list");
  find(functions.new_context, "kmod_new");
  find(functions.set_log_fn, "kmod_set_log_fn");
  find(functions.unref, "kmod_unref");
  if (complete) return {};
  const char* const why = ::dlerror();
  return sdk::Error(sdk::Code::kFailedPrecondition,
                    std::string("load libkmod: ") + (why != nullptr ? why : kLibrary),
                    "install the Debian package libkmod2: kernel modules are loaded with it");
}

}  // namespace

sdk::Status load_libkmod() {
  static const sdk::Status loaded = load();
  return loaded;
}

}  // namespace drasriov::kernel_modules

using drasriov::kernel_modules::functions;

extern "C" {

kmod_list* kmod_list_next(const kmod_list* list, const kmod_list* at) {
  return functions.list_next(list, at);
}
int kmod_module_apply_filter(const kmod_ctx* context, enum kmod_filter filter,
                             const kmod_list* input, kmod_list** output) {
  return functions.module_apply_filter(context, filter, input, output);
}
kmod_module* kmod_module_get_module(const kmod_list* entry) {
  return functions.module_get_module(entry);
}
const char* kmod_module_get_name(const kmod_module* module) {
  return functions.module_get_name(module);
}
int kmod_module_new_from_lookup(kmod_ctx* context, const char* alias, kmod_list** list) {
  return functions.module_new_from_lookup(context, alias, list);
}
int kmod_module_probe_insert_module(
    kmod_module* module, unsigned int flags, const char* options,
    int (*run_install)(kmod_module* module, const char* command, void* data), const void* data,
    void (*print_action)(kmod_module* module, bool install, const char* options)) {
  return functions.module_probe_insert_module(module, flags, options, run_install, data,
                                              print_action);
}
kmod_module* kmod_module_unref(kmod_module* module) {
  return functions.module_unref(module);
}
int kmod_module_unref_list(kmod_list* list) {
  return functions.module_unref_list(list);
}
kmod_ctx* kmod_new(const char* directory, const char* const* config_paths) {
  return functions.new_context(directory, config_paths);
}
void kmod_set_log_fn(kmod_ctx* context,
                     void (*log)(void* data, int priority, const char* file, int line,
                                 const char* function, const char* format, va_list arguments),
                     const void* data) {
  functions.set_log_fn(context, log, data);
}
kmod_ctx* kmod_unref(kmod_ctx* context) {
  return functions.unref(context);
}

}  // extern "C"
