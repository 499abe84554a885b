// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: the outcome of anything the environment may refuse. A value or an Error; an Error holds a
// gRPC canonical code, one message and, where the operator can do something about it, a hint.
// Values only, no allocation on success; any thread.
//
//   Result<int> parse(std::string_view text) {
//     if (text.empty()) return Error(Code::kInvalidArgument, "port is empty", "give a number 0-65535");
//     ...
//   }
//   auto port = parse(text);
//   if (!port) return port.error().with_context("flag --healthcheck-port");
//
// Programming errors are not Results: assert them.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace drasriov {

/// The gRPC canonical status codes; the module ABI uses the same numbers (sdk/include/drasriov/abi/base.h).
enum class Code : std::int32_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// "INVALID_ARGUMENT" and so on; "UNKNOWN" for a number that is no code.
[[nodiscard]] std::string_view code_name(Code code) noexcept;

/// Whether the same call may succeed later without anyone changing its input:
/// UNAVAILABLE, ABORTED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED.
[[nodiscard]] constexpr bool is_retryable(Code code) noexcept {
  return code == Code::kUnavailable || code == Code::kAborted || code == Code::kDeadlineExceeded ||
         code == Code::kResourceExhausted;
}

/// What went wrong. `message` names the object and the cause, `hint` what the reader should do (may be empty).
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
  [[nodiscard]] bool retryable() const noexcept { return is_retryable(code_); }

  /// The same error with "context: " before its message; the way context is added while returning.
  [[nodiscard]] Error with_context(std::string_view context) const;

  /// The same error with this hint, unless it has one: who saw the cause knows better.
  [[nodiscard]] Error with_hint(std::string hint) const;

  /// The whole sentence for a person: "message — hint: hint", or the message alone.
  [[nodiscard]] std::string to_string() const;

 private:
  Code code_;
  std::string message_;
  std::string hint_;
};

/// An Error from errno, mapped to the nearest code: "action: No space left on device".
[[nodiscard]] Error errno_error(int error_number, std::string_view action, std::string hint = {});

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

  [[nodiscard]] const Error& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
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

  [[nodiscard]] const Error& error() const& {
    assert(!ok());
    return *error_;
  }
  [[nodiscard]] Error&& error() && {
    assert(!ok());
    return *std::move(error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace drasriov
