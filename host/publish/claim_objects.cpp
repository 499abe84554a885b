// SPDX-License-Identifier: Apache-2.0
#include "host/publish/claim_objects.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace drasriov::publish {
namespace {

using nlohmann::json;

/// Limit of the API for a condition's message.
constexpr std::size_t kMaxMessage = 32768;

bool same_device(const json& entry, const claim::DeviceStatus& device) {
  return entry.value("driver", "") == device.driver && entry.value("pool", "") == device.pool &&
         entry.value("device", "") == device.device &&
         entry.value("shareID", "") == device.share_id.value_or("");
}

/// The condition of `type` of this device in what was applied before, or null.
json previous_condition(const json& previous, const claim::DeviceStatus& device,
                        std::string_view type) {
  if (!previous.is_object()) return nullptr;
  const json entries = previous.value(json::json_pointer("/status/devices"), json::array());
  for (const json& entry : entries) {
    if (!same_device(entry, device)) continue;
    for (const json& condition : entry.value("conditions", json::array())) {
      if (condition.value("type", "") == type) return condition;
    }
  }
  return nullptr;
}

json condition_of(const claim::DeviceStatus& device, std::string_view type, bool holds,
                  const json& previous, Time now) {
  json condition = {
      {"type", type},
      {"status", holds ? "True" : "False"},
      {"reason", device.reason.empty() ? (holds ? "Ready" : "NotReady") : device.reason},
      {"message", cut_text(device.message, kMaxMessage)},
      {"lastTransitionTime", api_time(now)}};
  const json before = previous_condition(previous, device, type);
  if (before.is_object() && before["status"] == condition["status"]) {
    condition["lastTransitionTime"] = before["lastTransitionTime"];
  }
  return condition;
}

json entry_of(const claim::DeviceStatus& device, const json& previous, Time now) {
  json entry = {{"driver", device.driver}, {"pool", device.pool}, {"device", device.device}};
  if (device.share_id) entry["shareID"] = *device.share_id;
  entry["conditions"] = json::array({condition_of(device, "Ready", device.ready, previous, now)});
  if (device.has_network) {
    entry["conditions"].push_back(
        condition_of(device, "NetworkReady", device.network_ready, previous, now));
  }
  json data = json::parse(device.config_json, nullptr, false);
  if (data.is_object()) entry["data"] = std::move(data);
  json network = json::object();
  if (!device.interface_name.empty()) network["interfaceName"] = device.interface_name;
  if (!device.ips.empty()) network["ips"] = device.ips;
  if (!device.hardware_address.empty()) network["hardwareAddress"] = device.hardware_address;
  if (!network.empty()) entry["networkData"] = std::move(network);
  return entry;
}

}  // namespace

json claim_status_object(const claim::ClaimRef& claim,
                         const std::vector<claim::DeviceStatus>& devices, const json& previous,
                         Time now) {
  json entries = json::array();
  for (const auto& device : devices) entries.push_back(entry_of(device, previous, now));
  return {{"apiVersion", "resource.k8s.io/v1"},
          {"kind", "ResourceClaim"},
          {"metadata", {{"namespace", claim.namespace_}, {"name", claim.name}, {"uid", claim.uid}}},
          {"status", {{"devices", std::move(entries)}}}};
}

json written_status(const json& claim, const std::string& driver) {
  const json::json_pointer path("/status/devices");
  if (!claim.is_object() || !claim.contains(path) || !claim[path].is_array()) return nullptr;
  json entries = json::array();
  std::ranges::copy_if(claim[path], std::back_inserter(entries), [&](const json& entry) {
    return entry.is_object() && entry.value("driver", json()) == driver;
  });
  if (entries.empty()) return nullptr;
  return {{"status", {{"devices", std::move(entries)}}}};
}

Subject claim_subject(const claim::ClaimRef& claim) {
  return {"resource.k8s.io/v1", "ResourceClaim", claim.namespace_, claim.name, claim.uid};
}

}  // namespace drasriov::publish
