// SPDX-License-Identifier: Apache-2.0
//
// ObjectFramer: cuts a stream of JSON objects, as a watch sends them, into single objects, wherever the transport cut
// it. Knows braces and strings only; what is inside an object is for the parser. One thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::cluster::kube {

class ObjectFramer {
 public:
  /// Objects of more than `largest` bytes are refused as soon as they are longer.
  explicit ObjectFramer(std::size_t largest) : largest_(largest) {}

  /// Calls `found` with each object that `bytes` completes; stops at the first error, also one of `found`.
  /// INVALID_ARGUMENT: too large, or something other than white space between objects.
  [[nodiscard]] Status push(std::string_view bytes,
                            const std::function<Status(std::string_view)>& found);
  /// Bytes of an unfinished object.
  [[nodiscard]] std::size_t pending() const { return buffer_.size(); }

 private:
  [[nodiscard]] Error too_large() const;

  std::size_t largest_;
  std::string buffer_;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace drasriov::cluster::kube
