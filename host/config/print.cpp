// SPDX-License-Identifier: Apache-2.0
#include <yaml-cpp/emitter.h>

#include <nlohmann/json.hpp>

#include "host/config/load.hpp"
#include "host/config/settings.hpp"

namespace drasriov::config {
namespace {

/// Text that a reader must not take for a number, a boolean or null, nor expand.
void emit_text(YAML::Emitter& out, std::string text) {
  for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 3))
    text.insert(at, "$");
  out << YAML::DoubleQuoted << text;
}

void emit_setting(YAML::Emitter& out, const Setting& setting, const Configuration& configuration) {
  const std::string value = setting.get(configuration);
  if (value.empty()) return;  // not set, and without default: writing it would be an error
  out << YAML::Key << std::string(setting.key.substr(setting.key.find('.') + 1)) << YAML::Value;
  if (setting.type == Setting::Type::kText) {
    emit_text(out, value);
  } else {
    out << value;
  }
}

void emit_json(YAML::Emitter& out, const nlohmann::json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key << YAML::DoubleQuoted << key << YAML::Value;
      emit_json(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& element : value) emit_json(out, element);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    emit_text(out, value.get<std::string>());
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << value.dump();
  }
}

void emit_module(YAML::Emitter& out, const ModuleEntry& entry) {
  out << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << YAML::DoubleQuoted << entry.name;
  out << YAML::Key << "module" << YAML::Value;
  emit_text(out, entry.module);
  out << YAML::Key << "enabled" << YAML::Value << (entry.enabled ? "true" : "false");
  out << YAML::Key << "capabilities" << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const std::string& capability : entry.capabilities) out << capability;
  out << YAML::EndSeq;
  out << YAML::Key << "failurePolicy" << YAML::Value
      << (entry.failure_policy == FailurePolicy::kFail ? "Fail" : "Ignore");
  if (!entry.sha256.empty())
    out << YAML::Key << "sha256" << YAML::Value << YAML::DoubleQuoted << entry.sha256;
  out << YAML::Key << "config" << YAML::Value;
  emit_json(out, nlohmann::json::parse(entry.config_json));
  out << YAML::EndMap;
}

}  // namespace

std::string to_yaml(const Configuration& configuration) {
  constexpr std::string_view kRoots = "roots.";
  YAML::Emitter out;
  out << YAML::BeginMap;
  for (const Setting& setting : settings()) {
    if (!setting.key.starts_with(kRoots)) emit_setting(out, setting, configuration);
  }
  out << YAML::Key << "roots" << YAML::Value << YAML::BeginMap;
  for (const Setting& setting : settings()) {
    if (setting.key.starts_with(kRoots)) emit_setting(out, setting, configuration);
  }
  out << YAML::EndMap;
  out << YAML::Key << "netAttachDefNamespaces" << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const std::string& name : configuration.net_attach_def_namespaces)
    out << YAML::DoubleQuoted << name;
  out << YAML::EndSeq;
  out << YAML::Key << "modules" << YAML::Value;
  if (configuration.modules.empty()) out << YAML::Flow;
  out << YAML::BeginSeq;
  for (const ModuleEntry& entry : configuration.modules) emit_module(out, entry);
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace drasriov::config
