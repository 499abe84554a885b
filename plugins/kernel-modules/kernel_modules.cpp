// SPDX-License-Identifier: Apache-2.0
#include "kernel_modules.hpp"

#include <libkmod.h>

#include <cerrno>
#include <memory>

#include "kmod_late.hpp"

namespace drasriov::kernel_modules {
namespace {

struct CloseContext {
  void operator()(kmod_ctx* context) const noexcept { kmod_unref(context); }
};
struct CloseList {
  void operator()(kmod_list* list) const noexcept { kmod_module_unref_list(list); }
};
struct CloseModule {
  void operator()(kmod_module* module) const noexcept { kmod_module_unref(module); }
};
using Context = std::unique_ptr<kmod_ctx, CloseContext>;
using List = std::unique_ptr<kmod_list, CloseList>;
using Module = std::unique_ptr<kmod_module, CloseModule>;

/// A context belongs to one thread; making one reads modprobe.d and opens nothing else.
sdk::Result<Context> open(const std::string& directory) {
  if (auto loaded = load_libkmod(); !loaded) {
    return loaded.error();
  }
  Context context(kmod_new(directory.empty() ? nullptr : directory.c_str(), nullptr));
  if (!context) {
    return sdk::Error(sdk::Code::kResourceExhausted, "libkmod could not be opened");
  }
  // Its default sink is standard error; what matters comes back as an error.
  kmod_set_log_fn(
      context.get(), [](void*, int, const char*, int, const char*, const char*, va_list) {},
      nullptr);
  return context;
}

sdk::Result<List> look_up(kmod_ctx* context, const std::string& alias) {
  kmod_list* found = nullptr;
  const int status = kmod_module_new_from_lookup(context, alias.c_str(), &found);
  if (status < 0) {
    return sdk::errno_error(-status, "look up kernel module " + alias,
                            "the driver needs /lib/modules of the node");
  }
  return List(found);
}

}  // namespace

sdk::Status Kmod::load(std::string_view name) {
  const std::string module_name(name);
  const auto context = open(directory_);
  if (!context) {
    return context.error();
  }
  const auto found = look_up(context->get(), module_name);
  if (!found) {
    return found.error();
  }
  if (*found == nullptr) {
    return sdk::Error(sdk::Code::kNotFound, "this kernel has no module " + module_name,
                      "install the package that holds it for the running kernel, and let the "
                      "driver see /lib/modules of the node");
  }
  for (kmod_list* at = found->get(); at != nullptr; at = kmod_list_next(found->get(), at)) {
    const Module module(kmod_module_get_module(at));
    const int status = kmod_module_probe_insert_module(module.get(), KMOD_PROBE_IGNORE_COMMAND,
                                                       nullptr, nullptr, nullptr, nullptr);
    if (status != 0) {
      return sdk::errno_error(status < 0 ? -status : EPERM, "load kernel module " + module_name,
                              "the kernel's log (dmesg) has the reason");
    }
  }
  return {};
}

sdk::Result<std::vector<std::string>> Kmod::claiming(std::string_view modalias) {
  const auto context = open(directory_);
  if (!context) {
    return context.error();
  }
  const auto found = look_up(context->get(), std::string(modalias));
  if (!found) {
    return found.error();
  }
  // An administrator's blacklist speaks about exactly this: what a device gets by itself.
  kmod_list* allowed = nullptr;
  if (*found != nullptr &&
      kmod_module_apply_filter(context->get(), KMOD_FILTER_BLACKLIST, found->get(), &allowed) < 0) {
    return sdk::Error(sdk::Code::kResourceExhausted, "libkmod could not read the blacklist");
  }
  const List list(allowed);
  std::vector<std::string> names;
  for (kmod_list* at = list.get(); at != nullptr; at = kmod_list_next(list.get(), at)) {
    const Module module(kmod_module_get_module(at));
    names.emplace_back(kmod_module_get_name(module.get()));
  }
  return names;
}

sdk::Status NoKernel::load(std::string_view name) {
  return sdk::Error(sdk::Code::kFailedPrecondition,
                    "kernel module " + std::string(name) +
                        " cannot be loaded: the sysfs root is not this machine's");
}

sdk::Result<std::vector<std::string>> NoKernel::claiming(std::string_view /*modalias*/) {
  return std::vector<std::string>();
}

}  // namespace drasriov::kernel_modules
