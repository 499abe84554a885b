// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_file.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "host/config/yaml_json.hpp"

namespace drasriov::cluster {
namespace {

using nlohmann::json;

/// Whether `text`, written without quotes, could be read as something else than this string.
bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '/' || c == '-' || c == '_';
  };
  if (!std::ranges::all_of(text, plain)) return true;
  const char first = text.front();
  if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/'))
    return true;
  // YAML 1.1 readers take these for booleans and null; ours only some of them.
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  constexpr std::array<std::string_view, 9> kWords{"null", "true", "false", "yes", "no",
                                                   "on",   "off",  "y",     "n"};
  return std::ranges::find(kWords, lower) != kWords.end();
}

void print(YAML::Emitter& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object:
      if (value.empty()) {
        out << YAML::Flow;
      }
      out << YAML::BeginMap;
      for (const auto& [key, element] : value.items()) {
        out << YAML::Key << (needs_quotes(key) ? YAML::DoubleQuoted : YAML::Auto) << key
            << YAML::Value;
        print(out, element);
      }
      out << YAML::EndMap;
      return;
    case json::value_t::array:
      if (value.empty()) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const auto& element : value) print(out, element);
      out << YAML::EndSeq;
      return;
    case json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      if (needs_quotes(text)) out << YAML::DoubleQuoted;
      out << text;
      return;
    }
    case json::value_t::null: out << YAML::Null; return;
    default: out << value.dump(); return;  // numbers and booleans: JSON's form is YAML's
  }
}

}  // namespace

bool is_object_file(std::string_view name) {
  return !name.starts_with('.') &&
         (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

Result<std::vector<json>> parse_documents(const std::string& text) {
  std::vector<json> documents;
  try {
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      auto document = config::yaml_to_json(node, nullptr);
      if (!document) return std::move(document).error();
      if (document->is_null()) continue;
      const auto kind = document->find("kind");
      if (document->is_object() && kind != document->end() && *kind == "List" &&
          document->contains("items")) {
        for (const json& item : (*document)["items"]) documents.push_back(item);
      } else {
        documents.push_back(*std::move(document));
      }
    }
  } catch (const YAML::Exception& error) {
    return Error(Code::kInvalidArgument, std::to_string(error.mark.line + 1) + ":" +
                                             std::to_string(error.mark.column + 1) + ": " +
                                             error.msg);
  }
  return documents;
}

std::string print_documents(const std::vector<json>& documents) {
  std::string text;
  for (const json& document : documents) {
    YAML::Emitter out;
    out.SetIndent(2);
    print(out, document);
    if (!text.empty()) text += "---\n";
    text.append(out.c_str()).append("\n");
  }
  return text;
}

}  // namespace drasriov::cluster
