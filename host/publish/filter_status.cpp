// SPDX-License-Identifier: Apache-2.0
#include "host/publish/filter_status.hpp"

#include <nlohmann/json.hpp>

#include "host/publish/event_object.hpp"

namespace drasriov::publish {
namespace {

using nlohmann::json;

constexpr std::string_view kAccepted = "Accepted";
/// Limit of the API for a condition's message (metav1.Condition).
constexpr std::size_t kMaxMessage = 32768;

/// The member, or null where `object` has none.
const json& member(const json& object, const char* key) {
  static const json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t number(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::optional<Accepted> accepted_of(const json& object) {
  const json& conditions = member(member(object, "status"), "conditions");
  if (!conditions.is_array()) return std::nullopt;
  for (const json& condition : conditions) {
    if (text(condition, "type") != kAccepted) continue;
    return Accepted{text(condition, "status") == "True", number(condition, "observedGeneration"),
                    text(condition, "lastTransitionTime")};
  }
  return std::nullopt;
}

}  // namespace

FilterState filter_state(const json& object) {
  const json& metadata = member(object, "metadata");
  FilterState filter;
  filter.namespace_ = text(metadata, "namespace");
  filter.name = text(metadata, "name");
  filter.uid = text(metadata, "uid");
  filter.resource_version = text(metadata, "resourceVersion");
  filter.generation = number(metadata, "generation");
  filter.accepted = accepted_of(object);
  return filter;
}

std::optional<Verdict> missing_verdict(const FilterState& filter, bool applied,
                                       std::string_view node_name) {
  if (filter.generation == 0 || filter.resource_version.empty()) return std::nullopt;
  const bool told = filter.accepted && filter.accepted->observed_generation == filter.generation;
  if (!filter.error.empty()) {
    if (told) return std::nullopt;
    return Verdict{false, "Invalid", filter.error};
  }
  if (!applied || (told && filter.accepted->holds)) return std::nullopt;
  return Verdict{true, "Applied", "applied first on node " + std::string(node_name)};
}

json filter_status_object(std::string_view driver_name, const FilterState& filter,
                          const Verdict& verdict, Time now) {
  const bool same = filter.accepted && filter.accepted->holds == verdict.holds &&
                    !filter.accepted->last_transition.empty();
  json condition = {{"type", kAccepted},
                    {"status", verdict.holds ? "True" : "False"},
                    {"observedGeneration", filter.generation},
                    {"lastTransitionTime", same ? filter.accepted->last_transition : api_time(now)},
                    {"reason", verdict.reason},
                    {"message", cut_text(verdict.message, kMaxMessage)}};
  return {{"apiVersion", std::string(driver_name) + "/v1alpha1"},
          {"kind", "SriovResourceFilter"},
          {"metadata",
           {{"namespace", filter.namespace_},
            {"name", filter.name},
            {"uid", filter.uid},
            {"resourceVersion", filter.resource_version}}},
          {"status", {{"conditions", json::array({std::move(condition)})}}}};
}

}  // namespace drasriov::publish
