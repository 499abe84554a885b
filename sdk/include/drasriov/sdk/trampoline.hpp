// SPDX-License-Identifier: Apache-2.0
//
// What every trampoline from the C tables into a module class shares: the instance behind the
// opaque handle, and the wall that no exception passes. For the capability headers of this folder,
// not for module authors.
#pragma once

#include <drasriov/abi/module.h>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/view.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

namespace drasriov::sdk {
inline namespace abi_v1 {
namespace detail {

/// What a drasriov_module* of the C++ layer points to.
template <class Module>
struct Instance {
  Host host;
  std::unique_ptr<Module> module;
};

template <class Module>
Instance<Module>& instance(drasriov_module* module) noexcept {
  return *reinterpret_cast<Instance<Module>*>(module);
}

inline drasriov_status report(const drasriov_host_table* table, drasriov_error* error,
                              const Error& what) noexcept {
  const drasriov_status code = what.code() == Code::kOk
                                   ? static_cast<drasriov_status>(DRASRIOV_INTERNAL)
                                   : static_cast<drasriov_status>(what.code());
  if (DRASRIOV_HAS(table, set_error)) {
    table->set_error(error, code, to_abi(what.message()), to_abi(what.hint()));
  }
  return code;
}

/// Without allocation: the exception may be bad_alloc.
inline drasriov_status report_exception(const drasriov_host_table* table, drasriov_error* error,
                                        std::string_view function, const char* what) noexcept {
  char message[512];
  const int size = std::snprintf(message, sizeof(message), "%.*s: unexpected exception: %s",
                                 static_cast<int>(std::min<std::size_t>(function.size(), 64)),
                                 function.data(), what);
  if (DRASRIOV_HAS(table, set_error)) {
    table->set_error(
        error, DRASRIOV_INTERNAL,
        {message, std::min(sizeof(message) - 1, static_cast<std::size_t>(std::max(size, 0)))},
        to_abi("this is a defect of the module: report it to its vendor"));
  }
  return DRASRIOV_INTERNAL;
}

/// Runs body, which returns Status; its failure and every exception become a code and an error of
/// the host.
template <class Body>
drasriov_status guarded(const drasriov_host_table* table, drasriov_error* error,
                        std::string_view function, Body&& body) noexcept {
  try {
    const Status status = std::forward<Body>(body)();
    return status.ok() ? static_cast<drasriov_status>(DRASRIOV_OK)
                       : report(table, error, status.error());
  } catch (const std::exception& exception) {
    return report_exception(table, error, function, exception.what());
  } catch (...) {
    return report_exception(table, error, function, "not a std::exception");
  }
}

/// Runs body, which returns a value; an exception is logged, and the answer is `otherwise`.
template <class Value, class Body>
Value guarded_or(const Host& host, Value otherwise, std::string_view function,
                 Body&& body) noexcept {
  const auto log = [&](const char* what) noexcept {
    if (DRASRIOV_HAS(host.table(), log)) {
      const drasriov_pair pairs[] = {{to_abi("function"), to_abi(function)},
                                     {to_abi("exception"), to_abi(what)}};
      host.table()->log(host.handle(), nullptr, DRASRIOV_LOG_ERROR,
                        to_abi("unexpected exception in the module"), pairs, std::size(pairs));
    }
  };
  try {
    return std::forward<Body>(body)();
  } catch (const std::exception& exception) {
    log(exception.what());
  } catch (...) {
    log("not a std::exception");
  }
  return otherwise;
}

}  // namespace detail
}  // namespace abi_v1
}  // namespace drasriov::sdk

/// Defines has_member_NAME<Class>: whether Class, which is not final, has any member of that name,
/// whatever its kind, signature or access. Used to tell "does not offer the capability" from "got
/// the signature wrong".
#define DRASRIOV_SDK_DETECT_MEMBER(NAME)                \
  struct Named_##NAME {                                 \
    int NAME;                                           \
  };                                                    \
  template <class Class>                                \
  struct Both_##NAME : Class, Named_##NAME {};          \
  template <class Class>                                \
  inline constexpr bool has_member_##NAME = !requires { \
    &Both_##NAME<Class>::NAME;                          \
  }
