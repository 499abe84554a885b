// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/object_framer.hpp"

#include <utility>

namespace drasriov::cluster::kube {
namespace {

Error garbage() {
  return {Code::kInvalidArgument, "something that is no JSON object came"};
}

}  // namespace

Status ObjectFramer::push(std::string_view bytes,
                          const std::function<Status(std::string_view)>& found) {
  std::size_t begin = 0;  // of the part of the present object that is in `bytes`
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (depth_ == 0) {
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
      if (c != '{') return garbage();
      begin = i;
      depth_ = 1;
      continue;
    }
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      continue;
    }
    if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      const auto part = bytes.substr(begin, i + 1 - begin);
      if (buffer_.size() + part.size() > largest_) return too_large();
      Status taken;
      if (buffer_.empty()) {
        taken = found(part);
      } else {
        buffer_.append(part);
        taken = found(std::exchange(buffer_, {}));
      }
      if (!taken) return taken;
      begin = i + 1;
    }
  }
  if (depth_ == 0) return {};
  buffer_.append(bytes.substr(begin, largest_ + 1));
  if (buffer_.size() > largest_) return too_large();
  return {};
}

Error ObjectFramer::too_large() const {
  return {Code::kInvalidArgument,
          "an object of more than " + std::to_string(largest_) + " bytes came"};
}

}  // namespace drasriov::cluster::kube
