// SPDX-License-Identifier: Apache-2.0
#include "host/app/redact.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "host/config/settings.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 8> kSecretWords = {
    "password", "passwd", "passphrase", "secret", "token", "credential", "privatekey", "apikey"};

/// Whether a key, its letters only, holds one of the words: "API_KEY", "bearerToken".
bool sounds_secret(std::string_view key) {
  std::string letters;
  for (const char c : key) {
    if (c >= 'A' && c <= 'Z') letters.push_back(static_cast<char>(c - 'A' + 'a'));
    if (c >= 'a' && c <= 'z') letters.push_back(c);
  }
  return std::ranges::any_of(
      kSecretWords, [&](std::string_view word) { return letters.find(word) != std::string::npos; });
}

json setting_json(const config::Setting& setting, const std::string& text) {
  if (setting.type == config::Setting::Type::kText) return text;
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? json(text) : value;
}

json module_json(const config::ModuleEntry& entry) {
  json object = {
      {"name", entry.name},
      {"module", entry.module},
      {"enabled", entry.enabled},
      {"capabilities", entry.capabilities},
      {"failurePolicy", entry.failure_policy == config::FailurePolicy::kFail ? "Fail" : "Ignore"},
      {"config", json::parse(entry.config_json, nullptr, /*allow_exceptions=*/false)}};
  if (!entry.sha256.empty()) object["sha256"] = entry.sha256;
  redact(object["config"]);
  return object;
}

}  // namespace

void redact(json& value) {
  if (value.is_object()) {
    for (auto& [key, member] : value.items()) {
      if (sounds_secret(key)) {
        member = kRedacted;
      } else {
        redact(member);
      }
    }
  } else if (value.is_array()) {
    for (json& element : value) redact(element);
  }
}

json redacted_configuration(const config::Configuration& configuration) {
  json object = json::object();
  for (const config::Setting& setting : config::settings()) {
    const std::string text = setting.get(configuration);
    if (text.empty()) continue;  // not set, and without default
    const auto dot = setting.key.find('.');
    json& parent =
        dot == std::string_view::npos ? object : object[std::string(setting.key.substr(0, dot))];
    parent[std::string(setting.key.substr(dot + 1))] = setting_json(setting, text);
  }
  object["netAttachDefNamespaces"] = configuration.net_attach_def_namespaces;
  object["modules"] = json::array();
  for (const config::ModuleEntry& entry : configuration.modules)
    object["modules"].push_back(module_json(entry));
  return object;
}

}  // namespace drasriov::app
