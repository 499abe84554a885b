// SPDX-License-Identifier: Apache-2.0
#include "host/app/explain_text.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/app/json_text.hpp"
#include "host/app/table.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kNames = {"device", "pciAddress", "interface", "pf",
                                                    "pfPciAddress"};

bool is_meant(const json& device, const std::string& name) {
  return std::ranges::any_of(
      kNames, [&](std::string_view member) { return text_of(device, member) == name; });
}

std::string number_text(const json& value) {
  return value.is_number() ? value.dump() : std::string();
}

/// "configs[0].resourceFilters[1]"
std::string place_of(const json& attempt) {
  std::string place = "configs[" + number_text(member_of(attempt, "config")) + "]";
  const std::string filter = number_text(member_of(attempt, "filter"));
  return filter.empty() ? place : place + ".resourceFilters[" + filter + "]";
}

std::string published_text(const json& device) {
  const json& published = member_of(device, "published");
  if (!published.is_boolean()) return "?";
  return published.get<bool>() ? "yes" : "no";
}

std::string holder_text(const json& device) {
  const json& holder = member_of(device, "heldBy");
  if (!holder.is_object()) return {};
  return text_of(holder, "namespace") + "/" + text_of(holder, "name") + " (" +
         text_of(holder, "state") + ")";
}

std::string health_text(const json& device) {
  if (!is_true(device, "present")) return holder_text(device).empty() ? "unknown" : "gone";
  return is_true(member_of(device, "health"), "healthy") ? "ok" : "unhealthy";
}

/// The PF by its interface, or by its address when it has none.
std::string pf_text(const json& device) {
  std::string netdev = text_of(device, "pf");
  return netdev.empty() ? text_of(device, "pfPciAddress") : netdev;
}

/// What a table has room for: the filter, or the sentence without what the other columns say.
std::string short_reason(const json& device) {
  const json& named = member_of(device, "namedBy");
  const bool published = is_true(device, "published");
  if (published && named.is_object()) return text_of(named, "object") + " " + place_of(named);
  const auto& attempts = list_of(device, "attempts");
  std::string reason = text_of(device, "reason");
  if (published) reason = "no filter names it";
  if (!named.is_object() && attempts.size() == 1)
    reason += ": " + text_of(attempts.front(), "reason");
  return reason;
}

void add_location(std::vector<TitledLine>& lines, const json& device) {
  std::string place = text_of(device, "pciAddress");
  const std::string index = text_of(device, "vfIndex");
  if (!index.empty()) place += ", VF " + index;
  const std::string pf = text_of(device, "pf");
  const std::string pf_address = text_of(device, "pfPciAddress");
  if (!pf.empty() || !pf_address.empty()) {
    place += " of " + (pf.empty() ? pf_address : pf);
    if (!pf.empty() && !pf_address.empty()) place += " (" + pf_address + ")";
  }
  lines.push_back({"PCI address", place});
  lines.push_back({"Interface", text_of(device, "interface")});
  lines.push_back({"Driver", text_of(device, "driver")});
}

void add_decision(std::vector<TitledLine>& lines, const json& device) {
  std::string published = published_text(device);
  if (published == "?") published = "not known";
  if (const std::string name = text_of(device, "resourceName"); !name.empty())
    published += ", resourceName \"" + name + "\"";
  lines.push_back({"Published", published});
  lines.push_back({"Why", text_of(device, "reason")});
  for (const json& attempt : list_of(device, "attempts")) {
    lines.push_back(
        {"Asked", text_of(attempt, "object") + " " + place_of(attempt) + ": " +
                      (is_true(attempt, "matched") ? "matches" : text_of(attempt, "reason"))});
  }
  for (const json& conflict : list_of(device, "conflicts")) {
    lines.push_back({"Conflict", text_of(conflict, "loser") + " wants \"" +
                                     text_of(conflict, "loserResourceName") + "\"; " +
                                     text_of(conflict, "winner") + " is older and wins"});
  }
}

void add_holder(std::vector<TitledLine>& lines, const json& device) {
  const json& holder = member_of(device, "heldBy");
  if (!holder.is_object()) {
    lines.push_back({"Held by", "nobody"});
    return;
  }
  lines.push_back({"Held by", "claim " + holder_text(device) + ", UID " + text_of(holder, "uid")});
  for (const json& pod : list_of(holder, "pods"))
    lines.push_back({"For pod", text_of(pod, "name") + ", UID " + text_of(pod, "uid")});
}

}  // namespace

Result<json> select_devices(const json& devices, std::span<const std::string> names) {
  if (names.empty()) return devices;
  for (const std::string& name : names) {
    const bool found =
        std::ranges::any_of(devices, [&](const json& device) { return is_meant(device, name); });
    if (found) continue;
    std::vector<std::string> known;
    for (const json& device : devices) {
      for (const std::string_view member : kNames) {
        if (std::string text = text_of(device, member); !text.empty())
          known.push_back(std::move(text));
      }
    }
    return nothing_named("device", name, std::move(known));
  }
  json selected = json::array();
  for (const json& device : devices) {
    const bool wanted =
        std::ranges::any_of(names, [&](const std::string& name) { return is_meant(device, name); });
    if (wanted) selected.push_back(device);
  }
  return selected;
}

std::string format_explanations(const json& devices) {
  if (devices.empty())
    return "No virtual functions. A PF makes them when sriov_numvfs is written.\n";
  std::vector<std::vector<std::string>> rows;
  for (const json& device : devices) {
    rows.push_back({text_of(device, "device"), pf_text(device), published_text(device),
                    text_of(device, "resourceName"), holder_text(device), health_text(device),
                    short_reason(device)});
  }
  return format_table({"DEVICE", "PF", "PUBLISHED", "RESOURCE", "HELD BY", "HEALTH", "WHY"}, rows);
}

std::string format_explanations_in_full(const json& devices) {
  std::string out;
  for (const json& device : devices) {
    if (!out.empty()) out += "\n";
    out += text_of(device, "device") + "\n";
    std::vector<TitledLine> lines;
    add_location(lines, device);
    add_decision(lines, device);
    add_holder(lines, device);
    const std::string message = text_of(member_of(device, "health"), "message");
    lines.push_back({"Health", health_text(device) + (message.empty() ? "" : ": " + message)});
    for (const json& problem : list_of(device, "problems")) {
      if (problem.is_string()) lines.push_back({"Problem", problem.get<std::string>()});
    }
    out += format_titled(lines);
  }
  return out;
}

}  // namespace drasriov::app
