// SPDX-License-Identifier: Apache-2.0
#include "host/base/result.hpp"

#include <cerrno>
#include <system_error>

namespace drasriov {

std::string_view code_name(Code code) noexcept {
  switch (code) {
    case Code::kOk: return "OK";
    case Code::kCancelled: return "CANCELLED";
    case Code::kUnknown: return "UNKNOWN";
    case Code::kInvalidArgument: return "INVALID_ARGUMENT";
    case Code::kDeadlineExceeded: return "DEADLINE_EXCEEDED";
    case Code::kNotFound: return "NOT_FOUND";
    case Code::kAlreadyExists: return "ALREADY_EXISTS";
    case Code::kPermissionDenied: return "PERMISSION_DENIED";
    case Code::kResourceExhausted: return "RESOURCE_EXHAUSTED";
    case Code::kFailedPrecondition: return "FAILED_PRECONDITION";
    case Code::kAborted: return "ABORTED";
    case Code::kOutOfRange: return "OUT_OF_RANGE";
    case Code::kUnimplemented: return "UNIMPLEMENTED";
    case Code::kInternal: return "INTERNAL";
    case Code::kUnavailable: return "UNAVAILABLE";
    case Code::kDataLoss: return "DATA_LOSS";
    case Code::kUnauthenticated: return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

Error Error::with_context(std::string_view context) const {
  std::string message;
  message.reserve(context.size() + 2 + message_.size());
  message.append(context).append(": ").append(message_);
  return {code_, std::move(message), hint_};
}

Error Error::with_hint(std::string hint) const {
  if (!hint_.empty()) return *this;
  return {code_, message_, std::move(hint)};
}

std::string Error::to_string() const {
  return hint_.empty() ? message_ : message_ + " — hint: " + hint_;
}

namespace {

Code code_of_errno(int error_number) noexcept {
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

}  // namespace

Error errno_error(int error_number, std::string_view action, std::string hint) {
  std::string message(action);
  message.append(": ").append(std::generic_category().message(error_number));
  return {code_of_errno(error_number), std::move(message), std::move(hint)};
}

}  // namespace drasriov
