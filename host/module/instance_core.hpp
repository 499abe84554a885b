// SPDX-License-Identifier: Apache-2.0
//
// InstanceCore and invoke(): how every call into a module is made. Nothing else of the host calls a
// module's function pointer: here exceptions are stopped, codes and messages become Errors, and
// lateness is seen. Owned by ModuleInstance; the adapters borrow it; any thread.
#pragma once

#include <drasriov/abi/module.h>

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "host/base/result.hpp"
#include "host/module/host_services.hpp"
#include "host/module/interfaces.hpp"
#include "host/module/thread_tags.hpp"

namespace drasriov::module {

struct InstanceCore {
  InstanceCore(std::string instance_name, const drasriov_module_table& module_table,
               const HostServices& services)
      : name(std::move(instance_name)),
        table(module_table),
        host(std::make_unique<drasriov_host>(name, services)),
        tags(name) {}

  [[nodiscard]] telemetry::Log& log() const noexcept { return host->services.log(); }

  const std::string name;
  const drasriov_module_table& table;
  std::unique_ptr<drasriov_host> host;
  drasriov_module* module = nullptr;  ///< set by create()
  ThreadTags tags;
};

/// The outcome of a call from what the module returned and left in `error`: success; the module's
/// message with "module NAME: " before it; a sentence of our own for a failure without message or a
/// number that is no code. Logs a call that returned long after its deadline.
[[nodiscard]] Status conclude(const InstanceCore& core, const char* function, const Call& call,
                              drasriov_status status, drasriov_error error);

/// INTERNAL, for a module that let an exception out.
[[nodiscard]] Error escaped_exception(const InstanceCore& core, const char* function,
                                      const char* what);

/// Calls `body(const drasriov_call*, drasriov_error*) -> drasriov_status`, which calls the module's
/// `function`.
template <typename Body>
[[nodiscard]] Status invoke(const InstanceCore& core, const char* function, const Call& call,
                            Body&& body) {
  const drasriov_call abi_call{call};
  drasriov_error error;
  drasriov_status status = DRASRIOV_INTERNAL;
  try {
    status = std::forward<Body>(body)(&abi_call, &error);
  } catch (const std::exception& exception) {
    return escaped_exception(core, function, exception.what());
  } catch (...) {
    return escaped_exception(core, function, nullptr);
  }
  return conclude(core, function, call, status, std::move(error));
}

/// The same for a function that returns nothing or a plain value and cannot fail.
template <typename Body>
[[nodiscard]] Status invoke_plain(const InstanceCore& core, const char* function, Body&& body) {
  return invoke(core, function, Call{},
                [&](const drasriov_call*, drasriov_error*) -> drasriov_status {
                  std::forward<Body>(body)();
                  return DRASRIOV_OK;
                });
}

}  // namespace drasriov::module
