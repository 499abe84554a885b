// SPDX-License-Identifier: Apache-2.0
#include "host/app/help_layout.hpp"

namespace drasriov::app {

std::string option_term(const OptionSpec& option) {
  std::string term;
  if (option.letter != '\0') term.append("-").append(1, option.letter).append(", ");
  term.append("--").append(option.name);
  if (!option.placeholder.empty()) term.append(" ").append(option.placeholder);
  return term;
}

namespace {

std::string usage_line(const CommandSpec& command, std::string_view verb,
                       const OperandSpec& operands) {
  std::string line = "dra-driver-sriov ";
  const bool is_default = command.name == command_table().front().name;
  line.append(is_default ? "[" : "").append(command.name).append(is_default ? "]" : "");
  if (!verb.empty()) line.append(" ").append(verb);
  if (!command.options.empty() || command.settings != SettingFlags::kNone) line += " [FLAGS]";
  if (operands.most == 0) return line;
  const bool optional = operands.least == 0;
  line.append(optional ? " [" : " ").append(operands.placeholder);
  return line.append(operands.most > 1 ? "..." : "").append(optional ? "]" : "");
}

}  // namespace

std::vector<std::string> usage_lines(const CommandSpec& command) {
  if (command.verbs.empty()) return {usage_line(command, "", command.operands)};
  std::vector<std::string> lines;
  lines.reserve(command.verbs.size());
  for (const VerbSpec& verb : command.verbs)
    lines.push_back(usage_line(command, verb.name, verb.operands));
  return lines;
}

}  // namespace drasriov::app
