// SPDX-License-Identifier: Apache-2.0
#include "host/config/yaml_json.hpp"

#include <yaml-cpp/node/impl.h>
#include <yaml-cpp/node/iterator.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace drasriov::config {
namespace {

using nlohmann::json;

std::string position(const YAML::Mark& mark) {
  return std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

Error at(const YAML::Node& node, Code code, std::string_view message, std::string hint = {}) {
  return {code, position(node.Mark()) + ": " + std::string(message), std::move(hint)};
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> candidates) {
  return std::ranges::find(candidates, text) != candidates.end();
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

template <typename Number>
std::optional<Number> parse_whole(std::string_view text, int base = 10) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// YAML 1.2.2, section 10.3.2: [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+
std::optional<json> as_integer(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0o")) {
    const auto value = parse_whole<std::uint64_t>(text.substr(2), text[1] == 'x' ? 16 : 8);
    return value ? std::optional<json>(*value) : std::nullopt;
  }
  std::string_view digits = text;
  if (digits.starts_with('+') || digits.starts_with('-')) digits.remove_prefix(1);
  if (!all_digits(digits)) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  if (const auto value = parse_whole<std::int64_t>(text)) return json(*value);
  if (const auto value = parse_whole<std::uint64_t>(text)) return json(*value);
  return std::nullopt;  // too large: a float, as the core schema's readers do
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
std::optional<double> as_float(std::string_view text) {
  std::string_view unsigned_text = text;
  if (text.starts_with('+') || text.starts_with('-')) unsigned_text.remove_prefix(1);
  const bool begins_right =
      !unsigned_text.empty() && (unsigned_text[0] == '.' || all_digits(unsigned_text.substr(0, 1)));
  if (!begins_right) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  return error == std::errc()
             ? value
             : std::nan("");  // out of range is a number all the same, one without JSON form
}

class Converter {
 public:
  explicit Converter(const Environment* environment) : environment_(environment) {}

  Result<json> convert(const YAML::Node& node, int depth) {
    constexpr std::size_t kMost = 100'000;
    if (depth > kDeepestYaml) return too_deep(node.Mark());
    if (++count_ > kMost) return at(node, Code::kInvalidArgument, "more than 100000 values");
    switch (node.Type()) {
      case YAML::NodeType::Scalar: return scalar(node);
      case YAML::NodeType::Sequence: return sequence(node, depth);
      case YAML::NodeType::Map: return map(node, depth);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined: break;
    }
    return json(nullptr);
  }

 private:
  Result<json> scalar(const YAML::Node& node) {
    auto expanded = environment_ == nullptr ? Result<std::string>(node.Scalar())
                                            : expand(node.Scalar(), *environment_);
    if (!expanded) return expanded.error().with_context(position(node.Mark()));
    if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str")
      return json(*std::move(expanded));
    if (!is_plain(node)) {
      return at(node, Code::kInvalidArgument, "tag " + node.Tag() + " is not supported",
                "remove the tag");
    }
    const std::string& text = *expanded;
    if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return json(nullptr);
    if (is_one_of(text, {"true", "True", "TRUE"})) return json(true);
    if (is_one_of(text, {"false", "False", "FALSE"})) return json(false);
    if (is_one_of(text, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "-.inf"})) {
      return at(node, Code::kInvalidArgument, text + " has no form in JSON");
    }
    if (auto value = as_integer(text)) return *std::move(value);
    if (const auto value = as_float(text)) {
      if (!std::isfinite(*value))
        return at(node, Code::kInvalidArgument, text + " is out of range");
      return json(*value);
    }
    return json(text);
  }

  Result<json> sequence(const YAML::Node& node, int depth) {
    json array = json::array();
    for (const auto& element : node) {
      auto value = convert(element, depth + 1);
      if (!value) return value;
      array.push_back(*std::move(value));
    }
    return array;
  }

  Result<json> map(const YAML::Node& node, int depth) {
    json object = json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar())
        return at(entry.first, Code::kInvalidArgument, "a key must be text");
      if (object.contains(entry.first.Scalar())) {
        return at(entry.first, Code::kInvalidArgument,
                  "key '" + entry.first.Scalar() + "' stands twice");
      }
      auto value = convert(entry.second, depth + 1);
      if (!value) return value;
      object[entry.first.Scalar()] = *std::move(value);
    }
    return object;
  }

  const Environment* environment_;
  std::size_t count_ = 0;
};

}  // namespace

Result<json> yaml_to_json(const YAML::Node& node, const Environment* environment) {
  return Converter(environment).convert(node, 0);
}

Error too_deep(const YAML::Mark& mark) {
  return {Code::kInvalidArgument,
          position(mark) + ": nested deeper than " + std::to_string(kDeepestYaml) + " levels"};
}

std::string position(const YAML::Node& node) {
  return position(node.Mark());
}

bool is_plain(const YAML::Node& node) {
  return node.IsScalar() && (node.Tag() == "?" || node.Tag().empty());
}

}  // namespace drasriov::config
