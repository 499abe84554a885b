// SPDX-License-Identifier: Apache-2.0
#include "host/app/help.hpp"

#include "host/app/help_layout.hpp"

namespace drasriov::app {
namespace {

constexpr std::size_t kWidth = 100;

/// `text` wrapped at kWidth behind `first`; the lines after it are indented by `indent`.
void append_wrapped(std::string& out, std::string first, std::size_t indent,
                    std::string_view text) {
  while (first.size() + text.size() > kWidth) {
    const auto space = text.rfind(' ', kWidth - first.size());
    if (space == std::string_view::npos) break;
    out.append(first).append(text.substr(0, space)).append("\n");
    text.remove_prefix(space + 1);
    first.assign(indent, ' ');
  }
  out.append(first).append(text).append("\n");
}

/// "  TERM    text" with the text in a column of its own.
void append_row(std::string& out, std::string_view term, std::string_view text,
                std::size_t column) {
  std::string line = "  " + std::string(term);
  if (line.size() + 2 > column) {
    out += line + "\n";
    line.clear();
  }
  line.resize(column, ' ');
  append_wrapped(out, std::move(line), column, text);
}

template <typename Rows, typename Term>
std::size_t column_of(const Rows& rows, Term term) {
  std::size_t widest = 0;
  for (const auto& row : rows) widest = std::max(widest, (row.*term).size());
  return widest + 4;
}

constexpr std::size_t kFlagColumn = 44;

void append_flags(std::string& out, const CommandSpec& command) {
  out += "\nFlags:\n";
  const auto append = [&](const OptionSpec& option) {
    std::string text(option.help);
    if (!option.default_value.empty())
      text.append(" (default ").append(option.default_value).append(")");
    append_row(out, option_term(option), text, kFlagColumn);
  };
  for (const OptionSpec& option : command.options) append(option);
  append(kHelpOption);
  if (command.settings == SettingFlags::kTaken)
    out += "  --config, --module-directory, --insecure-dev and all other flags of run\n";
  if (command.settings != SettingFlags::kListed) return;
  append(kConfigOption);
  const config::Configuration defaults;
  for (const config::Setting& setting : config::settings()) {
    if (setting.flag.empty()) continue;
    std::string text(setting.help);
    const std::string value = setting.get(defaults);
    text += value.empty() ? " (" : " (default " + value + "; ";
    if (!setting.environment.empty())
      text.append("variable ").append(setting.environment).append(", ");
    text.append("file ").append(setting.key).append(")");
    append_row(out, option_term(setting_option(setting)), text, kFlagColumn);
  }
}

void append_examples(std::string& out, std::span<const ExampleSpec> examples) {
  if (!examples.empty()) out += "\nExamples:\n";
  for (const ExampleSpec& example : examples) {
    out.append("  ").append(example.line).append("\n");
    if (!example.meaning.empty()) out.append("      ").append(example.meaning).append("\n");
  }
}

void append_exit_codes(std::string& out) {
  out += "\nExit codes:\n";
  for (const SectionSpec::Row& row : kExitCodes) append_row(out, row.term, row.text, 5);
}

}  // namespace

std::string main_help() {
  std::string out =
      "dra-driver-sriov: Kubernetes hands out the SR-IOV virtual functions of this node.\n"
      "\n"
      "Usage: dra-driver-sriov [COMMAND] [FLAGS]\n"
      "\n"
      "Commands:\n";
  const auto column = column_of(command_table(), &CommandSpec::name);
  for (const CommandSpec& command : command_table())
    append_row(out, command.name, command.summary, column);
  out += "\ndra-driver-sriov COMMAND --help explains a command.\n";
  std::vector<ExampleSpec> examples;  // of each command the first that says what it is for
  for (const CommandSpec& command : command_table()) {
    for (const ExampleSpec& example : command.examples) {
      if (example.meaning.empty()) continue;
      examples.push_back(example);
      break;
    }
  }
  append_examples(out, examples);
  append_exit_codes(out);
  return out;
}

std::string help_of(const CommandSpec& command) {
  std::string out;
  append_wrapped(out, "", 0, command.purpose);
  std::string lead = "\nUsage: ";
  for (const std::string& line : usage_lines(command)) {
    out.append(lead).append(line).append("\n");
    lead = "       ";
  }
  if (!command.verbs.empty()) out += "\nCommands:\n";
  for (const VerbSpec& verb : command.verbs)
    append_row(out, verb.name, verb.help, column_of(command.verbs, &VerbSpec::name));
  append_flags(out, command);
  for (const SectionSpec& section : command.sections) {
    out.append("\n").append(section.title).append(":\n");
    for (const SectionSpec::Row& row : section.rows)
      append_row(out, row.term, row.text, column_of(section.rows, &SectionSpec::Row::term));
  }
  if (!command.remark.empty()) append_wrapped(out += "\n", "", 0, command.remark);
  append_examples(out, command.examples);
  append_exit_codes(out);
  return out;
}

}  // namespace drasriov::app
