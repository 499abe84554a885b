// SPDX-License-Identifier: Apache-2.0
#include "host/app/claims_text.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "host/app/json_text.hpp"
#include "host/app/table.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

std::string claim_name(const json& claim) {
  const std::string name = text_of(claim, "name");
  return name.empty() ? std::string() : text_of(claim, "namespace") + "/" + name;
}

/// "40s", "3m", "7h", "12d": the whole of the largest unit of which there are two, or of the smallest.
std::string age_text(const json& claim) {
  const json& age = member_of(claim, "ageSeconds");
  if (!age.is_number_integer()) return {};
  const auto seconds = age.get<std::int64_t>();
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  if (seconds < 172800) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

/// The driver that a device has now: as seen on the machine, else as the record says it was made.
std::string driver_now(const json& device) {
  const json& seen = member_of(device, "driverNow");
  return seen.is_string() ? seen.get<std::string>() : text_of(device, "driverPrepared");
}

std::string driver_text(const std::string& name) {
  return name.empty() ? "none" : name;
}

template <typename Text>
std::string joined(const json::array_t& items, Text text) {
  std::string out;
  std::set<std::string> seen;
  for (const json& item : items) {
    std::string one = text(item);
    if (one.empty() || !seen.insert(one).second) continue;
    out += (out.empty() ? "" : ",") + one;
  }
  return out;
}

std::string state_text(const json& claim) {
  return text_of(claim, "state") + (is_true(claim, "earlierBoot") ? ", earlier boot" : "");
}

/// The first line: a message of a module may have many.
std::string first_line(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

json::array_t attachments_of(const json& claim) {
  json::array_t all;
  for (const json& device : list_of(claim, "devices")) {
    for (const json& attachment : list_of(device, "attachments")) all.push_back(attachment);
  }
  return all;
}

std::vector<std::string> row(const json& claim, bool wide) {
  const auto& devices = list_of(claim, "devices");
  const auto member = [](const char* name) {
    return [name](const json& object) { return text_of(object, name); };
  };
  std::vector<std::string> cells = {
      claim_name(claim),
      state_text(claim),
      joined(devices, member("device")),
      joined(devices,
             [](const json& device) {
               const std::string before = driver_text(text_of(device, "driverBefore"));
               const std::string now = driver_text(driver_now(device));
               return before == now ? now : before + "->" + now;
             }),
      joined(list_of(claim, "consumers"), member("name")),
      age_text(claim),
  };
  if (wide) {
    cells.push_back(text_of(claim, "uid"));
    cells.push_back(joined(devices, member("interface")));
    cells.push_back(joined(attachments_of(claim), member("sandbox")));
    cells.push_back(text_of(claim, "lastChange"));
  }
  cells.push_back(first_line(text_of(claim, "lastError")));
  // Who has no name is known by the UID.
  if (cells.front().empty()) cells.front() = text_of(claim, "uid");
  return cells;
}

void add_device(std::vector<TitledLine>& lines, const json& device) {
  std::string text = text_of(device, "device");
  if (const auto address = text_of(device, "pciAddress"); !address.empty()) text += ", " + address;
  text += ", request " + text_of(device, "request");
  if (is_true(device, "adminAccess")) text += ", admin access";
  lines.push_back({"Device", text});
  std::string drivers = driver_text(text_of(device, "driverBefore")) + " before, " +
                        driver_text(text_of(device, "driverPrepared")) + " for the pod";
  const json& now = member_of(device, "driverNow");
  drivers += now.is_string() ? ", " + driver_text(now.get<std::string>()) + " now" : "";
  lines.push_back({"  driver", drivers});
  lines.push_back({"  interface", text_of(device, "interface")});
  lines.push_back({"  network", text_of(device, "netAttachDef")});
  for (const json& module : list_of(device, "modules"))
    lines.push_back(
        {"  module", text_of(module, "name") + (is_true(module, "undone") ? ", undone" : "")});
  for (const json& id : list_of(device, "cdiDevices")) {
    if (id.is_string()) lines.push_back({"  CDI", id.get<std::string>()});
  }
  for (const json& attachment : list_of(device, "attachments"))
    lines.push_back({"  sandbox", text_of(attachment, "sandbox") + " of pod " +
                                      text_of(attachment, "pod") + ", " +
                                      text_of(attachment, "state") + " as " +
                                      text_of(attachment, "interface")});
}

}  // namespace

Result<json> select_claims(const json& claims, const std::string& name) {
  if (name.empty()) return claims;
  json selected = json::array();
  std::vector<std::string> known;
  for (const json& claim : claims) {
    const std::string uid = text_of(claim, "uid");
    const std::string full_name = claim_name(claim);
    if (uid == name || full_name == name) selected.push_back(claim);
    known.push_back(uid);
    if (!full_name.empty()) known.push_back(full_name);
  }
  if (selected.empty()) return nothing_named("claim", name, std::move(known));
  return selected;
}

std::string format_claims(const json& claims, bool wide) {
  if (claims.empty()) return "No claims.\n";
  std::vector<std::string> header = {"CLAIM", "STATE", "DEVICES", "DRIVER", "PODS", "AGE"};
  if (wide) {
    for (const char* title : {"UID", "INTERFACE", "SANDBOX", "LAST CHANGE"})
      header.emplace_back(title);
  }
  header.emplace_back("LAST ERROR");
  std::vector<std::vector<std::string>> rows;
  for (const json& claim : claims) rows.push_back(row(claim, wide));
  return format_table(header, rows);
}

std::string format_claims_in_full(const json& claims) {
  std::string out;
  for (const json& claim : claims) {
    if (!out.empty()) out += "\n";
    const std::string name = claim_name(claim);
    out += (name.empty() ? text_of(claim, "uid") : name) + "\n";
    std::vector<TitledLine> lines = {{"UID", text_of(claim, "uid")},
                                     {"State", state_text(claim)},
                                     {"Last error", text_of(claim, "lastError")}};
    if (const std::string changed = text_of(claim, "lastChange"); !changed.empty())
      lines.push_back({"Last change", changed + ", " + age_text(claim) + " ago"});
    for (const json& consumer : list_of(claim, "consumers"))
      lines.push_back({"For", text_of(consumer, "resource") + " " + text_of(consumer, "name") +
                                  ", UID " + text_of(consumer, "uid")});
    for (const json& device : list_of(claim, "devices")) add_device(lines, device);
    out += format_titled(lines);
  }
  return out;
}

}  // namespace drasriov::app
