// SPDX-License-Identifier: Apache-2.0
#include "network.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace drasriov::netconf_cni {
namespace {

using sdk::Code;
using sdk::Error;

constexpr std::size_t kMostLevels = 64;
constexpr std::size_t kMostPlugins = 64;
constexpr std::string_view kDefaultVersion = "1.0.0";
constexpr std::array<std::string_view, 5> kVersions = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
// Both become parts of one file name, of at most 255 bytes, beside the interface's.
constexpr std::size_t kMostNameBytes = 220;

std::size_t rank(std::string_view version) {
  return static_cast<std::size_t>(std::ranges::find(kVersions, version) - kVersions.begin());
}

/// The parser and Json's own functions work level by level on the stack.
bool is_too_deep(std::string_view text) {
  std::size_t level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++level > kMostLevels) return true;
    } else if ((c == '}' || c == ']') && level > 0) {
      --level;
    }
  }
  return false;
}

Error invalid(std::string message, std::string hint) {
  return {Code::kInvalidArgument, std::move(message), std::move(hint)};
}

/// The string at `key`; "" when it is absent.
sdk::Result<std::string> text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) {
    return invalid("`" + std::string(key) + "` is no string", "quote the value");
  }
  return found->get<std::string>();
}

/// true, false, or either as a string in any letter case.
sdk::Result<bool> flag_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  if (found->is_string()) {
    auto text = found->get<std::string>();
    std::ranges::transform(text, text.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (text == "true") return true;
    if (text == "false") return false;
  }
  return invalid("`" + std::string(key) + "` is neither true nor false", "write true or false");
}

sdk::Result<std::string> choose_version(const Json& config) {
  const auto single = text_at(config, "cniVersion");
  if (!single) return single.error();
  std::optional<std::size_t> best;
  const auto offer = [&best](std::string_view version) {
    if (is_spoken(version)) best = std::max(best.value_or(0), rank(version));
  };
  offer(*single);
  const auto several = config.find("cniVersions");
  if (several != config.end()) {
    if (!several->is_array())
      return invalid("`cniVersions` is no list", "write a list of versions");
    for (const Json& version : *several) {
      if (!version.is_string()) return invalid("`cniVersions` has more than strings", "quote each");
      offer(version.get_ref<const std::string&>());
    }
  }
  if (best) return std::string(kVersions[*best]);
  if (single->empty() && several == config.end()) return std::string(kDefaultVersion);
  return invalid("cniVersion \"" + *single + "\" is none that this driver speaks",
                 "write one of 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0");
}

bool is_plain_name(std::string_view name) {
  const auto is_alnum = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !name.empty() && is_alnum(name.front()) && std::ranges::all_of(name, [&](char c) {
    return is_alnum(c) || c == '_' || c == '.' || c == '-';
  });
}

bool is_interface_name(std::string_view name) {
  return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
         std::ranges::all_of(
             name, [](char c) { return c > ' ' && c != 0x7f && c != '/' && c != ':' && c != '%'; });
}

sdk::Status check_plugin(const Json& plugin, std::size_t index) {
  const std::string where = "plugin " + std::to_string(index + 1);
  if (!plugin.is_object()) return invalid(where + " is no object", "write {\"type\": …}");
  const auto type = text_at(plugin, "type");
  if (!type) return type.error().with_context(where);
  if (type->empty() || type->find('/') != std::string::npos || *type == "." || *type == "..") {
    return invalid(where + ": `type` \"" + *type + "\" names no executable",
                   "`type` is the file name of a CNI plugin, like sriov");
  }
  const auto ipam = plugin.find("ipam");
  if (ipam == plugin.end() || ipam->is_null()) return {};
  if (!ipam->is_object()) return invalid(where + " (" + *type + "): `ipam` is no object", "");
  const auto ipam_type = text_at(*ipam, "type");
  if (!ipam_type) return ipam_type.error().with_context(where + " (" + *type + "): ipam");
  if (ipam_type->find('/') != std::string::npos) {
    return invalid(where + " (" + *type + "): `ipam.type` \"" + *ipam_type + "\" is a path",
                   "`ipam.type` is the file name of a CNI plugin, like host-local");
  }
  return {};
}

}  // namespace

sdk::Result<Json> parse_object(std::string_view text, std::string_view what,
                               std::size_t most_bytes) {
  if (text.size() > most_bytes) {
    return invalid(std::string(what) + " has " + std::to_string(text.size()) + " bytes, at most " +
                       std::to_string(most_bytes) + " are read",
                   "");
  }
  if (is_too_deep(text)) {
    return invalid(
        std::string(what) + " is nested deeper than " + std::to_string(kMostLevels) + " levels",
        "");
  }
  try {
    Json json = Json::parse(text);
    if (json.is_object()) return json;
    return invalid(std::string(what) + " is no JSON object but " + json.type_name(), "");
  } catch (const Json::parse_error& broken) {
    return invalid(std::string(what) + " is no JSON: error at byte " + std::to_string(broken.byte),
                   "");
  } catch (const Json::exception&) {
    return invalid(std::string(what) + " has a number that is out of range", "");
  }
}

bool is_spoken(std::string_view version) {
  return rank(version) < kVersions.size();
}

bool at_least(std::string_view version, std::string_view floor) {
  return rank(version) >= rank(floor);
}

sdk::Result<Network> Network::read(std::string_view config_json) {
  auto config = parse_object(config_json, "spec.config", kMostConfigBytes);
  if (!config) {
    return config.error().with_hint(
        "spec.config of the NetworkAttachmentDefinition holds one CNI "
        "configuration: JSON without comments and trailing commas");
  }
  Network network;
  auto name = text_at(*config, "name");
  if (!name) return name.error();
  network.name = *std::move(name);
  if (!is_plain_name(network.name)) {
    return invalid("the network's `name` \"" + network.name + "\" is no CNI network name",
                   "write a `name` of letters, digits, '_', '.' and '-' into spec.config");
  }
  auto version = choose_version(*config);
  if (!version) return version.error().with_context("network " + network.name);
  network.version = *std::move(version);
  for (const auto& [key, to] :
       {std::pair<const char*, bool*>("disableCheck", &network.disable_check),
        {"disableGC", &network.disable_gc}}) {
    const auto flag = flag_at(*config, key);
    if (!flag) return flag.error().with_context("network " + network.name);
    *to = *flag;
  }
  // As Multus decides: a `type` makes it a single plugin.
  const auto type = text_at(*config, "type");
  if (!type) return type.error().with_context("network " + network.name);
  if (!type->empty()) {
    network.plugins.push_back(*std::move(config));
  } else {
    const auto plugins = config->find("plugins");
    if (plugins == config->end() || !plugins->is_array() || plugins->empty()) {
      return invalid("network " + network.name + " has neither a `type` nor a list of `plugins`",
                     "write the `type` of a CNI plugin, like sriov");
    }
    if (plugins->size() > kMostPlugins) {
      return invalid("network " + network.name + " has " + std::to_string(plugins->size()) +
                         " plugins, at most " + std::to_string(kMostPlugins) + " are run",
                     "");
    }
    for (Json& plugin : *plugins) network.plugins.push_back(std::move(plugin));
  }
  for (std::size_t i = 0; i < network.plugins.size(); ++i) {
    if (auto ok = check_plugin(network.plugins[i], i); !ok)
      return ok.error().with_context("network " + network.name);
  }
  return network;
}

std::string Network::type(std::size_t plugin) const {
  return plugins[plugin].at("type").get<std::string>();
}

std::vector<std::string> Network::executables() const {
  std::vector<std::string> names;
  const auto add = [&names](std::string executable) {
    if (!executable.empty() && std::ranges::find(names, executable) == names.end())
      names.push_back(std::move(executable));
  };
  for (const Json& plugin : plugins) {
    add(plugin.at("type").get<std::string>());
    const auto ipam = plugin.find("ipam");
    if (ipam != plugin.end() && ipam->is_object()) {
      if (const auto type = text_at(*ipam, "type")) add(*type);
    }
  }
  return names;
}

Json plugin_input(const Network& network, std::size_t plugin, const Additions& add) {
  Json input = network.plugins[plugin];
  input["name"] = network.name;
  input["cniVersion"] = network.version;
  if (!add.device_id.empty()) {
    input["deviceID"] = add.device_id;
    // host-device refuses a PCI device beside a device that the definition names itself.
    const bool named =
        input.contains("device") || input.contains("hwaddr") || input.contains("kernelpath");
    if (!named) input["pciBusID"] = add.device_id;
  }
  if (!add.previous_result.is_null()) input["prevResult"] = add.previous_result;
  const auto declared = input.find("capabilities");
  if (declared != input.end() && declared->is_object()) {
    Json runtime = Json::object();
    for (const auto& [key, value] : add.capability_args.items()) {
      const auto wanted = declared->find(key);
      if (wanted != declared->end() && wanted->is_boolean() && wanted->get<bool>())
        runtime[key] = value;
    }
    if (!runtime.empty()) input["runtimeConfig"] = std::move(runtime);
  }
  return input;
}

sdk::Status check_names(const Network& network, std::string_view container_id,
                        std::string_view interface_name) {
  if (!is_plain_name(container_id)) {
    return invalid("the sandbox id \"" + std::string(container_id) + "\" is no CNI container id",
                   "");
  }
  if (!is_interface_name(interface_name)) {
    return invalid("\"" + std::string(interface_name) + "\" is no interface name",
                   "1 to 15 characters without '/', ':', '%' and white space");
  }
  if (network.name.size() + container_id.size() > kMostNameBytes) {
    return invalid("the network's name and the sandbox id have together more than " +
                       std::to_string(kMostNameBytes) + " bytes",
                   "shorten `name` in spec.config");
  }
  return {};
}

}  // namespace drasriov::netconf_cni
