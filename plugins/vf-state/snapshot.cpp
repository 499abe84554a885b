// SPDX-License-Identifier: Apache-2.0
#include "snapshot.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace drasriov::vf_state {
namespace {

using Json = nlohmann::json;

/// The member, or nothing when it is absent or of another type.
template <typename T>
std::optional<T> member(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) {
    return std::nullopt;
  }
  if constexpr (std::is_same_v<T, std::string>) {
    return found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
  } else if constexpr (std::is_same_v<T, bool>) {
    return found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
  } else {
    return found->is_number_unsigned() && found->get<std::uint64_t>() <= UINT32_MAX
               ? std::optional(static_cast<T>(found->get<std::uint64_t>()))
               : std::nullopt;
  }
}

/// The kernel takes any bytes for an alias (Documentation/ABI/testing/sysfs-class-net); a snapshot is JSON text.
bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

std::optional<Mac> mac_member(const Json& json) {
  const auto text = member<std::string>(json, "mac");
  return text ? parse_mac(*text) : std::nullopt;
}

Json to_json(const Netdev& netdev) {
  Json json = {{"name", netdev.name},
               {"mtu", netdev.mtu},
               {"randomMac", netdev.random_mac},
               {"up", netdev.up}};
  if (netdev.mac) {
    json["mac"] = to_text(*netdev.mac);
  }
  if (netdev.chosen_mac) {
    json["chosenMac"] = true;
  }
  if (netdev.alias && is_utf8(*netdev.alias)) {
    json["alias"] = *netdev.alias;
  }
  return json;
}

Json to_json(const VfSettings& settings) {
  Json json = Json::object();
  if (settings.mac) {
    json["mac"] = to_text(*settings.mac);
  }
  if (settings.vlan) {
    json["vlan"] = {{"id", settings.vlan->id},
                    {"qos", settings.vlan->qos},
                    {"protocol", settings.vlan->protocol}};
  }
  if (settings.rate) {
    json["rate"] = {{"min", settings.rate->min}, {"max", settings.rate->max}};
  }
  if (settings.spoof_check) {
    json["spoofCheck"] = *settings.spoof_check;
  }
  if (settings.trust) {
    json["trust"] = *settings.trust;
  }
  if (settings.link_state) {
    json["linkState"] = *settings.link_state;
  }
  return json;
}

std::optional<Netdev> netdev_of(const Json& json) {
  const auto name = member<std::string>(json, "name");
  const auto mtu = member<std::uint32_t>(json, "mtu");
  const auto random = member<bool>(json, "randomMac");
  const auto up = member<bool>(json, "up");
  if (!name || !mtu || !random || !up) {
    return std::nullopt;
  }
  return Netdev{.name = *name,
                .mtu = *mtu,
                .mac = mac_member(json),
                .random_mac = *random,
                .up = *up,
                .chosen_mac = member<bool>(json, "chosenMac").value_or(false),
                .alias = member<std::string>(json, "alias")};
}

VfSettings settings_of(const Json& json) {
  VfSettings settings;
  settings.mac = mac_member(json);
  if (const auto vlan = json.find("vlan"); vlan != json.end() && vlan->is_object()) {
    const auto id = member<std::uint32_t>(*vlan, "id");
    const auto qos = member<std::uint32_t>(*vlan, "qos");
    const auto protocol = member<std::uint16_t>(*vlan, "protocol");
    if (id && qos && protocol) {
      settings.vlan = {*id, *qos, *protocol};
    }
  }
  if (const auto rate = json.find("rate"); rate != json.end() && rate->is_object()) {
    const auto min = member<std::uint32_t>(*rate, "min");
    const auto max = member<std::uint32_t>(*rate, "max");
    if (min && max) {
      settings.rate = {*min, *max};
    }
  }
  settings.spoof_check = member<bool>(json, "spoofCheck");
  settings.trust = member<bool>(json, "trust");
  settings.link_state = member<std::uint32_t>(json, "linkState");
  return settings;
}

template <typename T>
void keep_change(const std::optional<T>& now, const std::optional<T>& wanted,
                 std::optional<T>& change) {
  if (now && wanted && *now != *wanted) {
    change = wanted;
  }
}

}  // namespace

std::string to_text(const Mac& mac) {
  std::array<char, 18> text{};
  (void)std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                      mac[2], mac[3], mac[4], mac[5]);
  return text.data();
}

std::optional<Mac> parse_mac(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Mac mac{};
  if (text.size() != mac.size() * 3 - 1) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const int high = digit(text[3 * i]);
    const int low = digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i + 1 < mac.size() && text[3 * i + 2] != ':')) {
      return std::nullopt;
    }
    mac[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return mac;
}

std::string Snapshot::to_text() const {
  Json json = {{"incarnation", incarnation}, {"driver", driver}};
  if (netdev) {
    json["netdev"] = to_json(*netdev);
  }
  if (!settings.empty()) {
    json["settings"] = to_json(settings);
  }
  return json.dump();
}

sdk::Result<Snapshot> Snapshot::parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const sdk::Error damaged(sdk::Code::kDataLoss, "the snapshot of the VF's settings cannot be read",
                           "compare the VF with others of its PF: ip link show dev PF");
  if (!json.is_object()) {
    return damaged;
  }
  const auto incarnation = member<std::string>(json, "incarnation");
  const auto driver = member<std::string>(json, "driver");
  if (!incarnation || !driver) {
    return damaged;
  }
  Snapshot snapshot{*incarnation, *driver, std::nullopt, {}};
  if (const auto netdev = json.find("netdev"); netdev != json.end()) {
    snapshot.netdev = netdev->is_object() ? netdev_of(*netdev) : std::nullopt;
    if (!snapshot.netdev) {
      return damaged;
    }
  }
  if (const auto settings = json.find("settings"); settings != json.end()) {
    if (!settings->is_object()) {
      return damaged;
    }
    snapshot.settings = settings_of(*settings);
  }
  return snapshot;
}

VfSettings as_set_by_hand(VfSettings settings, const std::optional<Netdev>& netdev) {
  const bool its_own = netdev && (netdev->random_mac || netdev->chosen_mac);
  if (its_own && settings.mac && settings.mac == netdev->mac) {
    settings.mac = Mac{};
  }
  return settings;
}

VfSettings difference(const VfSettings& now, const VfSettings& wanted) {
  VfSettings change;
  keep_change(now.mac, wanted.mac, change.mac);
  keep_change(now.vlan, wanted.vlan, change.vlan);
  keep_change(now.rate, wanted.rate, change.rate);
  keep_change(now.spoof_check, wanted.spoof_check, change.spoof_check);
  keep_change(now.trust, wanted.trust, change.trust);
  keep_change(now.link_state, wanted.link_state, change.link_state);
  return change;
}

LinkChange difference(const Netdev& now, const Netdev& wanted) {
  LinkChange change;
  if (now.name != wanted.name) {
    change.name = wanted.name;
  }
  if (now.mtu != wanted.mtu) {
    change.mtu = wanted.mtu;
  }
  if (!wanted.random_mac || now.chosen_mac) {
    keep_change(now.mac, wanted.mac, change.mac);
  }
  keep_change(now.alias, wanted.alias, change.alias);
  if (now.up != wanted.up) {
    change.up = wanted.up;
  }
  return change;
}

}  // namespace drasriov::vf_state
