// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/redaction.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace drasriov::doctor {
namespace {

constexpr std::string_view kMark = "(redacted)";
constexpr std::string_view kDigitsAndLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Parts of a key, its letters only.
constexpr std::array<std::string_view, 11> kSecretWords = {
    "password", "passwd",     "passphrase", "secret",        "token",          "credential",
    "apikey",   "privatekey", "keydata",    "authorization", "certificatedata"};
/// Whole keys: "auth" of a registry's login file, "psk" and "pwd" of networks.
constexpr std::array<std::string_view, 5> kSecretKeys = {"auth", "pwd", "psk", "pass", "cookie"};

bool is_key_sign(char c) {
  return kDigitsAndLetters.find(c) != std::string_view::npos || c == '_' || c == '-' || c == '.';
}

bool sounds_secret(std::string_view key) {
  std::string letters;
  for (const char c : key) {
    if (c >= 'A' && c <= 'Z') letters.push_back(static_cast<char>(c - 'A' + 'a'));
    if (c >= 'a' && c <= 'z') letters.push_back(c);
  }
  return std::ranges::find(kSecretKeys, letters) != kSecretKeys.end() ||
         std::ranges::any_of(kSecretWords, [&letters](std::string_view word) {
           return letters.find(word) != std::string::npos;
         });
}

bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, [](char x, char y) {
           return (x | 0x20) == (y | 0x20);  // ASCII letters only are compared
         });
}

class Redactor {
 public:
  explicit Redactor(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (pem() || url() || word()) continue;
      if (text_[at_] == '\n') line_ = at_ + 1;
      out_.push_back(text_[at_++]);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }

  void copy_to(std::size_t end) {
    out_.append(text_.substr(at_, end - at_));
    at_ = end;
  }

  void drop_to(std::size_t end) {
    out_.append(kMark);
    at_ = end;
  }

  bool pem() {
    if (!rest().starts_with("-----BEGIN ")) return false;
    const std::size_t label_end = text_.find("-----", at_ + 11);
    if (label_end == std::string_view::npos) return false;
    const std::size_t end = text_.find("-----END ", label_end);
    const std::size_t close = end == std::string_view::npos ? end : text_.find("-----", end + 9);
    drop_to(close == std::string_view::npos ? text_.size() : close + 5);  // cut short: all of it
    return true;
  }

  /// "://user:password@host"
  bool url() {
    if (!rest().starts_with("://")) return false;
    const std::size_t begin = at_ + 3;
    const std::size_t end = std::min(text_.find_first_of("/?# \t\n\"'<>\\", begin), text_.size());
    const std::size_t host = text_.substr(begin, end - begin).rfind('@');
    copy_to(begin);
    if (host != std::string_view::npos) drop_to(begin + host);
    return true;
  }

  /// A run of key signs at its beginning, and what belongs to it.
  bool word() {
    if (!is_key_sign(text_[at_])) return false;
    std::size_t end = at_;
    while (end < text_.size() && is_key_sign(text_[end])) ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    if (word.starts_with("eyJ") && std::ranges::count(word, '.') == 2) {
      drop_to(end);
      return true;
    }
    const bool is_flag = word.starts_with("--");
    const bool secret = sounds_secret(word);
    const std::size_t key_line = line_;
    copy_to(end);
    if (same_letters(word, "bearer") || same_letters(word, "basic")) {
      scheme();
    } else if (secret) {
      value(is_flag, key_line);
    }
    return true;
  }

  /// "Bearer abc"; prose such as "basic checks" loses a word.
  void scheme() {
    std::size_t begin = at_;
    while (begin < text_.size() && text_[begin] == ' ') ++begin;
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n\"',\\", begin), text_.size());
    if (begin == at_ || begin == end) return;
    copy_to(begin);
    drop_to(end);
  }

  /// Behind a secret's key: separator, then a quoted text, the rest of the line, or an indented block.
  void value(bool is_flag, std::size_t key_line) {
    std::size_t begin = text_.find_first_not_of("\\\"' \t", at_);
    if (begin == std::string_view::npos) return;
    const char separator = text_[begin];
    if (separator == ':' || separator == '=') {
      ++begin;
    } else if (is_flag && begin > at_) {
      // "--token abc": the quotes and spaces that were skipped may be the value's own
    } else {
      return;
    }
    while (begin < text_.size() && (text_[begin] == ' ' || text_[begin] == '\t')) ++begin;
    if (begin >= text_.size()) return;
    if (text_[begin] == '{' || text_[begin] == '[') return;  // its members have keys of their own
    std::size_t open = begin;
    while (open < text_.size() && text_[open] == '\\') ++open;
    if (open < text_.size() && (text_[open] == '"' || text_[open] == '\'')) {
      copy_to(open + 1);
      drop_to(closing_quote(text_.substr(begin, open + 1 - begin)));
      return;
    }
    const std::size_t line_end = std::min(text_.find('\n', begin), text_.size());
    const bool block = begin == line_end || text_[begin] == '|' || text_[begin] == '>';
    if (block) {
      indented_block(line_end, key_line);
      return;
    }
    // What a blank ends after '=' or a flag may have blanks in it after ':'.
    const std::size_t end = separator == ':'
                                ? line_end
                                : std::min(text_.find_first_of(" \t\n&,;\"'", begin), text_.size());
    copy_to(begin);
    drop_to(end);
  }

  /// Where the quote `opening` (with the backslashes before it) comes again, not escaped more deeply.
  [[nodiscard]] std::size_t closing_quote(std::string_view opening) const {
    const std::size_t depth = opening.size() - 1;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      if (text_[i] == '\n') return i;
      if (text_[i] != opening.back()) continue;
      std::size_t first = i;
      while (first > at_ && text_[first - 1] == '\\') --first;
      if (i - first == depth) return first;
      // An even number more are backslashes of the value itself.
      if (i - first > depth && depth == 0 && (i - first) % 2 == 0) return i;
    }
    return text_.size();
  }

  /// The lines below that are indented more than the key's line.
  void indented_block(std::size_t line_end, std::size_t key_line) {
    const auto indent = [this](std::size_t line) {
      const std::size_t first = std::min(text_.find_first_not_of(" -", line), text_.size());
      return first - line;
    };
    const std::size_t own = indent(key_line);
    std::size_t end = line_end;
    while (end < text_.size()) {
      const std::size_t next = end + 1;
      if (next >= text_.size()) break;
      const bool blank = text_[next] == '\n';
      if (!blank && indent(next) <= own) break;
      end = std::min(text_.find('\n', next), text_.size());
    }
    if (end == line_end) return;
    copy_to(line_end);
    out_.push_back('\n');
    out_.append(own + 2, ' ');
    drop_to(end);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 0;  ///< where the current line begins
  std::string out_;
};

}  // namespace

std::string redact_text(std::string_view text) {
  return Redactor(text).run();
}

std::optional<nlohmann::ordered_json> parse_shallow(std::string_view text) {
  constexpr int kDeepest = 64;
  const auto is_shallow = [](int depth, nlohmann::ordered_json::parse_event_t /*event*/,
                             nlohmann::ordered_json& /*value*/) {
    if (depth > kDeepest) throw std::length_error("nested too deeply");
    return true;
  };
  try {
    auto json = nlohmann::ordered_json::parse(text, is_shallow, false);
    if (json.is_discarded()) return std::nullopt;
    return std::make_optional(std::move(json));
  } catch (const std::length_error&) {
    return std::nullopt;
  }
}

void redact_json(nlohmann::ordered_json& value) {
  if (value.is_object()) {
    for (auto& [key, member] : value.items()) {
      if (sounds_secret(key) && !member.is_structured()) {
        member = kMark;
      } else {
        redact_json(member);
      }
    }
  } else if (value.is_array()) {
    bool is_value = false;  // of the flag before it
    for (auto& element : value) {
      const std::string* const text = element.get_ptr<const std::string*>();
      const bool is_flag = text != nullptr && text->starts_with("-");
      const bool secret = is_flag && text->find('=') == std::string::npos && sounds_secret(*text);
      if (is_value && text != nullptr && !is_flag) {
        element = kMark;
      } else {
        redact_json(element);
      }
      is_value = secret;
    }
  } else if (value.is_string()) {
    value = redact_text(value.get_ref<const std::string&>());
  }
}

}  // namespace drasriov::doctor
