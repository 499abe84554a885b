// SPDX-License-Identifier: Apache-2.0
//
// The configuration file, read strictly: every key is known, stands once and has the right type.
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/node/impl.h>
#include <yaml-cpp/node/iterator.h>
#include <yaml-cpp/node/parse.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "host/base/names.hpp"
#include "host/base/nearest_name.hpp"
#include "host/config/load.hpp"
#include "host/config/settings.hpp"
#include "host/config/yaml_json.hpp"

namespace drasriov::config {
namespace {

std::string_view type_name(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map: return "a map";
    case YAML::NodeType::Sequence: return "a list";
    case YAML::NodeType::Scalar: return "a single value";
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined: break;
  }
  return "nothing";
}

/// "id/N" as the module ABI names capabilities.
bool is_capability(std::string_view text) {
  const auto slash = text.rfind('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view version = text.substr(slash + 1);
  const std::string_view id = text.substr(0, slash);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !version.empty() && version.front() != '0' && std::ranges::all_of(version, is_digit) &&
         !id.empty() && std::ranges::all_of(id, [&](char c) {
           return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '/';
         });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

class Reader {
 public:
  Reader(Configuration& configuration, std::string_view name, const Environment& environment)
      : configuration_(configuration),
        name_(name),
        environment_(environment) {}

  Status read(const YAML::Node& root) {
    if (root.IsNull()) return {};  // an empty file, or comments only
    if (!root.IsMap())
      return wrong(root,
                   std::string("the file is ") + std::string(type_name(root)) + ", expected a map");
    return each_entry(
        root, "",
        [this](const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
          if (key == "roots") return roots(value);
          if (key == "modules") return modules(value);
          if (key == "netAttachDefNamespaces") return net_attach_def_namespaces(value);
          return setting(key, key_node, value, top_level_keys());
        });
  }

 private:
  using Names = std::vector<std::string_view>;

  Error wrong(const YAML::Node& node, std::string_view message, std::string hint = {}) const {
    // A value that is not there has no place of its own: the message points at its key.
    const std::string where =
        node.IsNull() && !key_position_.empty() ? key_position_ : position(node);
    return {Code::kInvalidArgument, name_ + ":" + where + ": " + std::string(message),
            std::move(hint)};
  }

  Error unknown_key(const YAML::Node& node, std::string_view key, std::string_view where,
                    const Names& known) const {
    std::string hint;
    if (const auto nearest = nearest_name(key, known)) {
      hint = "did you mean '" + std::string(*nearest) + "'?";
    } else {
      hint = "known are";
      for (const std::string_view name : known) hint.append(" ").append(name);
    }
    return wrong(node, "unknown key '" + std::string(key) + "'" + std::string(where),
                 std::move(hint));
  }

  /// Calls `each` for every entry of a map, in the order written. Errors: a key that is no text, or
  /// stands twice.
  template <typename Function>
  Status each_entry(const YAML::Node& map, std::string_view where, const Function& each) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) return wrong(entry.first, "a key must be text");
      const std::string& key = entry.first.Scalar();
      key_position_ = position(entry.first);
      if (!seen.insert(key).second)
        return wrong(entry.first, "key '" + key + "'" + std::string(where) + " stands twice");
      if (auto done = each(key, entry.first, entry.second); !done) return done;
    }
    return {};
  }

  /// The text of a scalar with "${…}" expanded.
  Result<std::string> text(const YAML::Node& node, std::string_view key) const {
    if (!node.IsScalar()) {
      return wrong(
          node,
          std::string(key) + " is " + std::string(type_name(node)) + ", expected a single value",
          node.IsNull() ? "remove the key to get its default" : "");
    }
    auto expanded = expand(node.Scalar(), environment_);
    if (!expanded)
      return expanded.error().with_context(name_ + ":" + position(node) + ": " + std::string(key));
    return expanded;
  }

  Result<bool> boolean(const YAML::Node& node, std::string_view key) const {
    auto value = text(node, key);
    if (!value) return value.error();
    if (!is_plain(node) || (*value != "true" && *value != "false")) {
      return wrong(node, std::string(key) + ": '" + *value + "' is not true or false");
    }
    return *value == "true";
  }

  static Names top_level_keys() {
    Names keys = {"roots", "modules", "netAttachDefNamespaces"};
    for (const Setting& setting : settings()) {
      if (setting.key.find('.') == std::string_view::npos) keys.push_back(setting.key);
    }
    return keys;
  }

  Status setting(std::string_view key, const YAML::Node& key_node, const YAML::Node& value,
                 const Names& known) {
    const Setting* setting = find_setting_by_key(key);
    if (setting == nullptr || key.find('.') != std::string_view::npos)
      return unknown_key(key_node, key, "", known);
    return store(*setting, value);
  }

  Status store(const Setting& setting, const YAML::Node& value) {
    auto content = text(value, setting.key);
    if (!content) return content.error();
    if (setting.type != Setting::Type::kText && !is_plain(value)) {
      return wrong(value,
                   std::string(setting.key) + " is a quoted text, expected a " +
                       (setting.type == Setting::Type::kBoolean ? "boolean" : "number"),
                   "remove the quotes");
    }
    if (auto set = setting.set(configuration_, *content); !set) {
      return wrong(value, std::string(setting.key) + ": " + set.error().message(),
                   set.error().hint());
    }
    return {};
  }

  Status roots(const YAML::Node& value) {
    if (!value.IsMap())
      return wrong(value, "roots is " + std::string(type_name(value)) + ", expected a map");
    constexpr std::string_view kPrefix = "roots.";
    Names known;
    for (const Setting& setting : settings()) {
      if (setting.key.starts_with(kPrefix)) known.push_back(setting.key.substr(kPrefix.size()));
    }
    return each_entry(
        value, " in roots",
        [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& path) {
          const Setting* setting = find_setting_by_key(std::string(kPrefix) + key);
          return setting == nullptr ? Status(unknown_key(key_node, key, " in roots", known))
                                    : store(*setting, path);
        });
  }

  Status net_attach_def_namespaces(const YAML::Node& value) {
    if (!value.IsSequence()) {
      return wrong(value, "netAttachDefNamespaces is " + std::string(type_name(value)) +
                              ", expected a list");
    }
    configuration_.net_attach_def_namespaces.clear();
    for (const auto& element : value) {
      auto name = text(element, "netAttachDefNamespaces");
      if (!name) return name.error();
      if (*name != "*" && !is_dns_label(*name)) {
        return wrong(element,
                     "netAttachDefNamespaces: '" + *name + "' is not the name of a namespace",
                     "a DNS label, or '*' for any namespace");
      }
      configuration_.net_attach_def_namespaces.push_back(*std::move(name));
    }
    return {};
  }

  Status modules(const YAML::Node& value) {
    if (!value.IsSequence()) {
      return wrong(value, "modules is " + std::string(type_name(value)) + ", expected a list",
                   "begin every module with '- name: …'");
    }
    std::map<std::string, std::string> seen;  // name → where
    std::vector<ModuleEntry> entries;
    for (const auto& element : value) {
      auto entry = module(element);
      if (!entry) return entry.error();
      const auto [earlier, is_new] = seen.emplace(entry->name, position(element));
      if (!is_new) {
        return wrong(
            element,
            "module name '" + entry->name + "' is taken by the entry at " + earlier->second,
            "two instances of one module need two names");
      }
      entries.push_back(*std::move(entry));
    }
    configuration_.modules = std::move(entries);
    return {};
  }

  Result<ModuleEntry> module(const YAML::Node& element) {
    if (!element.IsMap()) {
      return wrong(element,
                   "an entry of modules is " + std::string(type_name(element)) + ", expected a map",
                   "for example {name: cdi, module: builtin:cdi}");
    }
    ModuleEntry entry;
    auto read = each_entry(
        element, " in this module",
        [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& value) -> Status {
          if (key == "name") return module_text(value, key, entry.name);
          if (key == "module") return module_text(value, key, entry.module);
          if (key == "enabled") return assign(boolean(value, key), entry.enabled);
          if (key == "capabilities") return capabilities(value, entry);
          if (key == "failurePolicy") return failure_policy(value, entry);
          if (key == "config") return module_config(value, entry);
          if (key == "sha256") return module_text(value, key, entry.sha256);
          return unknown_key(
              key_node, key, " in this module",
              {"name", "module", "enabled", "capabilities", "failurePolicy", "config", "sha256"});
        });
    if (!read) return read.error();
    if (entry.name.empty()) return wrong(element, "a module has no name", "add name: …");
    if (entry.module.empty()) {
      return wrong(element, "module " + entry.name + " names no file",
                   "add module: builtin:NAME or an absolute path");
    }
    return entry;
  }

  template <typename T>
  static Status assign(Result<T> value, T& target) {
    if (!value) return value.error();
    target = *std::move(value);
    return {};
  }

  /// One of the texts of a module's entry, each with its own form.
  Status module_text(const YAML::Node& node, const std::string& key, std::string& target) {
    auto value = text(node, key);
    if (!value) return value.error();
    if (key == "name" && !is_dns_label(*value)) {
      return wrong(node, "module name '" + *value + "' is not a DNS label",
                   "1-63 lower-case letters, digits and '-', a letter or digit at both ends");
    }
    if (key == "module" && !is_module_reference(*value)) {
      return wrong(node, "module '" + *value + "' is neither builtin:NAME nor an absolute path",
                   "a file is never searched for: give its whole path, for example "
                   "/opt/dra-driver-sriov/modules/acme-bind/acme-bind.so");
    }
    if (key == "sha256" && !is_sha256(*value)) {
      return wrong(node, "sha256: '" + *value + "' is not 64 lower-case hexadecimal digits",
                   "take them from sha256sum FILE");
    }
    target = *std::move(value);
    return {};
  }

  static bool is_module_reference(std::string_view text) {
    constexpr std::string_view kBuiltin = "builtin:";
    return text.starts_with(kBuiltin) ? is_dns_label(text.substr(kBuiltin.size()))
                                      : text.starts_with('/');
  }

  Status capabilities(const YAML::Node& value, ModuleEntry& entry) {
    if (!value.IsSequence()) {
      return wrong(value, "capabilities is " + std::string(type_name(value)) + ", expected a list",
                   "for example [binding/1]");
    }
    for (const auto& element : value) {
      auto capability = text(element, "capabilities");
      if (!capability) return capability.error();
      if (!is_capability(*capability)) {
        return wrong(element, "capability '" + *capability + "' is not of the form id/N",
                     "for example binding/1");
      }
      entry.capabilities.push_back(*std::move(capability));
    }
    return {};
  }

  Status failure_policy(const YAML::Node& value, ModuleEntry& entry) {
    auto policy = text(value, "failurePolicy");
    if (!policy) return policy.error();
    if (*policy != "Fail" && *policy != "Ignore") {
      return wrong(
          value, "failurePolicy: '" + *policy + "' is not one of Fail Ignore",
          "Fail: the driver does not start without the module; Ignore: it starts and warns");
    }
    entry.failure_policy = *policy == "Fail" ? FailurePolicy::kFail : FailurePolicy::kIgnore;
    return {};
  }

  Status module_config(const YAML::Node& value, ModuleEntry& entry) {
    if (!value.IsMap())
      return wrong(value, "config is " + std::string(type_name(value)) + ", expected a map");
    auto object = yaml_to_json(value, &environment_);
    if (!object)
      return Error(object.error().code(), name_ + ":" + object.error().message(),
                   object.error().hint());
    entry.config_json = object->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return {};
  }

  Configuration& configuration_;
  std::string name_;
  const Environment& environment_;
  std::string key_position_;  ///< of the entry that is being read
};

}  // namespace

Status apply_file(Configuration& configuration, std::string_view text, std::string_view name,
                  const Environment& environment) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) {
      return Error(Code::kInvalidArgument,
                   std::string(name) + ": holds " + std::to_string(documents.size()) +
                       " YAML documents, expected one",
                   "remove the '---' lines");
    }
    if (documents.empty()) return {};
    return Reader(configuration, name, environment).read(documents.front());
  } catch (const YAML::DeepRecursion& e) {  // the parser's own limit, above that of yaml_to_json()
    return too_deep(e.mark).with_context(name);
  } catch (const YAML::Exception& e) {
    return Error(Code::kInvalidArgument,
                 std::string(name) + ":" + std::to_string(e.mark.line + 1) + ":" +
                     std::to_string(e.mark.column + 1) + ": not YAML: " + e.msg,
                 "check indentation and quotes there");
  }
}

}  // namespace drasriov::config
