// SPDX-License-Identifier: Apache-2.0
#include "host/module/json_schema.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <vector>

#include "host/base/nearest_name.hpp"

namespace drasriov::module {
namespace {

using nlohmann::json;

constexpr int kDeepestSchema = 32;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A value for a message: never longer than a line.
std::string shown(const json& value) {
  std::string text = dump(value);
  if (text.size() > 64) text = text.substr(0, 61) + "...";
  return text;
}

std::string_view type_name(const json& value) noexcept {
  switch (value.type()) {
    case json::value_t::null: return "null";
    case json::value_t::boolean: return "boolean";
    case json::value_t::string: return "string";
    case json::value_t::array: return "array";
    case json::value_t::object: return "object";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: return "integer";
    default: return "number";
  }
}

bool has_type(const json& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type == "integer" && value.is_number_float()) {  // draft-06 on: 1.0 is an integer
    const double number = value.get<double>();
    return std::isfinite(number) && std::floor(number) == number;
  }
  return type_name(value) == type;
}

std::size_t code_points(const std::string& text) noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

template <typename Range, typename Projection>
std::string listed(const Range& range, Projection projection) {
  std::string text;
  for (const auto& element : range) {
    if (!text.empty()) text += ", ";
    text += projection(element);
  }
  return text;
}

Error violation(const std::string& path, const std::string& what, std::string hint = {}) {
  return {Code::kInvalidArgument, path + ": " + what, std::move(hint)};
}

/// Accepts what nlohmann's parser does, but notes a key that an object has twice (the parser keeps
/// the last).
class DuplicateFinder final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*elements*/) override {
    keys_.emplace_back();
    return true;
  }
  bool key(string_t& value) override {
    if (keys_.back().insert(value).second) return true;
    duplicate_ = value;
    return false;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t /*elements*/) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const json::exception& /*why*/) override {
    position_ = position;
    return false;
  }

  [[nodiscard]] const std::optional<std::string>& duplicate() const noexcept { return duplicate_; }
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

 private:
  std::vector<std::set<std::string>> keys_;
  std::optional<std::string> duplicate_;
  std::size_t position_ = 0;
};

}  // namespace

struct JsonSchema::Node {
  std::vector<std::string> types;  ///< empty = any
  std::map<std::string, std::unique_ptr<Node>, std::less<>> properties;
  std::vector<std::string> required;
  bool additional = true;                   ///< keys outside `properties` are allowed
  std::unique_ptr<Node> additional_schema;  ///< what they must be, null = anything
  std::unique_ptr<Node> items;
  std::vector<json> allowed;  ///< enum
  std::string pattern;
  std::optional<std::regex> expression;
  std::optional<json> minimum;  ///< kept as written: a double would round 64-bit integers
  std::optional<json> maximum;
  std::optional<std::size_t> min_length;
  std::optional<std::size_t> max_length;

  [[nodiscard]] Status check(const json& value, const std::string& path) const;
  [[nodiscard]] Status check_object(const json& value, const std::string& path) const;
  [[nodiscard]] Status check_string(const std::string& value, const std::string& path) const;
  [[nodiscard]] Error unknown_key(const std::string& key, const std::string& path) const;
};

/// Turns one schema document into nodes; paths in its errors are those of the schema.
class JsonSchema::Compiler {
 public:
  [[nodiscard]] Result<std::unique_ptr<Node>> compile(const json& schema, const std::string& path,
                                                      int depth) {
    if (depth > kDeepestSchema) return violation(path, "schemas are nested too deeply");
    if (!schema.is_object()) return violation(path, "a schema is an object, not " + shown(schema));
    auto node = std::make_unique<Node>();
    for (const auto& [keyword, value] : schema.items()) {
      const auto handler = handlers().find(keyword);
      if (handler == handlers().end()) {
        return violation(
            path, "keyword \"" + keyword + "\" is not supported",
            "supported: " + listed(handlers(), [](const auto& entry) { return entry.first; }));
      }
      const Place place{*node, value, path + "." + keyword, depth};
      if (auto status = handler->second(*this, place); !status) return std::move(status).error();
    }
    if (const auto fallback = schema.find("default"); fallback != schema.end()) {
      if (auto status = node->check(*fallback, path + ".default"); !status)
        return std::move(status).error();
    }
    return node;
  }

 private:
  struct Place {
    Node& node;
    const json& value;
    std::string path;
    int depth;
  };
  using Handler = std::function<Status(Compiler&, const Place&)>;

  static const std::map<std::string, Handler, std::less<>>& handlers() {
    static const std::map<std::string, Handler, std::less<>> table = {
        {"$schema", text},
        {"title", text},
        {"description", text},
        {"default", [](Compiler&, const Place&) { return Status(); }},
        {"type", type},
        {"properties", properties},
        {"required", required},
        {"additionalProperties", additional_properties},
        {"enum", enumeration},
        {"items", items},
        {"pattern", pattern},
        {"minimum", [](Compiler&, const Place& at) { return number(at, at.node.minimum); }},
        {"maximum", [](Compiler&, const Place& at) { return number(at, at.node.maximum); }},
        {"minLength", [](Compiler&, const Place& at) { return length(at, at.node.min_length); }},
        {"maxLength", [](Compiler&, const Place& at) { return length(at, at.node.max_length); }},
    };
    return table;
  }

  static Status text(Compiler& /*self*/, const Place& at) {
    return at.value.is_string() ? Status() : violation(at.path, "must be a string");
  }

  static Status type(Compiler& /*self*/, const Place& at) {
    static constexpr std::string_view kTypes[] = {"null",   "boolean", "string", "array",
                                                  "object", "integer", "number"};
    const json list = at.value.is_array() ? at.value : json::array({at.value});
    for (const json& name : list) {
      if (!name.is_string() ||
          std::ranges::find(kTypes, name.get_ref<const std::string&>()) == std::end(kTypes)) {
        return violation(at.path, shown(name) + " is no type",
                         "types: " + listed(kTypes, [](auto known) { return std::string(known); }));
      }
      at.node.types.push_back(name.get<std::string>());
    }
    return at.node.types.empty() ? violation(at.path, "names no type") : Status();
  }

  static Status properties(Compiler& self, const Place& at) {
    if (!at.value.is_object()) return violation(at.path, "must be an object of schemas");
    for (const auto& [key, schema] : at.value.items()) {
      auto node = self.compile(schema, at.path + "." + key, at.depth + 1);
      if (!node) return std::move(node).error();
      at.node.properties.emplace(key, *std::move(node));
    }
    return {};
  }

  static Status required(Compiler& /*self*/, const Place& at) {
    if (!at.value.is_array()) return violation(at.path, "must be a list of keys");
    for (const json& key : at.value) {
      if (!key.is_string()) return violation(at.path, shown(key) + " is no key");
      at.node.required.push_back(key.get<std::string>());
    }
    return {};
  }

  static Status additional_properties(Compiler& self, const Place& at) {
    if (at.value.is_boolean()) {
      at.node.additional = at.value.get<bool>();
      return {};
    }
    auto node = self.compile(at.value, at.path, at.depth + 1);
    if (!node) return std::move(node).error();
    at.node.additional_schema = *std::move(node);
    return {};
  }

  static Status enumeration(Compiler& /*self*/, const Place& at) {
    if (!at.value.is_array() || at.value.empty())
      return violation(at.path, "must be a list of values");
    at.node.allowed = at.value.get<std::vector<json>>();
    return {};
  }

  static Status items(Compiler& self, const Place& at) {
    auto node = self.compile(at.value, at.path, at.depth + 1);
    if (!node) return std::move(node).error();
    at.node.items = *std::move(node);
    return {};
  }

  static Status pattern(Compiler& /*self*/, const Place& at) {
    if (!at.value.is_string()) return violation(at.path, "must be a string");
    at.node.pattern = at.value.get<std::string>();
    try {
      // __polynomial (libstdc++): breadth-first instead of backtracking. It refuses
      // back-references, and that is right.
      at.node.expression.emplace(at.node.pattern, std::regex::ECMAScript | std::regex::optimize |
                                                      std::regex_constants::__polynomial);
    } catch (const std::regex_error& failure) {
      return violation(
          at.path, "\"" + at.node.pattern + "\" is no usable regular expression: " + failure.what(),
          "ECMAScript without back-references");
    }
    return {};
  }

  static Status number(const Place& at, std::optional<json>& target) {
    if (!at.value.is_number()) return violation(at.path, "must be a number");
    target = at.value;
    return {};
  }

  static Status length(const Place& at, std::optional<std::size_t>& target) {
    if (!at.value.is_number_unsigned()) return violation(at.path, "must be a number of characters");
    target = at.value.get<std::size_t>();
    return {};
  }
};

Status JsonSchema::Node::check(const json& value, const std::string& path) const {
  if (!types.empty() &&
      std::ranges::none_of(types, [&](const auto& type) { return has_type(value, type); })) {
    return violation(path, "must be " + listed(types, [](const auto& type) { return type; }) +
                               ", not " + std::string(type_name(value)) + " " + shown(value));
  }
  if (!allowed.empty() && std::ranges::find(allowed, value) == allowed.end()) {
    return violation(path, shown(value) + " is not allowed", "allowed: " + listed(allowed, dump));
  }
  if (minimum && value.is_number() && value < *minimum) {
    return violation(path, shown(value) + " is less than " + dump(*minimum));
  }
  if (maximum && value.is_number() && value > *maximum) {
    return violation(path, shown(value) + " is more than " + dump(*maximum));
  }
  if (value.is_string()) return check_string(value.get_ref<const std::string&>(), path);
  if (value.is_object()) return check_object(value, path);
  if (value.is_array() && items) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (auto status = items->check(value[i], path + "[" + std::to_string(i) + "]"); !status)
        return status;
    }
  }
  return {};
}

Status JsonSchema::Node::check_string(const std::string& value, const std::string& path) const {
  const std::size_t length = code_points(value);
  if (min_length && length < *min_length) {
    return violation(path, "has " + std::to_string(length) + " characters, at least " +
                               std::to_string(*min_length) + " are needed");
  }
  if (max_length && length > *max_length) {
    return violation(path, "has " + std::to_string(length) + " characters, at most " +
                               std::to_string(*max_length) + " are allowed");
  }
  if (expression && !std::regex_search(value, *expression)) {
    return violation(path, shown(value) + " does not match", "pattern: " + pattern);
  }
  return {};
}

Status JsonSchema::Node::check_object(const json& value, const std::string& path) const {
  for (const std::string& key : required) {
    if (!value.contains(key)) return violation(path, "key \"" + key + "\" is missing");
  }
  for (const auto& [key, member] : value.items()) {
    const auto known = properties.find(key);
    if (known == properties.end() && !additional) {
      return unknown_key(key, path);
    }
    const Node* const schema =
        known == properties.end() ? additional_schema.get() : known->second.get();
    if (schema == nullptr) continue;
    if (auto status = schema->check(member, path + "." + key); !status) return status;
  }
  return {};
}

Error JsonSchema::Node::unknown_key(const std::string& key, const std::string& path) const {
  std::string hint = "no keys are allowed here";
  if (!properties.empty()) {
    std::vector<std::string_view> keys;
    for (const auto& [known, schema] : properties) keys.emplace_back(known);
    const auto nearest = nearest_name(key, keys);
    hint = nearest ? "did you mean \"" + std::string(*nearest) + "\"? " : "";
    hint += "allowed keys: " + listed(keys, [](auto known) { return std::string(known); });
  }
  return violation(path, "unknown key " + shown(json(key)), std::move(hint));
}

JsonSchema::JsonSchema(std::unique_ptr<const Node> root) noexcept : root_(std::move(root)) {}
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

Result<JsonSchema> JsonSchema::compile(std::string_view text) {
  const json schema = text.empty() ? json{{"type", "object"}, {"additionalProperties", false}}
                                   : json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (schema.is_discarded()) return violation("schema", "is no JSON");
  auto root = Compiler().compile(schema, "schema", 0);
  if (!root) return std::move(root).error();
  return JsonSchema(*std::move(root));
}

Status JsonSchema::check(const json& value, std::string_view root) const {
  return root_->check(value, std::string(root));
}

Status JsonSchema::check_text(std::string_view text, std::string_view root) const {
  DuplicateFinder finder;
  if (!json::sax_parse(text, &finder)) {
    if (finder.duplicate())
      return violation(std::string(root),
                       "key " + shown(json(*finder.duplicate())) + " stands twice");
    return violation(std::string(root),
                     "is no JSON (at byte " + std::to_string(finder.position()) + ")");
  }
  return check(json::parse(text, nullptr, /*allow_exceptions=*/false), root);
}

}  // namespace drasriov::module
