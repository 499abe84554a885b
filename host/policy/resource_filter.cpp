// SPDX-License-Identifier: Apache-2.0
#include "host/policy/resource_filter.hpp"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

namespace drasriov::policy {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, kCriterionCount> kCriterionKeys = {
    "vendors", "devices", "pciAddresses", "pfNames", "rootDevices", "numaNodes", "drivers"};

/// A DeviceAttribute's `string` holds at most 64 bytes (resource.k8s.io/v1).
constexpr std::size_t kMaxResourceName = 64;

std::string_view type_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string: return "a string";
    case Json::value_t::boolean: return "a boolean";
    default: return "a number";
  }
}

Error bad(const std::string& path, std::string_view what, std::string hint = {}) {
  return {Code::kInvalidArgument, path + ": " + std::string(what), std::move(hint)};
}

Error wrong_type(const std::string& path, std::string_view wanted, const Json& found) {
  std::string what(wanted);
  what.append(" is expected, not ").append(type_of(found));
  const bool unquoted = wanted == "a string" && (found.is_number() || found.is_boolean());
  return bad(path, what, unquoted ? "write it in quotes: \"" + found.dump() + "\"" : std::string());
}

std::string joined(std::initializer_list<std::string_view> keys) {
  std::string text;
  for (const auto key : keys) text.append(text.empty() ? "" : ", ").append(key);
  return text;
}

Status only_keys(const Json& object, const std::string& path,
                 std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, std::string_view(key)) == known.end()) {
      return bad(path.empty() ? key : path + "." + key, "unknown key",
                 "known keys: " + joined(known));
    }
  }
  return {};
}

/// The member, or nullptr when it is absent or null.
const Json* member(const Json& object, std::string_view key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Result<std::vector<std::string>> string_list(const Json& value, const std::string& path) {
  if (!value.is_array()) return wrong_type(path, "a list", value);
  std::vector<std::string> list;
  list.reserve(value.size());
  for (const auto& item : value) {
    if (!item.is_string()) {
      return wrong_type(path + "[" + std::to_string(list.size()) + "]", "a string", item);
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

Result<DeviceFilter> decode_filter(const Json& value, const std::string& path) {
  if (!value.is_object()) return wrong_type(path, "an object", value);
  if (auto known =
          only_keys(value, path,
                    {kCriterionKeys[0], kCriterionKeys[1], kCriterionKeys[2], kCriterionKeys[3],
                     kCriterionKeys[4], kCriterionKeys[5], kCriterionKeys[6]});
      !known) {
    return known.error();
  }
  DeviceFilter filter;
  for (std::size_t i = 0; i < kCriterionCount; ++i) {
    const Json* list = member(value, kCriterionKeys[i]);
    if (list == nullptr) continue;
    auto strings = string_list(*list, path + "." + std::string(kCriterionKeys[i]));
    if (!strings) return strings.error();
    filter.lists[i] = std::move(*strings);
  }
  return filter;
}

Result<FilterConfig> decode_config(const Json& value, const std::string& path) {
  if (!value.is_object()) return wrong_type(path, "an object", value);
  if (auto known = only_keys(value, path, {"resourceName", "resourceFilters"}); !known)
    return known.error();

  FilterConfig config;
  const std::string name_path = path + ".resourceName";
  const Json* name = member(value, "resourceName");
  if (name == nullptr)
    return bad(name_path, "missing", "name the resource that the matching devices belong to");
  if (!name->is_string()) return wrong_type(name_path, "a string", *name);
  config.resource_name = name->get<std::string>();
  if (config.resource_name.empty()) return bad(name_path, "empty");
  if (config.resource_name.size() > kMaxResourceName) {
    return bad(name_path, std::to_string(config.resource_name.size()) +
                              " bytes, a device attribute holds " +
                              std::to_string(kMaxResourceName));
  }

  if (const Json* filters = member(value, "resourceFilters")) {
    const std::string filters_path = path + ".resourceFilters";
    if (!filters->is_array()) return wrong_type(filters_path, "a list", *filters);
    for (const auto& item : *filters) {
      auto filter =
          decode_filter(item, filters_path + "[" + std::to_string(config.filters.size()) + "]");
      if (!filter) return filter.error();
      config.filters.push_back(std::move(*filter));
    }
  }
  return config;
}

Status decode_spec(const Json& spec, ResourceFilter& filter) {
  if (!spec.is_object()) return wrong_type("spec", "an object", spec);
  if (auto known = only_keys(spec, "spec", {"nodeSelector", "configs"}); !known) return known;
  if (const Json* selector = member(spec, "nodeSelector")) {
    if (!selector->is_object()) return wrong_type("spec.nodeSelector", "an object", *selector);
    for (const auto& [key, value] : selector->items()) {
      if (!value.is_string())
        return wrong_type("spec.nodeSelector[\"" + key + "\"]", "a string", value);
      filter.node_selector.emplace(key, value.get<std::string>());
    }
  }
  if (const Json* configs = member(spec, "configs")) {
    if (!configs->is_array()) return wrong_type("spec.configs", "a list", *configs);
    for (const auto& item : *configs) {
      auto config =
          decode_config(item, "spec.configs[" + std::to_string(filter.configs.size()) + "]");
      if (!config) return config.error();
      filter.configs.push_back(std::move(*config));
    }
  }
  return {};
}

/// "2026-01-02T15:04:05Z", what the API server writes: Unix seconds.
std::optional<std::int64_t> parse_time(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  if (text.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kForm[i]) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t count) {
    int value = 0;
    for (const char c : text.substr(at, count)) value = value * 10 + (c - '0');
    return value;
  };
  using namespace std::chrono;  // NOLINT(google-build-using-namespace): literals of calendar types
  const year_month_day date(year(number(0, 4)), month(static_cast<unsigned>(number(5, 2))),
                            day(static_cast<unsigned>(number(8, 2))));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return duration_cast<seconds>(sys_days(date).time_since_epoch() + hours(hour) + minutes(minute) +
                                seconds(second))
      .count();
}

Status decode_metadata(const Json& metadata, ResourceFilter& filter) {
  const std::array<std::pair<const char*, std::string*>, 3> texts = {
      {{"namespace", &filter.namespace_}, {"name", &filter.name}, {"uid", &filter.uid}}};
  for (const auto& [key, target] : texts) {
    if (const Json* value = member(metadata, key)) {
      if (!value->is_string())
        return wrong_type(std::string("metadata.") + key, "a string", *value);
      *target = value->get<std::string>();
    }
  }
  if (const Json* value = member(metadata, "generation")) {
    if (!value->is_number_integer()) return wrong_type("metadata.generation", "a number", *value);
    filter.generation = value->get<std::int64_t>();
  }
  return {};
}

Status decode_into(const Json& object, std::string_view driver_name, ResourceFilter& filter) {
  if (auto known = only_keys(object, "", {"apiVersion", "kind", "metadata", "spec", "status"});
      !known)
    return known;
  const std::string api_version = std::string(driver_name) + "/v1alpha1";
  if (const Json* version = member(object, "apiVersion");
      version == nullptr || *version != api_version) {
    return bad("apiVersion", (version == nullptr ? "missing" : version->dump()) +
                                 std::string(" is not \"") + api_version + "\"");
  }
  if (const Json* kind = member(object, "kind");
      kind == nullptr || *kind != "SriovResourceFilter") {
    return bad("kind",
               (kind == nullptr ? "missing" : kind->dump()) + " is not \"SriovResourceFilter\"");
  }
  if (const Json* metadata = member(object, "metadata")) {
    if (const Json* created = member(*metadata, "creationTimestamp")) {
      filter.created =
          created->is_string() ? parse_time(created->get_ref<const std::string&>()) : std::nullopt;
      if (!filter.created) {
        return bad("metadata.creationTimestamp", created->dump() + " is no time",
                   "write it as 2026-01-02T15:04:05Z, or leave it out");
      }
    }
  }
  const Json* spec = member(object, "spec");
  return spec == nullptr ? Status() : decode_spec(*spec, filter);
}

}  // namespace

std::string_view criterion_key(Criterion criterion) noexcept {
  return kCriterionKeys[static_cast<std::size_t>(criterion)];
}

Result<ResourceFilter> decode_resource_filter(const Json& object, std::string_view driver_name) {
  ResourceFilter filter;
  if (!object.is_object()) return wrong_type("SriovResourceFilter", "an object", object);
  if (const Json* metadata = member(object, "metadata")) {
    if (!metadata->is_object())
      return wrong_type("SriovResourceFilter: metadata", "an object", *metadata);
    if (auto names = decode_metadata(*metadata, filter); !names) {
      return names.error().with_context("SriovResourceFilter");
    }
  }
  if (auto decoded = decode_into(object, driver_name, filter); !decoded) {
    return decoded.error().with_context("SriovResourceFilter " + filter.to_string());
  }
  return filter;
}

NodeFilters filters_of_node(std::vector<ResourceFilter> filters, const Labels& node_labels) {
  static constexpr std::int64_t kUnknownAge = std::numeric_limits<std::int64_t>::max();
  std::ranges::sort(filters, [](const ResourceFilter& a, const ResourceFilter& b) {
    const std::int64_t age_a = a.created.value_or(kUnknownAge);
    const std::int64_t age_b = b.created.value_or(kUnknownAge);
    return std::tie(age_a, a.namespace_, a.name) < std::tie(age_b, b.namespace_, b.name);
  });
  NodeFilters result;
  for (auto& filter : filters) {
    std::string reason;
    for (const auto& [key, wanted] : filter.node_selector) {
      const auto label = node_labels.find(key);
      if (label != node_labels.end() && label->second == wanted) continue;
      reason = "nodeSelector wants " + key + "=" + wanted + ", the node has " +
               (label == node_labels.end() ? "no such label" : key + "=" + label->second);
      break;
    }
    if (reason.empty()) {
      result.applied.push_back(std::move(filter));
    } else {
      result.unselected.push_back({filter.to_string(), std::move(reason)});
    }
  }
  return result;
}

}  // namespace drasriov::policy
