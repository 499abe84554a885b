// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_file.hpp"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/cluster/directory/block_yaml.hpp"
#include "host/config/yaml_json.hpp"

namespace drasriov::cluster {
namespace {

/// The text at `path` ("/metadata/name"), empty when it is absent or no text.
std::string text_at(const Json& object, const char* path) {
  const Json::json_pointer pointer(path);
  if (!object.contains(pointer)) return {};
  const Json& value = object.at(pointer);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// Takes a line with its end off the front.
std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end == std::string_view::npos ? end : end + 1);
  text.remove_prefix(line.size());
  return line;
}

bool begins_document(std::string_view line) {
  return line.starts_with("---") && (line.size() == 3 || line[3] == '\n' || line[3] == '\r' ||
                                     line[3] == ' ' || line[3] == '\t');
}

/// The documents' texts, each with the "---" before it: joined they are `text`. Whatever is before
/// the first "---" without being a document (comments, %YAML) belongs to the first one.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  bool content = false;
  std::size_t size = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (begins_document(line) && content) {
      parts.push_back(text.substr(0, size));
      text.remove_prefix(size);
      size = 0;
    }
    size += line.size();
    const auto first = line.find_first_not_of(" \t\r\n");
    content = content || begins_document(line) ||
              (first != std::string_view::npos && line[first] != '#' && line.front() != '%');
  }
  if (!text.empty()) parts.push_back(text);
  return parts;
}

bool is_list(const Json& document) {
  return document.is_object() && text_at(document, "/kind") == "List" &&
         document.contains("items") && document["items"].is_array();
}

void take_apart(Json document, std::vector<Json>& documents) {
  if (document.is_null()) return;
  if (!is_list(document)) {
    documents.push_back(std::move(document));
    return;
  }
  for (Json& item : document["items"]) documents.push_back(std::move(item));
}

bool is_json(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

bool is_deeper_than(const Json& value, std::size_t levels) {
  if (!value.is_structured()) return false;
  return levels == 0 || std::ranges::any_of(value, [levels](const Json& inner) {
           return is_deeper_than(inner, levels - 1);
         });
}

/// One document by one of the quick readers; nullopt when it takes the full one, which also says
/// what is wrong with it.
std::optional<Json> parse_quickly(std::string_view text) {
  if (is_json(text)) {
    Json document = Json::parse(text, nullptr, false);
    if (document.is_discarded() || is_deeper_than(document, config::kDeepestYaml))
      return std::nullopt;
    return document;
  }
  return read_block_yaml(text);
}

/// The place of the top-level key `status` with everything below it; empty, at the end, when there
/// is none.
std::string_view status_lines(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const char* begin = rest.data();
    if (!take_line(rest).starts_with("status:")) continue;
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\n')) take_line(rest);
    return {begin, static_cast<std::size_t>(rest.data() - begin)};
  }
  return text.substr(text.size());
}

/// `part` with the lines of its status exchanged, if that makes it `wanted`; nullopt for a document
/// in flow style and the like, which is written anew instead.
std::optional<std::string> exchange_status(std::string_view part, const Json& wanted) {
  const std::string_view old = status_lines(part);
  const auto begin = static_cast<std::size_t>(old.data() - part.data());
  std::string text(part.substr(0, begin));
  if (!text.empty() && text.back() != '\n') text += '\n';
  if (wanted.contains("status")) text += print_block_yaml({{"status", wanted["status"]}});
  text.append(part.substr(begin + old.size()));
  const auto read = parse_documents(text);
  if (!read || read->size() != 1 || read->front() != wanted) return std::nullopt;
  return text;
}

/// In the form in which `part` was written.
std::string print_documents(std::string_view part, const std::vector<Json>& documents) {
  if (is_json(part) && documents.size() == 1) return documents.front().dump(2) + "\n";
  std::string text;
  for (const Json& document : documents) {
    if (begins_document(part) || !text.empty()) text += "---\n";
    text += print_block_yaml(document);
  }
  return text;
}

/// The part that holds the object after the edit; `documents` are its documents, `place` the
/// object's.
std::string edit_part(std::string_view part, std::vector<Json>& documents,
                      std::vector<Json>::iterator place, const DocumentEdit& edit) {
  if (edit.kind == DocumentEdit::Kind::kRemove) {
    documents.erase(place);
    return print_documents(part, documents);
  }
  if (edit.kind == DocumentEdit::Kind::kPut) {
    *place = *edit.value;
  } else {
    if (edit.value->is_null()) {
      place->erase("status");
    } else {
      (*place)["status"] = *edit.value;
    }
    if (documents.size() == 1) {
      if (auto text = exchange_status(part, *place)) return *std::move(text);
    }
  }
  return print_documents(part, documents);
}

}  // namespace

std::string type_of(const Resource& resource) {
  return resource.api_version() + "/" + resource.kind;
}

std::optional<StoreKey> key_of(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  const std::string api_version = text_at(object, "/apiVersion");
  const std::string kind = text_at(object, "/kind");
  std::string name = text_at(object, "/metadata/name");
  if (api_version.empty() || kind.empty() || name.empty()) return std::nullopt;
  return StoreKey{api_version + "/" + kind,
                  {text_at(object, "/metadata/namespace"), std::move(name)}};
}

bool is_object_file(std::string_view name) {
  return !name.starts_with('.') &&
         (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

Result<std::vector<Json>> parse_documents(std::string_view text) {
  std::vector<Json> documents;
  const auto parts = split(text);
  const bool quick = std::ranges::all_of(parts, [&](std::string_view part) {
    auto document = parse_quickly(part);
    if (!document) return false;
    take_apart(*std::move(document), documents);
    return true;
  });
  if (quick) return documents;

  documents.clear();
  try {
    for (const YAML::Node& node : YAML::LoadAll(std::string(text))) {
      auto document = config::yaml_to_json(node, nullptr);
      if (!document) return std::move(document).error();
      take_apart(*std::move(document), documents);
    }
  } catch (
      const YAML::DeepRecursion& error) {  // the parser's own limit, above that of yaml_to_json()
    return config::too_deep(error.mark);
  } catch (const YAML::Exception& error) {
    return Error(Code::kInvalidArgument, std::to_string(error.mark.line + 1) + ":" +
                                             std::to_string(error.mark.column + 1) + ": " +
                                             error.msg);
  }
  return documents;
}

Result<std::string> edit_document(std::string_view text, const StoreKey& key,
                                  const DocumentEdit& edit) {
  std::string result;
  bool found = false;
  for (const std::string_view part : split(text)) {
    if (found) {
      result.append(part);
      continue;
    }
    auto documents = parse_documents(part);
    if (!documents) return std::move(documents).error();
    const auto place =
        std::ranges::find_if(*documents, [&](const Json& other) { return key_of(other) == key; });
    found = place != documents->end();
    result.append(found ? edit_part(part, *documents, place, edit) : std::string(part));
  }
  if (!found) {
    if (edit.kind != DocumentEdit::Kind::kPut) {
      return Error(Code::kNotFound,
                   key.type + " " + key.object.to_string() + " is not in the file");
    }
    if (!result.empty() && result.back() != '\n') result += '\n';
    if (!result.empty()) result += "---\n";
    result += print_block_yaml(*edit.value);
  }
  if (edit.kind == DocumentEdit::Kind::kRemove) {
    const auto left = parse_documents(result);
    if (left && left->empty()) result.clear();
  }
  return result;
}

}  // namespace drasriov::cluster
