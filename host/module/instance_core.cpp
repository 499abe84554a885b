// SPDX-License-Identifier: Apache-2.0
#include "host/module/instance_core.hpp"

#include <chrono>

#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

// A call that comes back a little late saw its deadline and unwound; one that is later than this
// ignores it.
constexpr std::chrono::milliseconds kTolerated{250};

std::string named(const InstanceCore& core, const char* function) {
  return "module " + core.name + ": " + function;
}

std::string call_suffix(const Call& call) {
  return call.id.empty() ? "" : " (call " + std::string(call.id) + ")";
}

void warn(const InstanceCore& core, const Call& call, const std::string& message) {
  core.log().warning(message,
                     {{telemetry::key::kModule, core.name}, {telemetry::key::kCall, call.id}});
}

void check_lateness(const InstanceCore& core, const char* function, const Call& call) {
  if (call.deadline.is_infinite()) return;
  const auto late = Deadline::Clock::now() - call.deadline.when();
  if (late <= kTolerated) return;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(late).count();
  warn(core, call,
       named(core, function) + " returned " + std::to_string(milliseconds) +
           " ms after its deadline — hint: report it to the module's vendor: it must watch "
           "call_deadline_ns");
}

}  // namespace

Status conclude(const InstanceCore& core, const char* function, const Call& call,
                drasriov_status status, drasriov_error error) {
  check_lateness(core, function, call);
  if (status == DRASRIOV_OK) {
    if (error.set) {
      warn(core, call, named(core, function) + " succeeded, but left an error: " + error.message);
    }
    return {};
  }
  if (status < DRASRIOV_OK || status > DRASRIOV_UNAUTHENTICATED) {
    std::string message =
        named(core, function) + " returned " + std::to_string(status) + ", which is no status code";
    if (error.set) message += ": " + error.message;
    return Error(Code::kInternal, std::move(message), "report it to the module's vendor");
  }
  const auto code = static_cast<Code>(status);
  if (!error.set || error.message.empty()) {
    return Error(
        code,
        named(core, function) + " failed with " + std::string(code_name(code)) + " and no message",
        "look for log lines of module " + core.name + call_suffix(call) +
            "; its vendor should call set_error");
  }
  // The returned code counts: it is what the function said last.
  return Error(code, "module " + core.name + ": " + error.message, std::move(error.hint));
}

Error escaped_exception(const InstanceCore& core, const char* function, const char* what) {
  std::string message = named(core, function) + " threw an exception";
  if (what != nullptr) message += ": " + printable(what);
  return {Code::kInternal, std::move(message),
          "report it to the module's vendor: no exception may leave a module"};
}

}  // namespace drasriov::module
