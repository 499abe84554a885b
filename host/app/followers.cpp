// SPDX-License-Identifier: Apache-2.0
#include "host/app/followers.hpp"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "host/app/node_events.hpp"

namespace drasriov::app {
namespace {

using cluster::Json;

/// Whether it differs from the failure before; the reflector reports each attempt.
bool is_news(const Error& error, std::string& last) {
  std::string text = error.to_string();
  if (text == last) return false;
  last = std::move(text);
  return true;
}

std::string text_at(const Json& object, const char* pointer) {
  const Json::json_pointer path(pointer);
  return object.contains(path) && object[path].is_string() ? object[path].get<std::string>()
                                                           : std::string();
}

std::string name_of(const Json& object) {
  return text_at(object, "/metadata/name");
}

}  // namespace

policy::Labels labels_of(const Json& object) {
  policy::Labels labels;
  const Json::json_pointer path("/metadata/labels");
  if (!object.contains(path) || !object[path].is_object()) return labels;
  for (const auto& [key, value] : object[path].items()) {
    if (value.is_string()) labels.emplace(key, value.get<std::string>());
  }
  return labels;
}

void NodeFollower::resumed() {
  last_failure_.clear();  // the next one is news again
}

void NodeFollower::replaced(const std::vector<Json>& objects) {
  resumed();
  if (objects.empty()) {
    log_.warning("node " + node_name_ +
                     ": no such Node object, so no filter with a nodeSelector applies — hint: "
                     "nodeName must be the "
                     "name that kubelet registered",
                 {{telemetry::key::kNode, node_name_}});
    control_.set_node_labels({});
    return;
  }
  changed(objects.front());
}

void NodeFollower::changed(const Json& object) {
  control_.set_node_labels(labels_of(object));
}

// Kubelet makes the object anew; until then the last labels are the best guess.
void NodeFollower::removed(const Json& /*object*/) {}

void NodeFollower::failed(const Error& error) {
  if (!is_news(error, last_failure_)) return;
  log_.warning(error.with_context("follow the node's labels"),
               {{telemetry::key::kNode, node_name_}});
}

void FilterFollower::resumed() {
  last_failure_.clear();
  followed(true);
}

void FilterFollower::replaced(const std::vector<Json>& objects) {
  resumed();
  Filters filters;
  states_.clear();
  for (const Json& object : objects) put(object, filters_, filters);
  filters_ = std::move(filters);
  hand_over();
}

void FilterFollower::changed(const Json& object) {
  put(object, filters_, filters_);
  hand_over();
}

void FilterFollower::removed(const Json& object) {
  filters_.erase(name_of(object));
  states_.erase(name_of(object));
  hand_over();
}

void FilterFollower::failed(const Error& error) {
  const bool missing = error.code() == Code::kNotFound;  // without the CRD there are no filters
  const bool forbidden = error.code() == Code::kPermissionDenied;
  if (missing) {
    filters_.clear();
    states_.clear();
  }
  // Devices are of use without names; what was known before the right was taken away stays.
  if (missing || (forbidden && !handed_over_)) hand_over();
  if (!is_news(error, last_failure_)) return;
  voices_.log.warning(error.with_context("follow SriovResourceFilters"));
  followed(false);
  if (missing || forbidden) voices_.events(filters_event(error, node_name_));
}

void FilterFollower::put(const Json& object, const Filters& known, Filters& filters) {
  const std::string name = name_of(object);
  publish::FilterState& state = states_[name] = publish::filter_state(object);
  auto filter = policy::decode_resource_filter(object, driver_name_);
  if (filter) {
    filters.insert_or_assign(name, *std::move(filter));
    return;
  }
  Error error = filter.error();
  if (const auto before = known.find(name);
      before != known.end() && before->second.uid == state.uid) {
    error = error.with_context("the filter stays in force as it was before");
    filters.insert_or_assign(name, policy::ResourceFilter(before->second));
  } else {
    filters.erase(name);
  }
  state.error = error.to_string();
  voices_.log.warning(error);
  voices_.events({filter_subject(driver_name_, state.to_string(), state.uid), "Filter", true,
                  "InvalidFilter", state.error});
}

void FilterFollower::hand_over() {
  std::vector<policy::ResourceFilter> filters;
  filters.reserve(filters_.size());
  for (const auto& [name, filter] : filters_) filters.push_back(filter);
  std::vector<policy::NodeFilters::LeftOut> invalid;
  std::vector<publish::FilterState> states;
  states.reserve(states_.size());
  for (const auto& [name, state] : states_) {
    if (!state.error.empty()) invalid.push_back({state.to_string(), state.error});
    states.push_back(state);
  }
  voices_.filters(std::move(states));
  handed_over_ = true;
  control_.set_filters(std::move(filters), std::move(invalid));
}

void FilterFollower::followed(bool holds) {
  voices_.metrics.gauge_set("drasriov_filters_followed", {}, holds ? 1 : 0);
}

Followers::Followers(cluster::ClusterApi& api, Control& control, publish::SliceWriter& slices,
                     FilterFollower::Voices voices, const Names& names)
    : node_(control, voices.log, names.node),
      filters_(control, std::move(voices), names.driver, names.node),
      reflector_(api) {
  reflector_.follow(cluster::nodes(), {.fields = {{"metadata.name", names.node}}}, node_);
  reflector_.follow(cluster::resource_filters(names.driver), {.namespace_ = names.filter_namespace},
                    filters_);
  reflector_.follow(cluster::resource_slices(), slices.selector(), slices);
}

}  // namespace drasriov::app
