// SPDX-License-Identifier: Apache-2.0
#include "host/publish/claim_objects.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace drasriov::publish {
namespace {

using nlohmann::json;

// Limits of the API (events.k8s.io/v1 validation): a note has at most 1,024 bytes, an action 128.
constexpr std::size_t kMaxNote = 1024;
constexpr std::size_t kMaxMessage = 32768;

/// The first `limit` bytes, cut between characters.
std::string cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return std::string(text.substr(0, end));
}

/// "2026-01-02T03:04:05"
std::string utc_seconds(Time time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return {text.data(), size};
}

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
      {"message", cut(device.message, kMaxMessage)},
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

std::string api_time(Time time) {
  return utc_seconds(time) + "Z";
}

std::string api_micro_time(Time time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time - whole).count();
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>(micros));
  return utc_seconds(time) + fraction.data();
}

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

json claim_event_object(const Reporter& reporter, const claim::ClaimRef& claim, bool warning,
                        std::string_view reason, std::string_view note, Time first, Time last,
                        int count) {
  json event = {
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata",
       {{"namespace", claim.namespace_}, {"generateName", claim.name.substr(0, 40) + "."}}},
      {"eventTime", api_micro_time(first)},
      {"reportingController", reporter.controller},
      {"reportingInstance", cut(reporter.instance, 128)},
      {"action", "Prepare"},
      {"reason", reason},
      {"note", cut(note, kMaxNote)},
      {"type", warning ? "Warning" : "Normal"},
      {"regarding",
       {{"apiVersion", "resource.k8s.io/v1"},
        {"kind", "ResourceClaim"},
        {"namespace", claim.namespace_},
        {"name", claim.name},
        {"uid", claim.uid}}}};
  if (count > 1) event["series"] = {{"count", count}, {"lastObservedTime", api_micro_time(last)}};
  return event;
}

}  // namespace drasriov::publish
