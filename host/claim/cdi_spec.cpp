// SPDX-License-Identifier: Apache-2.0
#include "host/claim/cdi_spec.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/names.hpp"

namespace drasriov::claim {
namespace {

// Keeps the order of insertion: a module's entries stay as the module wrote them, ours are in the
// order of the CDI text.
using Json = nlohmann::ordered_json;

/// A member of containerEdits that is a list, and what makes two of its entries the same thing.
struct ListMember {
  std::string_view name;
  std::string_view what;
  std::string_view identity;  ///< key of the entry, empty: the entry itself
  bool repeatable = false;    ///< equal entries stay separate
};

// In the order of the CDI specification, which is also the order that we write.
constexpr std::array<ListMember, 6> kListMembers = {{
    {.name = "env", .what = "variable"},
    {.name = "deviceNodes", .what = "device node", .identity = "path"},
    {.name = "netDevices", .what = "network device", .identity = "hostInterfaceName"},
    {.name = "mounts", .what = "mount", .identity = "containerPath"},
    {.name = "hooks", .what = "hook", .repeatable = true},
    {.name = "additionalGids", .what = "group"},
}};
constexpr std::string_view kIntelRdt = "intelRdt";

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Error invalid(std::string message) {
  return Error(Code::kInvalidArgument, std::move(message));
}

/// What identifies an entry within its list: the variable's name, the node's path …
Result<std::string> identity_of(const ListMember& member, const Json& entry) {
  if (!member.identity.empty()) {
    const auto key = entry.is_object() ? entry.find(member.identity) : entry.end();
    if (key == entry.end() || !key->is_string()) {
      return invalid(std::string(member.name) + ": an entry has no string " +
                     in_quotes(member.identity));
    }
    return key->get<std::string>();
  }
  if (member.name != "env") return entry.dump();
  if (!entry.is_string()) return invalid("env: an entry is not a string");
  const auto text = entry.get<std::string>();
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return invalid("env: " + in_quotes(text) + " is not of the form NAME=value");
  }
  return text.substr(0, equals);
}

Status merge_list(const ListMember& member, const Json& from, Json& into) {
  if (!from.is_array()) return invalid(std::string(member.name) + " is not an array");
  for (const Json& entry : from) {
    if (member.repeatable) {
      into.push_back(entry);
      continue;
    }
    const auto identity = identity_of(member, entry);
    if (!identity) return identity.error();
    bool known = false;
    for (const Json& other : into) {
      // What is in `into` has passed identity_of before.
      if (identity_of(member, other).value() != *identity) continue;
      if (other != entry) {
        return Error(Code::kFailedPrecondition,
                     std::string(member.what) + " " + in_quotes(*identity) +
                         " is already there with other contents",
                     "two binding modules contradict each other: disable one of them");
      }
      known = true;
      break;
    }
    if (!known) into.push_back(entry);
  }
  return {};
}

/// Adds one module's containerEdits to those of the device. Their contents are checked by the cdi
/// module before it writes; here only as far as merging needs it.
Status merge_edits(std::string_view edits_json, Json& into) {
  const Json edits = Json::parse(edits_json, nullptr, /*allow_exceptions=*/false);
  if (edits.is_discarded()) return invalid("not valid JSON");
  if (!edits.is_object()) return invalid("not a JSON object");
  for (const auto& [key, value] : edits.items()) {
    if (key == kIntelRdt) {
      if (const auto other = into.find(key); other != into.end() && *other != value) {
        return Error(Code::kFailedPrecondition, "intelRdt is already there with other contents",
                     "two binding modules contradict each other: disable one of them");
      }
      into[key] = value;
      continue;
    }
    const auto member = std::ranges::find(kListMembers, key, &ListMember::name);
    if (member == kListMembers.end())
      return invalid("unknown member " + in_quotes(key) + " of containerEdits");
    if (auto merged = merge_list(*member, value, into[key]); !merged) return merged;
  }
  return {};
}

/// The same edits with their members in the order of the specification and without empty lists.
Json in_order(Json edits) {
  Json ordered = Json::object();
  for (const ListMember& member : kListMembers) {
    if (const auto list = edits.find(member.name); list != edits.end() && !list->empty()) {
      ordered[std::string(member.name)] = std::move(*list);
    }
  }
  if (const auto rdt = edits.find(kIntelRdt); rdt != edits.end())
    ordered[std::string(kIntelRdt)] = std::move(*rdt);
  return ordered;
}

bool has_entry_with(const Json& edits, std::string_view list, std::string_view key) {
  const auto found = edits.find(list);
  return found != edits.end() && std::ranges::any_of(*found, [&](const Json& entry) {
           const auto value = entry.is_object() ? entry.find(key) : entry.end();
           return value != entry.end() && value->is_string() &&
                  !value->get_ref<const std::string&>().empty();
         });
}

/// The CDI specification's "minimum required version", for what this driver writes: a class without
/// '.', no annotations.
std::string_view minimum_version(const Json& devices) {
  const auto any_edits = [&](auto&& test) {
    return std::ranges::any_of(
        devices, [&](const Json& device) { return test(device.at("containerEdits")); });
  };
  if (any_edits([](const Json& edits) {
        if (edits.contains("netDevices")) return true;
        const auto rdt = edits.find(kIntelRdt);
        return rdt != edits.end() && rdt->is_object() &&
               (rdt->contains("schemata") ||
                rdt->value("enableMonitoring", Json(false)) == Json(true));
      })) {
    return "1.1.0";
  }
  if (any_edits([](const Json& edits) {
        return edits.contains(kIntelRdt) || edits.contains("additionalGids");
      })) {
    return "0.7.0";
  }
  const bool digit_first = std::ranges::any_of(devices, [](const Json& device) {
    const char first = device.at("name").get_ref<const std::string&>().front();
    return first >= '0' && first <= '9';
  });
  if (digit_first || any_edits([](const Json& edits) {
        return has_entry_with(edits, "deviceNodes", "hostPath");
      })) {
    return "0.5.0";
  }
  return any_edits([](const Json& edits) { return has_entry_with(edits, "mounts", "type"); })
             ? "0.4.0"
             : "0.3.0";
}

/// A hook needs no newer version of the specification than devices do.
Result<std::string> document(std::string_view driver_name, Json devices, Json edits = {}) {
  Json spec = Json::object();
  spec["cdiVersion"] = minimum_version(devices);
  spec["kind"] = cdi_kind(driver_name);
  spec["devices"] = std::move(devices);
  if (!edits.empty()) spec["containerEdits"] = std::move(edits);
  try {
    return spec.dump();
  } catch (const Json::type_error&) {
    return invalid("its text is not UTF-8");
  }
}

Json hook_edits(const CdiClaimInput& claim) {
  if (!claim.hook) return {};
  const std::string& path = claim.hook->path;
  const std::string name = path.substr(path.rfind('/') + 1);
  const Json hook = Json::object({{"hookName", "createRuntime"},
                                  {"path", path},
                                  {"args", Json::array({name, claim.claim_uid, claim.hook->claim,
                                                        claim.hook->data_directory})}});
  return Json::object({{"hooks", Json::array({hook})}});
}

Json device(std::string name, Json edits) {
  Json object = Json::object();
  object["name"] = std::move(name);
  object["containerEdits"] = std::move(edits);
  return object;
}

std::string as_variable(std::string_view device_name) {
  std::string text(device_name);
  std::ranges::replace(text, '-', '_');
  return text;
}

Json address_list(std::string name, const std::vector<const CdiClaimInput*>& claims) {
  std::string variable = "SRIOVNETWORK_PCI_ADDRESSES=";
  bool first = true;
  for (const CdiClaimInput* claim : claims) {
    for (const CdiDeviceInput& input : claim->devices) {
      if (!first) variable.push_back(',');
      first = false;
      variable.append(input.pci_address);
    }
  }
  return device(std::move(name), Json::object({{"env", Json::array({std::move(variable)})}}));
}

/// Text that may stand in a comma-separated variable as it is.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

Status check_names(std::string_view driver_name, const CdiClaimInput& claim) {
  // CDI wants a letter first; a vendor of one character crashes runtimes with CDI library up
  // to 1.1.0.
  if (!is_dns_subdomain(driver_name) || driver_name.size() < 2 || driver_name.front() < 'a') {
    return Error(Code::kInvalidArgument,
                 "driver name " + in_quotes(driver_name) + " cannot be a CDI vendor",
                 "choose a DNS subdomain of at least two characters that begins with a letter");
  }
  if (!is_object_uid(claim.claim_uid))
    return invalid("claim UID " + in_quotes(claim.claim_uid) + " is not a UID");
  if (claim.pod_uid && !is_object_uid(*claim.pod_uid)) {
    return invalid("claim " + claim.claim_uid + ": pod UID " + in_quotes(*claim.pod_uid) +
                   " is not a UID");
  }
  if (claim.devices.empty())
    return invalid("claim " + claim.claim_uid + ": no device for a CDI spec");
  for (std::size_t i = 0; i < claim.devices.size(); ++i) {
    const CdiDeviceInput& input = claim.devices[i];
    const std::string name =
        "claim " + claim.claim_uid + ": device " + in_quotes(input.device_name);
    if (!is_dns_label(input.device_name)) return invalid(name + " is not a DNS label");
    if (!is_plain(input.pci_address)) return invalid(name + ": bad PCI address");
    if (!input.net_attach_def_name.empty() && !is_dns_subdomain(input.net_attach_def_name)) {
      return invalid(name + ": bad name of a NetworkAttachmentDefinition");
    }
    const auto same = [&](const CdiDeviceInput& other) {
      return other.device_name == input.device_name;
    };
    if (std::any_of(claim.devices.begin(), claim.devices.begin() + static_cast<std::ptrdiff_t>(i),
                    same)) {
      return invalid(name + " twice in one claim");
    }
  }
  return {};
}

}  // namespace

std::string cdi_kind(std::string_view driver_name) {
  return std::string(driver_name) + "/vf";
}

std::vector<std::string> cdi_device_ids(std::string_view driver_name, const CdiClaimInput& claim,
                                        std::string_view device_name) {
  const std::string prefix = cdi_kind(driver_name) + "=";
  return {prefix + claim.claim_uid + "-" + std::string(device_name),
          prefix + claim.pod_uid.value_or(claim.claim_uid)};
}

Result<std::string> claim_spec(std::string_view driver_name, const CdiClaimInput& claim) {
  if (auto checked = check_names(driver_name, claim); !checked) return checked.error();
  Json devices = Json::array();
  for (const CdiDeviceInput& input : claim.devices) {
    const std::string variable = as_variable(input.device_name);
    Json edits = Json::object();
    edits["env"] = Json::array({"SRIOVNETWORK_VF_DEVICE_" + variable + "=" + input.pci_address,
                                "SRIOVNETWORK_NET_ATTACH_DEF_NAME=" + input.net_attach_def_name});
    for (std::size_t i = 0; i < input.edits_json.size(); ++i) {
      if (auto merged = merge_edits(input.edits_json[i], edits); !merged) {
        return merged.error().with_context("claim " + claim.claim_uid + ": device " +
                                           input.device_name + ": container edits " +
                                           std::to_string(i + 1));
      }
    }
    devices.push_back(
        device(claim.claim_uid + "-" + input.device_name, in_order(std::move(edits))));
  }
  if (!claim.pod_uid) devices.push_back(address_list(claim.claim_uid, {&claim}));
  auto spec = document(driver_name, std::move(devices), hook_edits(claim));
  return spec ? std::move(spec) : spec.error().with_context("claim " + claim.claim_uid);
}

Result<std::string> pod_spec(std::string_view driver_name, std::string_view pod_uid,
                             const std::vector<CdiClaimInput>& claims_of_the_pod) {
  const std::string pod = "pod " + std::string(pod_uid);
  if (claims_of_the_pod.empty()) return invalid(pod + ": no claim for a CDI spec");
  std::vector<const CdiClaimInput*> claims;
  for (const CdiClaimInput& claim : claims_of_the_pod) {
    if (auto checked = check_names(driver_name, claim); !checked)
      return checked.error().with_context(pod);
    if (claim.pod_uid != pod_uid)
      return invalid(pod + ": claim " + claim.claim_uid + " is not reserved for it alone");
    claims.push_back(&claim);
  }
  std::ranges::sort(claims, {}, &CdiClaimInput::claim_uid);
  const auto same = std::ranges::adjacent_find(claims, {}, &CdiClaimInput::claim_uid);
  if (same != claims.end()) return invalid(pod + ": claim " + (*same)->claim_uid + " twice");
  return document(driver_name, Json::array({address_list(std::string(pod_uid), claims)}));
}

}  // namespace drasriov::claim
