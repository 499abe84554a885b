// SPDX-License-Identifier: Apache-2.0
#include "host/claim/checkpoint.hpp"

#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "host/base/names.hpp"
#include "host/claim/allocation.hpp"
#include "host/device/pci_address.hpp"

namespace drasriov::claim {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBeforeSum = R"({"checksum":)";
/// The Go driver nests its values 9 deep; what is deeper must not reach anything recursive.
constexpr std::size_t kMaxDepth = 32;

/// Why one claim, or the whole file, cannot be read. Thrown and caught in this file only.
struct Malformed {
  std::string what;
};

Error lost(std::string what) {
  return Error(Code::kDataLoss, std::move(what));
}

/// Bounded and without control bytes: names in a damaged file can be anything.
std::string shown(std::string_view text) {
  constexpr std::size_t kLimit = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kLimit)) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(byte < 0x20 || byte > 0x7e ? '?' : c);
  }
  return out + (text.size() > kLimit ? "…\"" : "\"");
}

/// The tree, or what is wrong with the text. A name that is there twice is refused: a reader that
/// takes the other one would see another file.
Result<Json> parse(std::string_view text) {
  std::vector<std::set<std::string>> names;
  std::size_t depth = 0;
  std::string problem;
  const auto look = [&](int /*depth*/, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start: names.emplace_back(); [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (++depth > kMaxDepth && problem.empty())
          problem = "it is nested deeper than " + std::to_string(kMaxDepth) + " levels";
        break;
      case Json::parse_event_t::object_end: names.pop_back(); [[fallthrough]];
      case Json::parse_event_t::array_end: --depth; break;
      case Json::parse_event_t::key: {
        const auto& name = parsed.get_ref<const std::string&>();
        if (!names.back().insert(name).second && problem.empty())
          problem = shown(name) + " is there twice";
        break;
      }
      case Json::parse_event_t::value: break;
    }
    return problem.empty();
  };
  Json json = Json::parse(text, look, /*allow_exceptions=*/false);
  if (!problem.empty()) return lost(problem);
  if (json.is_discarded()) return lost("it is not valid JSON: cut short, or changed");
  return json;
}

/// A member; null and absent are the same, as in Go.
const Json* go_member(const Json& object, std::string_view name) {
  if (!object.is_object()) throw Malformed{"an object is expected around " + std::string(name)};
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& needed(const Json& object, std::string_view name) {
  const Json* found = go_member(object, name);
  if (found == nullptr) throw Malformed{std::string(name) + " is missing"};
  return *found;
}

/// Text that is empty, or passes `check`.
template <typename Check>
std::string text(const Json& object, std::string_view name, Check check) {
  const Json* found = go_member(object, name);
  if (found == nullptr) return {};
  if (!found->is_string()) throw Malformed{std::string(name) + " is not a string"};
  auto value = found->get<std::string>();
  if (!value.empty() && !check(value))
    throw Malformed{std::string(name) + ": " + shown(value) + " cannot be that"};
  return value;
}

template <typename Check>
std::string name(const Json& object, std::string_view key, Check check) {
  auto value = text(object, key, check);
  if (value.empty()) throw Malformed{std::string(key) + " is missing"};
  return value;
}

bool any_text(std::string_view) {
  return true;
}

bool is_request(std::string_view request) {
  const std::string_view base = base_request(request);
  return is_dns_label(base) &&
         (base.size() == request.size() || is_dns_label(request.substr(base.size() + 1)));
}

std::vector<std::string> texts(const Json& object, std::string_view key) {
  std::vector<std::string> out;
  const Json* found = go_member(object, key);
  if (found == nullptr) return out;
  if (!found->is_array()) throw Malformed{std::string(key) + " is not a list"};
  for (const Json& element : *found) {
    if (!element.is_string()) throw Malformed{std::string(key) + " is not a list of strings"};
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::string object_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

VfConfig read_config(const Json* json) {
  VfConfig config;
  if (json == nullptr) return config;
  config.driver = text(*json, "driver", is_driver_name);
  config.if_name = text(*json, "ifName", is_interface_name);
  config.net_attach_def_name = text(*json, "netAttachDefName", is_dns_subdomain);
  config.net_attach_def_namespace = text(*json, "netAttachDefNamespace", is_dns_label);
  if (const Json* vhost = go_member(*json, "addVhostMount")) {
    if (!vhost->is_boolean()) throw Malformed{"addVhostMount is not a boolean"};
    config.add_vhost_mount = vhost->get<bool>();
  }
  return config;
}

CheckpointDevice read_device(const Json& json) {
  CheckpointDevice device;
  const Json& answer = needed(json, "Device");
  const auto requests = texts(answer, "request_names");
  if (requests.size() != 1 || !is_request(requests.front()))
    throw Malformed{"Device.request_names is not the name of one request"};
  device.request = requests.front();
  device.pool = name(answer, "pool_name", is_dns_subdomain);
  device.device = name(answer, "device_name", is_dns_label);
  if (auto share = text(answer, "share_id", is_object_uid); !share.empty())
    device.share_id = std::move(share);
  device.cdi_device_ids = texts(answer, "cdi_device_ids");

  device.pci_address = name(json, "PciAddress", any_text);
  const auto address = device::PciAddress::parse(device.pci_address);
  if (!address || address->device_name() != device.device) {
    throw Malformed{"PciAddress " + shown(device.pci_address) + " is not that of device " +
                    device.device};
  }
  device.config = read_config(go_member(json, "Config"));
  device.original_driver = text(json, "OriginalDriver", is_driver_name);
  device.interface_name = text(json, "IfName", is_interface_name);
  device.netconf_json = text(json, "NetAttachDefConfig", any_text);
  if (!device.netconf_json.empty() &&
      !Json::parse(device.netconf_json, nullptr, /*allow_exceptions=*/false).is_object()) {
    throw Malformed{"NetAttachDefConfig is not a JSON object"};
  }
  const Json* edits = go_member(json, "ContainerEdits");
  if (edits != nullptr && !edits->is_object()) throw Malformed{"ContainerEdits is not an object"};
  device.edits_json = edits == nullptr ? "{}" : object_text(*edits);
  return device;
}

/// Fills in claim.claim first, so that a refusal can name it.
void read_claim(const Json& json, CheckpointClaim& claim) {
  if (!json.is_array() || json.empty()) throw Malformed{"it is not a list of devices"};
  for (const Json& entry : json) {
    const Json& named = needed(entry, "ClaimNamespacedName");
    const ClaimRef ref{name(named, "Namespace", is_dns_label),
                       name(named, "Name", is_dns_subdomain), name(named, "UID", is_object_uid)};
    if (ref.uid != claim.claim.uid) throw Malformed{"a device of it is of claim UID " + ref.uid};
    if (!claim.devices.empty() && ref != claim.claim)
      throw Malformed{"its devices are of two claims"};
    claim.claim = ref;
    if (name(entry, "PodUID", is_object_uid) != claim.pod_uid)
      throw Malformed{"a device of it is of another pod than the one that it is listed under"};
    try {
      claim.devices.push_back(read_device(entry));
    } catch (const Malformed& malformed) {
      throw Malformed{"device " + std::to_string(claim.devices.size()) + ": " + malformed.what};
    }
  }
}

Checkpoint read_claims(const Json& pods) {
  if (!pods.is_object()) throw Malformed{"v1.preparedClaimsByPodUID is not an object"};
  Checkpoint checkpoint;
  std::set<std::string> claims;
  std::set<std::string> devices;
  for (const auto& [pod_uid, of_pod] : pods.items()) {
    if (of_pod.is_null()) continue;
    if (!of_pod.is_object()) throw Malformed{"the claims of a pod are not an object"};
    for (const auto& [uid, entries] : of_pod.items()) {
      CheckpointClaim claim{{"", "", uid}, pod_uid, {}};
      try {
        if (!is_object_uid(uid) || !is_object_uid(pod_uid))
          throw Malformed{"pod " + shown(pod_uid) + ", claim " + shown(uid) + ": not two UIDs"};
        read_claim(entries, claim);
        if (!claims.insert(uid).second) throw Malformed{"it is listed under two pods"};
        for (const CheckpointDevice& device : claim.devices) {
          if (!devices.insert(device.device).second)
            throw Malformed{"device " + device.device + " is listed twice"};
        }
        checkpoint.claims.push_back(std::move(claim));
      } catch (const Malformed& malformed) {
        checkpoint.refused.push_back({claim.claim, malformed.what});
      }
    }
  }
  return checkpoint;
}

/// The number in the file, and the text that it is over. nullopt when the text does not begin as
/// the Go driver writes it.
std::optional<std::pair<std::uint64_t, std::string>> split_checksum(std::string_view text) {
  if (!text.starts_with(kBeforeSum)) return std::nullopt;
  const char* first = text.data() + kBeforeSum.size();
  std::uint64_t sum = 0;
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), sum);
  if (error != std::errc() || end == first) return std::nullopt;
  std::string zeroed(kBeforeSum);
  zeroed += '0';
  zeroed.append(end, text.data() + text.size());
  return std::pair(sum, std::move(zeroed));
}

}  // namespace

std::uint32_t checkpoint_checksum(std::string_view text) noexcept {
  // FNV-1a (32 bits), not over the bytes but over how a dump of Go values shows them:
  // "([]uint8)[123 34 …]".
  std::uint32_t hash = 2166136261U;
  const auto add = [&hash](std::string_view bytes) {
    for (const char c : bytes) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 16777619U;
    }
  };
  add("([]uint8)[");
  bool first = true;
  for (const char c : text) {
    if (!first) add(" ");
    first = false;
    char digits[3];
    const auto end =
        std::to_chars(digits, digits + sizeof digits, static_cast<unsigned char>(c)).ptr;
    add({digits, static_cast<std::size_t>(end - digits)});
  }
  add("]");
  return hash;
}

Result<Checkpoint> decode_checkpoint(std::string_view text) {
  auto json = parse(text);
  if (!json) return std::move(json).error();
  if (!json->is_object()) return lost("it is not a JSON object");
  for (const auto& [key, value] : json->items()) {
    if (key == "checksum" || key == "v1") continue;
    return Error(Code::kUnimplemented,
                 "it holds " + shown(key) + ", and this driver knows version v1 only",
                 "start the driver that wrote it, delete the pods that use its claims, and switch "
                 "again; or use a later release of this driver");
  }
  const auto split = split_checksum(text);
  if (!split) return lost("it does not begin with a checksum");
  const std::uint32_t sum = checkpoint_checksum(split->second);
  if (split->first != sum) {
    return lost("its checksum is " + std::to_string(split->first) + ", that of its content " +
                std::to_string(sum));
  }
  try {
    const Json& v1 = needed(*json, "v1");
    const Json* pods = go_member(v1, "preparedClaimsByPodUID");
    return pods == nullptr ? Checkpoint() : read_claims(*pods);
  } catch (const Malformed& malformed) {
    return lost(malformed.what);
  }
}

}  // namespace drasriov::claim
