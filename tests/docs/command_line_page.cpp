// SPDX-License-Identifier: Apache-2.0
#include "host/app/help_layout.hpp"
#include "tests/docs/generated_docs.hpp"
#include "tests/docs/markdown.hpp"

namespace drasriov::docs {
namespace {

void append_flags(std::string& out, const app::CommandSpec& command) {
  out += "\n| flag | default | |\n| --- | --- | --- |\n";
  const auto row = [&](const app::OptionSpec& option) {
    out += "| " + code(app::option_term(option)) + " | " +
           (option.default_value.empty() ? "" : code(option.default_value)) + " | " +
           cell(option.help) + " |\n";
  };
  for (const app::OptionSpec& option : command.options) row(option);
  row(app::kHelpOption);
  if (command.settings == app::SettingFlags::kNone) return;
  row(app::kConfigOption);
  if (command.settings == app::SettingFlags::kTaken) {
    out += "\nAnd the flags of settings, as under [run](#run).\n";
    return;
  }
  out +=
      "\nOf settings, which [configuration.md](configuration.md) shows with their keys in the "
      "file:\n\n| flag | variable | default | |\n| --- | --- | --- | --- |\n";
  const config::Configuration defaults;
  for (const config::Setting& setting : config::settings()) {
    if (setting.flag.empty()) continue;
    const std::string value = setting.get(defaults);
    out += "| " + code(app::option_term(app::setting_option(setting))) + " | " +
           (setting.environment.empty() ? "" : code(setting.environment)) + " | " +
           (value.empty() ? "" : code(value)) + " | " + cell(setting.help) + " |\n";
  }
}

void append_command(std::string& out, const app::CommandSpec& command) {
  out += "\n## " + std::string(command.name) + "\n\n" + text(command.purpose) + "\n\n```\n";
  for (const std::string& line : app::usage_lines(command)) out += line + "\n";
  out += "```\n";
  if (!command.verbs.empty()) out += "\n| command | |\n| --- | --- |\n";
  for (const app::VerbSpec& verb : command.verbs)
    out += "| " + code(verb.name) + " | " + cell(verb.help) + " |\n";
  append_flags(out, command);
  for (const app::SectionSpec& section : command.sections) {
    out += "\n| " + std::string(section.title) + " | |\n| --- | --- |\n";
    for (const app::SectionSpec::Row& row : section.rows)
      out += "| " + code(row.term) + " | " + cell(row.text) + " |\n";
  }
  if (!command.remark.empty()) out += "\n" + text(command.remark) + "\n";
  for (const app::ExampleSpec& example : command.examples) {
    out += "\n";
    if (!example.meaning.empty()) out += text(example.meaning) + "\n\n";
    out += "```\n" + std::string(example.line) + "\n```\n";
  }
}

}  // namespace

std::string command_line_page() {
  std::string out =
      "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
      "<!-- Written by scripts/generate-docs from the descriptions of the commands in host/app. "
      "-->\n"
      "# Command line\n\n"
      "```\ndra-driver-sriov [COMMAND] [FLAGS]\n```\n\n"
      "`dra-driver-sriov COMMAND --help` shows the same. A switch may be given as `--switch`, "
      "`--switch=true` or\n`--switch=false`.\n\n"
      "| command | |\n| --- | --- |\n";
  for (const app::CommandSpec& command : app::command_table()) {
    const std::string name(command.name);
    out += "| [" + name + "](#" + name + ") | " + cell(command.summary) + " |\n";
  }
  out += "\n| exit code | |\n| --- | --- |\n";
  for (const app::SectionSpec::Row& row : app::kExitCodes)
    out += "| " + std::string(row.term) + " | " + cell(row.text) + " |\n";
  for (const app::CommandSpec& command : app::command_table()) append_command(out, command);
  return out;
}

}  // namespace drasriov::docs
