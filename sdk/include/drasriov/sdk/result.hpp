// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value, or an Error with a gRPC canonical code, a message that names object and
// cause, and a hint that says what the operator should do. Values; any thread.
//
//   Result<int> parse(std::string_view text) {
//     if (text.empty()) return Error(Code::kInvalidArgument, "vfIndex is empty");
//     ...
//   }
//   auto index = parse(text);
//   if (!index) return index.error().with_context("0000:08:00.2");
//
// Success without a value is `return {};` from a function that returns Status.
#pragma once

#include <drasriov/abi/base.h>

#include <cassert>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace drasriov::sdk {
inline namespace abi_v1 {

enum class Code : drasriov_status {
  kOk = DRASRIOV_OK,
  kCancelled = DRASRIOV_CANCELLED,
  kUnknown = DRASRIOV_UNKNOWN,
  kInvalidArgument = DRASRIOV_INVALID_ARGUMENT,
  kDeadlineExceeded = DRASRIOV_DEADLINE_EXCEEDED,
  kNotFound = DRASRIOV_NOT_FOUND,
  kAlreadyExists = DRASRIOV_ALREADY_EXISTS,
  kPermissionDenied = DRASRIOV_PERMISSION_DENIED,
  kResourceExhausted = DRASRIOV_RESOURCE_EXHAUSTED,
  kFailedPrecondition = DRASRIOV_FAILED_PRECONDITION,
  kAborted = DRASRIOV_ABORTED,
  kOutOfRange = DRASRIOV_OUT_OF_RANGE,
  kUnimplemented = DRASRIOV_UNIMPLEMENTED,
  kInternal = DRASRIOV_INTERNAL,
  kUnavailable = DRASRIOV_UNAVAILABLE,
  kDataLoss = DRASRIOV_DATA_LOSS,
  kUnauthenticated = DRASRIOV_UNAUTHENTICATED,
};

/// What went wrong. REQUIRES: code is not kOk.
class Error {
 public:
  Error(Code code, std::string message, std::string hint = {})
      : code_(code),
        message_(std::move(message)),
        hint_(std::move(hint)) {
    assert(code != Code::kOk);
  }

  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

  /// The same error with "context: " before its message.
  [[nodiscard]] Error with_context(std::string_view context) const {
    std::string message(context);
    message.append(": ").append(message_);
    return {code_, std::move(message), hint_};
  }

  /// The same error with a hint in place of its own.
  [[nodiscard]] Error with_hint(std::string hint) const {
    return {code_, message_, std::move(hint)};
  }

 private:
  Code code_;
  std::string message_;
  std::string hint_;
};

/// The code that is nearest to an errno. What an operator can cure by waiting is retryable: EBUSY
/// is kUnavailable.
[[nodiscard]] constexpr Code code_of_errno(int error_number) noexcept {
  switch (error_number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ESRCH: return Code::kNotFound;
    case EEXIST: return Code::kAlreadyExists;
    case EACCES:
    case EPERM: return Code::kPermissionDenied;
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ELOOP: return Code::kFailedPrecondition;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Code::kResourceExhausted;
    case EBUSY:
    case EAGAIN:
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET: return Code::kUnavailable;
    case ETIMEDOUT: return Code::kDeadlineExceeded;
    case EINVAL:
    case ENAMETOOLONG: return Code::kInvalidArgument;
    case ERANGE: return Code::kOutOfRange;
    case ENOSYS:
    case EOPNOTSUPP: return Code::kUnimplemented;
    default: return Code::kUnknown;
  }
}

/// An Error from errno: "action: No space left on device".
[[nodiscard]] inline Error errno_error(int error_number, std::string_view action,
                                       std::string hint = {}) {
  std::string message(action);
  message.append(": ").append(std::generic_category().message(error_number));
  return {code_of_errno(error_number), std::move(message), std::move(hint)};
}

/// A T or an Error. REQUIRES of value(): ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  [[nodiscard]] T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }

  [[nodiscard]] const Error& error() const {
    assert(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace abi_v1
}  // namespace drasriov::sdk
