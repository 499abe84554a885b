// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/block_yaml.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "host/config/yaml_json.hpp"

namespace drasriov::cluster {
namespace {

using nlohmann::json;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_plain(char c) {
  return is_letter(c) || is_digit(c) || c == '.' || c == '/' || c == '-' || c == '_';
}

/// Whether `text`, written without quotes, is this string to every reader. YAML 1.1 takes more words for booleans than
/// 1.2 does.
bool is_plain_string(std::string_view text) {
  if (text.empty() || !(is_letter(text.front()) || text.front() == '/')) return false;
  if (!std::ranges::all_of(text, is_plain)) return false;
  std::array<char, 5> lower{};
  if (text.size() > lower.size()) return true;
  std::ranges::transform(text, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  constexpr std::array<std::string_view, 9> kWords{"null", "true", "false", "yes", "no",
                                                   "on",   "off",  "y",     "n"};
  return std::ranges::find(kWords, std::string_view(lower.data(), text.size())) == kWords.end();
}

void print_string(std::string& out, const std::string& text) {
  // JSON's escapes are YAML's. What is not UTF-8 cannot come from a file or an API server.
  out.append(is_plain_string(text)
                 ? text
                 : json(text).dump(-1, ' ', false, json::error_handler_t::replace));
}

bool is_block(const json& value) {
  return value.is_structured() && !value.empty();
}

/// Everything that fits on the line of its key or dash.
void print_scalar(std::string& out, const json& value) {
  if (value.is_string()) {
    print_string(out, value.get_ref<const std::string&>());
  } else {
    out.append(value.dump());  // numbers, booleans, null, {} and []: JSON's form is YAML's
  }
}

/// REQUIRES: is_block(value). `indent` is where its lines begin; the first line is there already when `inside`.
void print_block(std::string& out, const json& value, std::size_t indent, bool inside) {
  const auto begin_line = [&] {
    if (!inside) out.append(indent, ' ');
    inside = false;
  };
  if (value.is_object()) {
    for (const auto& [key, element] : value.items()) {
      begin_line();
      print_string(out, key);
      out.append(":");
      if (is_block(element)) {
        out.append("\n");
        print_block(out, element, indent + 2, false);
      } else {
        out.append(" ");
        print_scalar(out, element);
        out.append("\n");
      }
    }
    return;
  }
  for (const auto& element : value) {
    begin_line();
    out.append("-");
    if (!is_block(element)) {
      out.append(" ");
      print_scalar(out, element);
      out.append("\n");
    } else if (element.is_object()) {
      out.append(" ");
      print_block(out, element, indent + 2, true);
    } else {
      out.append("\n");
      print_block(out, element, indent + 2, false);
    }
  }
}

/// Descends the lines of a document. Every function leaves by fail() when it meets what it does not know.
class Reader {
 public:
  std::optional<json> read(std::string_view text) {
    if (!split(text)) return std::nullopt;
    json document = node(0, 0);
    if (failed_ || line_ != lines_.size()) return std::nullopt;
    return document;
  }

 private:
  static constexpr int kDeepest = config::kDeepestYaml;

  struct Line {
    std::size_t indent = 0;
    std::string_view content;
  };

  bool split(std::string_view text) {
    while (!text.empty()) {
      const auto end = text.find('\n');
      std::string_view content = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (lines_.empty() && content == "---") continue;
      const auto indent = content.find_first_not_of(' ');
      if (indent == std::string_view::npos)
        return false;  // empty lines have a meaning inside scalars
      lines_.push_back({indent, content.substr(indent)});
    }
    return !lines_.empty();
  }

  json fail() {
    failed_ = true;
    return nullptr;
  }

  [[nodiscard]] bool at(std::size_t indent) const {
    return line_ < lines_.size() && lines_[line_].indent == indent;
  }
  static bool is_entry(std::string_view content) {
    return content == "-" || content.starts_with("- ");
  }

  json node(std::size_t indent, int depth) {
    if (!at(indent)) return fail();
    return is_entry(lines_[line_].content) ? sequence(indent, depth) : map(indent, depth);
  }

  json sequence(std::size_t indent, int depth) {
    if (depth > kDeepest) return fail();
    json array = json::array();
    while (!failed_ && at(indent) && is_entry(lines_[line_].content)) {
      Line& line = lines_[line_];
      if (line.content == "-") {
        ++line_;
        array.push_back(node(indent + 2, depth + 1));
        continue;
      }
      const std::string_view rest = line.content.substr(2);
      std::string_view after = rest;
      std::string key;
      if (take_key(after, key)) {
        line = {indent + 2, rest};  // a map that begins on the line of its dash
        array.push_back(map(indent + 2, depth + 1));
      } else {
        ++line_;
        array.push_back(scalar(rest));
      }
    }
    return array;
  }

  json map(std::size_t indent, int depth) {
    if (depth > kDeepest) return fail();
    json object = json::object();
    while (!failed_ && at(indent) && !is_entry(lines_[line_].content)) {
      std::string_view rest = lines_[line_].content;
      std::string key;
      if (!take_key(rest, key)) return fail();
      ++line_;
      json value;
      if (!rest.empty()) {
        value = scalar(rest.substr(1));
      } else if (at(indent) && is_entry(lines_[line_].content)) {
        value = sequence(indent, depth + 1);  // "key:" and its dashes may stand one under the other
      } else {
        value = node(indent + 2, depth + 1);
      }
      if (!object.emplace(std::move(key), std::move(value)).second) return fail();
    }
    return object;
  }

  /// Takes `key:` off the front; what is left is empty or begins with a space.
  static bool take_key(std::string_view& text, std::string& key) {
    std::string_view rest = text;
    if (rest.starts_with('"')) {
      auto quoted = take_quoted(rest);
      if (!quoted) return false;
      key = *std::move(quoted);
    } else {
      const auto end = std::ranges::find_if_not(rest, is_plain) - rest.begin();
      key = rest.substr(0, static_cast<std::size_t>(end));
      if (!is_plain_string(key)) return false;
      rest.remove_prefix(key.size());
    }
    if (!rest.starts_with(':')) return false;
    rest.remove_prefix(1);
    if (!rest.empty() && !rest.starts_with(' ')) return false;
    text = rest;
    return true;
  }

  /// Takes a string in double quotes off the front, if it has JSON's escapes only.
  static std::optional<std::string> take_quoted(std::string_view& text) {
    std::size_t end = 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) return std::nullopt;
    const std::string_view quoted = text.substr(0, end + 1);
    // The full reader has no pairs of surrogates.
    if (quoted.find("\\ud") != std::string_view::npos ||
        quoted.find("\\uD") != std::string_view::npos)
      return std::nullopt;
    const json parsed = json::parse(quoted, nullptr, false);
    if (!parsed.is_string()) return std::nullopt;
    text.remove_prefix(end + 1);
    return parsed.get<std::string>();
  }

  json scalar(std::string_view text) {
    if (text.starts_with('"')) {
      auto quoted = take_quoted(text);
      return quoted && text.empty() ? json(*std::move(quoted)) : fail();
    }
    if (text == "{}") return json::object();
    if (text == "[]") return json::array();
    if (text == "null") return nullptr;
    if (text == "true") return true;
    if (text == "false") return false;
    if (is_plain_string(text)) return text;
    return integer(text);
  }

  /// In its one usual form.
  json integer(std::string_view text) {
    std::string_view digits = text;
    if (digits.starts_with('-')) digits.remove_prefix(1);
    if (digits.empty() || digits.size() > 18 || !std::ranges::all_of(digits, is_digit))
      return fail();
    if (digits.front() == '0' && text != "0") return fail();
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }

  std::vector<Line> lines_;
  std::size_t line_ = 0;
  bool failed_ = false;
};

}  // namespace

std::string print_block_yaml(const json& document) {
  std::string text;
  if (is_block(document)) {
    print_block(text, document, 0, false);
  } else {
    print_scalar(text, document);
    text.append("\n");
  }
  return text;
}

std::optional<json> read_block_yaml(std::string_view text) {
  return Reader().read(text);
}

}  // namespace drasriov::cluster
