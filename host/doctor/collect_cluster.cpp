// SPDX-License-Identifier: Apache-2.0
//
// What the API server, or the folder in its place, lets this driver do.
#include <charconv>
#include <nlohmann/json.hpp>

#include "host/doctor/collect.hpp"

namespace drasriov::doctor {
namespace {

using ApiObject = nlohmann::json;

void ask(std::string what, const Status& status, Facts& facts) {
  ApiAccess access;
  access.what = std::move(what);
  access.code = status ? "OK" : std::string(code_name(status.error().code()));
  if (!status) access.message = status.error().to_string();
  facts.cluster.access.push_back(std::move(access));
}

template <typename T>
Status status_of(const Result<T>& result) {
  return result ? Status() : Status(result.error());
}

/// Success when the answer is that there is no such object: reading was allowed.
template <typename T>
Status readable(const Result<T>& result) {
  if (result || result.error().code() == Code::kNotFound) return {};
  return result.error();
}

std::string text_at(const ApiObject& object, const char* pointer) {
  const ApiObject::json_pointer path(pointer);
  return object.contains(path) && object[path].is_string() ? object[path].get<std::string>()
                                                           : std::string();
}

/// Whether the rest would only say the same.
bool is_unreachable(const Status& status) {
  return !status && (status.error().code() == Code::kUnavailable ||
                     status.error().code() == Code::kDeadlineExceeded);
}

/// Created to be answered, never stored. An API server has it, a folder does not.
const cluster::Resource& self_subject_access_reviews() {
  static const cluster::Resource resource{"authorization.k8s.io", "v1", "selfsubjectaccessreviews",
                                          "SelfSubjectAccessReview", false};
  return resource;
}

/// Before it nobody asks for "resourceclaims/driver".
constexpr int kMinorOfDriverStatus = 36;

int minor_of(std::string_view version) {
  const auto dot = version.find('.');
  int minor = 0;
  if (dot != std::string_view::npos) {
    version.remove_prefix(dot + 1);
    std::from_chars(version.data(), version.data() + version.size(), minor);
  }
  return minor;
}

/// Something that the driver does and doctor must not try.
struct Right {
  std::string_view verb;
  cluster::Resource resource;
  std::string_view subresource;
  cluster::ObjectKey object;  ///< empty parts stand for any

  [[nodiscard]] std::string to_string() const {
    std::string text = std::string(verb) + " " + resource.plural;
    if (!resource.group.empty()) text += "." + resource.group;
    if (!subresource.empty()) text.append("/").append(subresource);
    return text;
  }
};

std::vector<Right> rights_of(const Facts& facts) {
  const Setup& setup = facts.setup;
  const cluster::Resource filters = cluster::resource_filters(setup.driver_name);
  const cluster::Resource& slices = cluster::resource_slices();
  std::vector<Right> rights = {
      {"watch", cluster::nodes(), "", {"", setup.node_name}},
      {"watch", filters, "", {setup.filter_namespace, ""}},
      {"watch", slices, "", {}},
      {"create", slices, "", {}},
      {"update", slices, "", {}},
      {"delete", slices, "", {}},
      {"patch", cluster::resource_claims(), "status", {}},
      {"create", cluster::events(), "", {}},
  };
  if (minor_of(facts.kubelet.version) >= kMinorOfDriverStatus) {
    rights.push_back(
        {"associated-node:patch", cluster::resource_claims(), "driver", {"", setup.driver_name}});
  }
  return rights;
}

struct Verdict {
  bool allowed = false;
  std::string reason;
};

Result<Verdict> review(cluster::ClusterApi& cluster, const Right& right, Deadline deadline) {
  ApiObject attributes{{"verb", right.verb},
                       {"group", right.resource.group},
                       {"version", right.resource.version},
                       {"resource", right.resource.plural}};
  if (!right.subresource.empty()) attributes["subresource"] = right.subresource;
  if (!right.object.namespace_.empty()) attributes["namespace"] = right.object.namespace_;
  if (!right.object.name.empty()) attributes["name"] = right.object.name;
  const cluster::Resource& reviews = self_subject_access_reviews();
  const ApiObject question{{"apiVersion", reviews.api_version()},
                           {"kind", reviews.kind},
                           {"spec", {{"resourceAttributes", std::move(attributes)}}}};
  const auto answer = cluster.create(reviews, question, deadline);
  if (!answer) return answer.error();
  const ApiObject::json_pointer allowed("/status/allowed");
  Verdict verdict;
  verdict.allowed = answer->contains(allowed) && (*answer)[allowed] == true;
  verdict.reason = text_at(*answer, "/status/reason");
  if (verdict.reason.empty()) verdict.reason = text_at(*answer, "/status/evaluationError");
  return verdict;
}

void review_rights(cluster::ClusterApi& cluster, Deadline deadline, Facts& facts) {
  for (const Right& right : rights_of(facts)) {
    const auto verdict = review(cluster, right, deadline);
    if (!verdict) {  // the others would say the same
      ask("review access to " + right.to_string(), verdict.error(), facts);
      return;
    }
    Status status;
    if (!verdict->allowed) {
      status = Error(
          Code::kPermissionDenied,
          "no role grants it" + (verdict->reason.empty() ? "" : " (" + verdict->reason + ")"));
    }
    ask(right.to_string(), status, facts);
  }
}

/// Reading the other namespaces is a courtesy that a role for one namespace does not grant.
void look_for_filters_elsewhere(cluster::ClusterApi& cluster, Deadline deadline, Facts& facts) {
  const auto filters =
      cluster.list(cluster::resource_filters(facts.setup.driver_name), {{}, {}}, deadline);
  if (!filters) return;
  for (const ApiObject& filter : filters->items) {
    const std::string space = text_at(filter, "/metadata/namespace");
    if (space != facts.setup.filter_namespace)
      facts.cluster.filters_elsewhere.push_back(space + "/" + text_at(filter, "/metadata/name"));
  }
}

}  // namespace

void collect_cluster(cluster::ClusterApi& cluster, Deadline deadline, Facts& facts) {
  const Setup& setup = facts.setup;
  if (!setup.node_name.empty()) {
    const auto node = cluster.get(cluster::nodes(), {{}, setup.node_name}, deadline);
    ask("get nodes/" + setup.node_name, status_of(node), facts);
    if (is_unreachable(status_of(node))) return;
    if (node) {
      facts.kubelet.version = text_at(*node, "/status/nodeInfo/kubeletVersion");
      facts.runtime.version = text_at(*node, "/status/nodeInfo/containerRuntimeVersion");
    }
  }
  const auto filters = cluster.list(cluster::resource_filters(setup.driver_name),
                                    {setup.filter_namespace, {}}, deadline);
  ask("list sriovresourcefilters." + setup.driver_name, readable(filters), facts);
  look_for_filters_elsewhere(cluster, deadline, facts);
  // The driver never lists claims or attachments; a name that nobody has asks for the right to get them.
  const cluster::ObjectKey nobody{setup.filter_namespace, "dra-driver-sriov-doctor"};
  ask("get resourceclaims", readable(cluster.get(cluster::resource_claims(), nobody, deadline)),
      facts);
  ask("get network-attachment-definitions",
      readable(cluster.get(cluster::network_attachment_definitions(), nobody, deadline)), facts);
  cluster::Selector ours;
  ours.fields = {{"spec.driver", setup.driver_name}, {"spec.nodeName", setup.node_name}};
  ask("list resourceslices", status_of(cluster.list(cluster::resource_slices(), ours, deadline)),
      facts);
  if (setup.cluster == "kube") review_rights(cluster, deadline, facts);
}

void note_unreachable_cluster(const Error& error, Facts& facts) {
  ask("reach the API (cluster: " + facts.setup.cluster + ")", error, facts);
}

}  // namespace drasriov::doctor
