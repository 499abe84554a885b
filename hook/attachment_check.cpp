// SPDX-License-Identifier: Apache-2.0
#include "hook/attachment_check.hpp"

#include <cstddef>

namespace drasriov::hook {
namespace {

constexpr std::string_view kContainerd = "io.kubernetes.cri.sandbox-id";
constexpr std::string_view kCrio = "io.kubernetes.cri-o.SandboxID";
constexpr int kDeepest = 64;

/// Walks one JSON document. After the first mistake `ok` is false and every step does nothing.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}

  SandboxOfState run() {
    object([this](std::string_view key) {
      if (!is(key, "annotations") || peek() != '{') return value(1);
      object([this](std::string_view name) { annotation(name); });
    });
    space();
    if (!ok_ || at_ != text_.size()) return {{}, "the runtime's state is not one JSON object"};
    if (differ_) return {{}, "the container's annotations name two sandboxes"};
    if (id_.empty()) {
      return {{},
              "the container has neither the annotation io.kubernetes.cri.sandbox-id "
              "(containerd) nor io.kubernetes.cri-o.SandboxID (CRI-O)"};
    }
    if (!is_plain_name(id_)) return {{}, "the sandbox id in the annotations is not a plain name"};
    return {id_, {}};
  }

 private:
  void annotation(std::string_view name) {
    const bool ours = is(name, kContainerd) || is(name, kCrio);
    if (!ours || peek() != '"') return value(2);
    const std::string_view id = string();
    differ_ = differ_ || (!id_.empty() && id != id_);
    id_ = id;
  }

  /// Whether the string, as written, says `wanted`. Encoders may escape '/' and any character by number; the names that we
  /// look for have none of the others that must be escaped.
  static bool is(std::string_view written, std::string_view wanted) {
    std::size_t at = 0;
    for (const char expected : wanted) {
      if (at >= written.size()) return false;
      if (written[at] != '\\') {
        if (written[at++] != expected) return false;
        continue;
      }
      if (written.substr(at, 4) != "\\u00" || at + 6 > written.size()) return false;
      if (digit(written[at + 4]) * 16 + digit(written[at + 5]) != expected) return false;
      at += 6;
    }
    return at == written.size();
  }
  static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }

  void space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  char peek() {
    space();
    return ok_ && at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void need(char wanted) { ok_ = take(wanted) && ok_; }

  /// The text between the quotes, as written.
  std::string_view string() {
    need('"');
    const std::size_t begin = at_;
    while (ok_ && at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) ok_ = false;
      at_ += text_[at_] == '\\' ? 2 : 1;
    }
    if (!ok_ || at_ >= text_.size()) {
      ok_ = false;
      return {};
    }
    return text_.substr(begin, at_++ - begin);
  }

  template <typename Member>
  void object(Member member) {
    need('{');
    if (take('}')) return;
    while (ok_) {
      const std::string_view key = string();
      need(':');
      if (ok_) member(key);
      if (take('}')) return;
      need(',');
    }
  }

  void value(int depth) {
    if (depth > kDeepest) {
      ok_ = false;
      return;
    }
    const char first = peek();
    if (first == '{') {
      object([this, depth](std::string_view) { value(depth + 1); });
    } else if (first == '[') {
      array(depth);
    } else if (first == '"') {
      (void)string();
    } else {
      word();
    }
  }
  void array(int depth) {
    need('[');
    if (take(']')) return;
    while (ok_) {
      value(depth + 1);
      if (take(']')) return;
      need(',');
    }
  }
  /// A number, true, false or null. Nothing here depends on which.
  void word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (digit(text_[at_]) >= 0 || text_[at_] == '+' || text_[at_] == '-' || text_[at_] == '.' ||
            (text_[at_] >= 'a' && text_[at_] <= 'z')))
      ++at_;
    ok_ = ok_ && at_ > begin;
  }

  std::string_view text_;
  std::string_view id_;
  std::size_t at_ = 0;
  bool ok_ = true;
  bool differ_ = false;
};

}  // namespace

SandboxOfState sandbox_of_state(std::string_view state) {
  return Walker(state).run();
}

bool is_plain_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 && text.front() != '.' &&
         text.find_first_not_of(
             "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") ==
             std::string_view::npos;
}

}  // namespace drasriov::hook
