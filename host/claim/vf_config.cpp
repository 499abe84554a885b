// SPDX-License-Identifier: Apache-2.0
#include "host/claim/vf_config.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/names.hpp"

namespace drasriov::claim {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kApiVersion = "apiVersion";
constexpr std::string_view kKind = "kind";
constexpr std::string_view kKindValue = "VfConfig";
constexpr std::string_view kDriver = "driver";
constexpr std::string_view kIfName = "ifName";
constexpr std::string_view kNetAttachDefName = "netAttachDefName";
constexpr std::string_view kNetAttachDefNamespace = "netAttachDefNamespace";
constexpr std::string_view kAddVhostMount = "addVhostMount";
constexpr std::string_view kModules = "modules";

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

/// Tenant text in a message: bounded, so that a long value cannot fill an event, and without
/// control bytes.
std::string shown(std::string_view text) {
  constexpr std::size_t kLimit = 64;
  std::string out;
  for (const char c : text.substr(0, kLimit)) {
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  if (text.size() > kLimit) out += "…";
  return in_quotes(out);
}

/// A tenant's key as part of a path in a message.
std::string path_key(std::string_view key) {
  const bool plain =
      !key.empty() && key.size() <= 64 && std::ranges::all_of(key, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
      });
  return plain ? std::string(key) : shown(key);
}

/// Compact JSON text; bytes that are no UTF-8 (a YAML file can hold them) become U+FFFD instead of
/// an exception.
template <typename AnyJson>
std::string text_of(const AnyJson& value) {
  return value.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
}

std::string_view type_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string: return "a string";
    case Json::value_t::boolean: return "a boolean";
    default: return "a number";
  }
}

Error invalid(const std::string& path, std::string_view what, std::string hint = {}) {
  return Error(Code::kInvalidArgument, path + ": " + std::string(what), std::move(hint));
}

/// Counts a lower bound of the bytes of `value` as compact JSON down from `budget`; false when it
/// or the depth runs out.
bool fits(const Json& value, int depth, std::size_t& budget) {
  const auto take = [&budget](std::size_t bytes) {
    if (bytes > budget) return false;
    budget -= bytes;
    return true;
  };
  switch (value.type()) {
    case Json::value_t::object:
      if (depth == 0 || !take(2)) return false;
      for (auto it = value.begin(); it != value.end(); ++it) {
        if (!take(it.key().size() + 4) || !fits(*it, depth - 1, budget)) return false;
      }
      return true;
    case Json::value_t::array:
      if (depth == 0 || !take(2)) return false;
      for (const Json& element : value) {
        if (!take(1) || !fits(element, depth - 1, budget)) return false;
      }
      return true;
    case Json::value_t::string: return take(value.get_ref<const std::string&>().size() + 2);
    default: return take(1);
  }
}

Result<std::string> string_field(const Json& value, const std::string& path) {
  if (!value.is_string())
    return invalid(path, "is " + std::string(type_of(value)) + ", want a string");
  return value.get<std::string>();
}

/// A string field that is empty or passes `check`.
template <typename Check>
Status read_name(const Json& value, const std::string& path, Check check, std::string_view what,
                 std::string_view hint, std::optional<std::string>& out) {
  auto text = string_field(value, path);
  if (!text) return std::move(text).error();
  if (!text->empty() && !check(*text)) {
    return invalid(path, shown(*text) + " is not " + std::string(what), std::string(hint));
  }
  out = std::move(*text);
  return {};
}

Status read_modules(const Json& value, const std::string& path, VfConfigPatch& patch) {
  if (!value.is_object())
    return invalid(path, "is " + std::string(type_of(value)) + ", want an object");
  for (auto it = value.begin(); it != value.end(); ++it) {
    const std::string at = path + "." + path_key(it.key());
    if (!is_dns_label(it.key()))
      return invalid(path, shown(it.key()) + " is not the name of a module instance");
    if (it->is_null()) continue;
    if (!it->is_object())
      return invalid(at, "is " + std::string(type_of(*it)) + ", want an object");
    patch.modules[it.key()] = text_of(*it);
  }
  return {};
}

Status read_field(std::string_view key, const Json& value, const ModuleFields& module_fields,
                  const std::string& path, VfConfigPatch& patch) {
  if (key == kDriver) {
    return read_name(value, path, is_driver_name, "the name of a kernel driver",
                     "1-63 of a-z, 0-9, '_' and '-', or empty to leave the driver as it is",
                     patch.driver);
  }
  if (key == kIfName) {
    return read_name(value, path, is_interface_name, "the name of a network interface",
                     "1-15 bytes without '/', ':' and white space", patch.if_name);
  }
  if (key == kNetAttachDefName) {
    return read_name(value, path, is_dns_subdomain, "the name of a NetworkAttachmentDefinition",
                     "lower-case letters, digits, '-' and '.' (RFC 1123 subdomain)",
                     patch.net_attach_def_name);
  }
  if (key == kNetAttachDefNamespace) {
    return read_name(value, path, is_dns_label, "the name of a namespace",
                     "lower-case letters, digits and '-' (RFC 1123 label)",
                     patch.net_attach_def_namespace);
  }
  if (key == kAddVhostMount) {
    if (!value.is_boolean())
      return invalid(path, "is " + std::string(type_of(value)) + ", want true or false");
    patch.add_vhost_mount = value.get<bool>();
    return {};
  }
  if (key == kModules) return read_modules(value, path, patch);
  if (module_fields.contains(key)) {
    patch.module_fields[std::string(key)] = text_of(value);
    return {};
  }
  return invalid(path, "unknown field",
                 "VfConfig has driver, ifName, netAttachDefName, netAttachDefNamespace, "
                 "addVhostMount and modules");
}

Status check_type(const Json& parameters, std::string_view driver_name, const std::string& path) {
  const auto expect = [&](std::string_view key, const std::string& wanted) -> Status {
    const std::string at = path + "." + std::string(key);
    const auto found = parameters.find(key);
    if (found == parameters.end() || found->is_null())
      return invalid(at, "is missing, want " + in_quotes(wanted));
    const auto text = string_field(*found, at);
    if (!text) return text.error();
    if (*text != wanted) return invalid(at, "is " + shown(*text) + ", want " + in_quotes(wanted));
    return {};
  };
  if (auto ok = expect(kApiVersion, std::string(driver_name) + "/v1alpha1"); !ok) return ok;
  return expect(kKind, std::string(kKindValue));
}

}  // namespace

Result<VfConfigPatch> decode_vf_config(const Json& parameters, std::string_view driver_name,
                                       const ModuleFields& module_fields, const std::string& path) {
  std::size_t budget = kMaxParameterBytes;
  if (!fits(parameters, kMaxParameterDepth, budget)) {
    return invalid(path, "larger than " + std::to_string(kMaxParameterBytes) +
                             " bytes or nested deeper than " + std::to_string(kMaxParameterDepth) +
                             " levels");
  }
  if (!parameters.is_object())
    return invalid(path, "is " + std::string(type_of(parameters)) + ", want an object");
  if (auto ok = check_type(parameters, driver_name, path); !ok) return std::move(ok).error();

  VfConfigPatch patch;
  for (auto it = parameters.begin(); it != parameters.end(); ++it) {
    const std::string& key = it.key();
    if (key == kApiVersion || key == kKind || it->is_null()) continue;
    const std::string at = path + "." + path_key(key);
    if (auto ok = read_field(key, *it, module_fields, at, patch); !ok) return std::move(ok).error();
  }
  return patch;
}

void apply(const VfConfigPatch& patch, VfConfig& config) {
  if (patch.driver) config.driver = *patch.driver;
  if (patch.if_name) config.if_name = *patch.if_name;
  if (patch.net_attach_def_name) config.net_attach_def_name = *patch.net_attach_def_name;
  if (patch.net_attach_def_namespace)
    config.net_attach_def_namespace = *patch.net_attach_def_namespace;
  if (patch.add_vhost_mount) config.add_vhost_mount = *patch.add_vhost_mount;
  for (const auto& [field, value] : patch.module_fields) config.module_fields[field] = value;
  for (const auto& [instance, parameters] : patch.modules) config.modules[instance] = parameters;
}

std::string to_json(const VfConfig& config, std::string_view driver_name) {
  nlohmann::ordered_json out;
  out[std::string(kApiVersion)] = std::string(driver_name) + "/v1alpha1";
  out[std::string(kKind)] = kKindValue;
  out[std::string(kDriver)] = config.driver;
  out[std::string(kIfName)] = config.if_name;
  out[std::string(kNetAttachDefName)] = config.net_attach_def_name;
  out[std::string(kNetAttachDefNamespace)] = config.net_attach_def_namespace;
  out[std::string(kAddVhostMount)] = config.add_vhost_mount;
  for (const auto& [field, value] : config.module_fields)
    out[field] = nlohmann::ordered_json::parse(value);
  auto& modules = out[std::string(kModules)] = nlohmann::ordered_json::object();
  for (const auto& [instance, parameters] : config.modules) {
    modules[instance] = nlohmann::ordered_json::parse(parameters);
  }
  return text_of(out);
}

std::set<std::string, std::less<>> requested_module_fields(const VfConfig& config) {
  std::set<std::string, std::less<>> fields;
  if (!config.driver.empty()) fields.emplace(kDriver);
  if (config.add_vhost_mount) fields.emplace(kAddVhostMount);
  for (const auto& [field, value] : config.module_fields) fields.insert(field);
  return fields;
}

}  // namespace drasriov::claim
