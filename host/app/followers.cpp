// SPDX-License-Identifier: Apache-2.0
#include "host/app/followers.hpp"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

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

std::string name_of(const Json& object) {
  const Json::json_pointer path("/metadata/name");
  return object.contains(path) && object[path].is_string() ? object[path].get<std::string>()
                                                           : std::string();
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

void NodeFollower::replaced(const std::vector<Json>& objects) {
  last_failure_.clear();
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

void FilterFollower::replaced(const std::vector<Json>& objects) {
  last_failure_.clear();
  filters_.clear();
  for (const Json& object : objects) put(object);
  hand_over();
}

void FilterFollower::changed(const Json& object) {
  put(object);
  hand_over();
}

void FilterFollower::removed(const Json& object) {
  filters_.erase(name_of(object));
  hand_over();
}

void FilterFollower::failed(const Error& error) {
  if (error.code() == Code::kNotFound) {  // without the CRD there are no filters
    filters_.clear();
    hand_over();
  }
  if (!is_news(error, last_failure_)) return;
  log_.warning(error.with_context("follow SriovResourceFilters"));
}

void FilterFollower::put(const Json& object) {
  auto filter = policy::decode_resource_filter(object, driver_name_);
  if (!filter) {
    log_.warning(filter.error());
    filters_.erase(name_of(object));
    return;
  }
  std::string name = filter->name;
  filters_.insert_or_assign(std::move(name), *std::move(filter));
}

void FilterFollower::hand_over() {
  std::vector<policy::ResourceFilter> filters;
  filters.reserve(filters_.size());
  for (const auto& [name, filter] : filters_) filters.push_back(filter);
  control_.set_filters(std::move(filters));
}

Followers::Followers(cluster::ClusterApi& api, Control& control, publish::SliceWriter& slices,
                     telemetry::Log& log, const Names& names)
    : node_(control, log, names.node),
      filters_(control, log, names.driver),
      reflector_(api) {
  reflector_.follow(cluster::nodes(), {.fields = {{"metadata.name", names.node}}}, node_);
  reflector_.follow(cluster::resource_filters(names.driver), {.namespace_ = names.filter_namespace},
                    filters_);
  reflector_.follow(cluster::resource_slices(), slices.selector(), slices);
}

}  // namespace drasriov::app
