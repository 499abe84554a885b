// SPDX-License-Identifier: Apache-2.0
#include "host/publish/event_object.hpp"

#include <nlohmann/json.hpp>

namespace drasriov::publish {
namespace {

using nlohmann::json;

// Limits of the API (events.k8s.io/v1 validation): a note has at most 1,024 bytes, the reporting
// instance 128.
constexpr std::size_t kMaxNote = 1024;
constexpr std::size_t kMaxInstance = 128;
/// The server adds to it, and the whole is a DNS name; so must be what is before the "-" at its end,
/// the only end that it takes beside letters and digits.
constexpr std::size_t kMaxNamePrefix = 40;

/// Events about cluster-scoped objects live here.
constexpr std::string_view kNamespaceOfClusterScoped = "default";

std::string name_prefix(std::string_view name) {
  std::string prefix(name.substr(0, kMaxNamePrefix));
  while (!prefix.empty() && (prefix.back() == '.' || prefix.back() == '-')) prefix.pop_back();
  return prefix + "-";
}

}  // namespace

std::string cut_text(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return std::string(text.substr(0, end));
}

std::string Subject::to_string() const {
  return kind + " " + (namespace_.empty() ? name : namespace_ + "/" + name);
}

Subject node_subject(std::string_view node_name) {
  return {"v1", "Node", "", std::string(node_name), std::string(node_name)};
}

json event_object(const Reporter& reporter, const Event& event, Time first, Time last, int count) {
  const Subject& subject = event.regarding;
  json regarding = {
      {"apiVersion", subject.api_version}, {"kind", subject.kind}, {"name", subject.name}};
  if (!subject.namespace_.empty()) regarding["namespace"] = subject.namespace_;
  if (!subject.uid.empty()) regarding["uid"] = subject.uid;
  const std::string space =
      subject.namespace_.empty() ? std::string(kNamespaceOfClusterScoped) : subject.namespace_;
  json object = {{"apiVersion", "events.k8s.io/v1"},
                 {"kind", "Event"},
                 {"metadata", {{"namespace", space}, {"generateName", name_prefix(subject.name)}}},
                 {"eventTime", api_micro_time(first)},
                 {"reportingController", reporter.controller},
                 {"reportingInstance", cut_text(reporter.instance, kMaxInstance)},
                 {"action", event.action},
                 {"reason", event.reason},
                 {"note", cut_text(event.note, kMaxNote)},
                 {"type", event.warning ? "Warning" : "Normal"},
                 {"regarding", std::move(regarding)}};
  if (count > 1) object["series"] = {{"count", count}, {"lastObservedTime", api_micro_time(last)}};
  return object;
}

}  // namespace drasriov::publish
