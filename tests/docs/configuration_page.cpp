// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "host/app/command_spec.hpp"
#include "host/config/load.hpp"
#include "host/module/entry_file.hpp"
#include "host/module/module_library.hpp"
#include "tests/docs/generated_docs.hpp"
#include "tests/docs/markdown.hpp"

namespace drasriov::docs {
namespace {

using Json = nlohmann::ordered_json;

std::string settings_table() {
  std::string out =
      "| key in the file | flag | variable | default | |\n| --- | --- | --- | --- | --- |\n";
  const config::Configuration defaults;
  for (const config::Setting& setting : config::settings()) {
    const app::OptionSpec option = app::setting_option(setting);
    std::string flag = option.name.empty() ? "" : code("--" + std::string(option.name));
    if (option.letter != '\0') flag += " " + code(std::string("-") + option.letter);
    const std::string value = setting.get(defaults);
    std::string meaning = cell(setting.help);
    // The lists of texts to choose from, and what "TEXT0" in a meaning is made of, are in the placeholder.
    if (!setting.placeholder.empty()) meaning = code(setting.placeholder) + ": " + meaning;
    out += "| " + code(setting.key) + " | " + flag + " | " +
           (setting.environment.empty() ? "" : code(setting.environment)) + " | " +
           (value.empty() ? "" : code(value)) + " | " + meaning + " |\n";
  }
  return out;
}

/// "integer, 0 to 10000"
std::string type_of(const Json& property) {
  std::string type;
  if (property.contains("enum")) {
    for (const Json& value : property["enum"]) type += (type.empty() ? "" : ", ") + value.dump();
    return "one of " + type;
  }
  type = property.contains("type") && property["type"].is_string()
             ? property["type"].get<std::string>()
             : "any";
  const bool has_least = property.contains("minimum");
  const bool has_most = property.contains("maximum");
  if (has_least && has_most)
    return type + ", " + property["minimum"].dump() + " to " + property["maximum"].dump();
  if (has_least) return type + ", at least " + property["minimum"].dump();
  if (has_most) return type + ", at most " + property["maximum"].dump();
  return type;
}

std::string schema_table(std::string_view schema_text) {
  const Json schema = schema_text.empty() ? Json::object() : Json::parse(schema_text);
  const Json properties = schema.value("properties", Json::object());
  std::string out;
  if (schema.contains("description"))
    out += text(schema["description"].get<std::string>()) + "\n\n";
  if (properties.empty()) return out + "It has no settings.\n";
  out += "| key of `config` | type | default | |\n| --- | --- | --- | --- |\n";
  for (const auto& [key, property] : properties.items()) {
    out += "| " + code(key) + " | " + cell(type_of(property)) + " | " +
           (property.contains("default") ? code(property["default"].dump()) : "") + " | " +
           cell(property.value("description", "")) + " |\n";
  }
  return out;
}

Result<std::string> modules_section(const std::filesystem::path& directory) {
  std::string out;
  for (const config::ModuleEntry& entry : config::default_modules()) {
    const auto file =
        module::open_entry_file(entry, {.builtin_directory = directory, .insecure_dev = true});
    if (!file) return file.error();
    const auto library = module::ModuleLibrary::load(file->file, file->manifest);
    if (!library) return library.error();
    const drasriov_string schema = (*library)->table().config_schema;
    if (!out.empty()) out += "\n";
    out += "### " + file->manifest.name + "\n\n" + schema_table({schema.data, schema.size});
  }
  return out;
}

/// `page` with `content` between the marks of the part `name`.
Result<std::string> exchange(std::string page, const std::string& name,
                             const std::string& content) {
  constexpr std::string_view kEnd = "<!-- end -->";
  const std::string begin_mark = "<!-- generated: " + name + " -->\n";
  const auto mark = page.find(begin_mark);
  const auto begin = mark + begin_mark.size();
  const auto end = mark == std::string::npos ? mark : page.find(kEnd, begin);
  if (end == std::string::npos) {
    return Error(Code::kFailedPrecondition, "the page has no part '" + name + "'",
                 "put back its marks: " + begin_mark + std::string(kEnd));
  }
  return page.replace(begin, end - begin, content);
}

}  // namespace

Result<std::string> configuration_page(std::string_view page,
                                       const std::filesystem::path& modules) {
  auto settings = exchange(std::string(page), "settings", settings_table());
  if (!settings) return settings;
  const auto section = modules_section(modules);
  if (!section) return section.error();
  return exchange(*std::move(settings), "module-configuration", *section);
}

}  // namespace drasriov::docs
