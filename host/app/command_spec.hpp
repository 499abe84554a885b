// SPDX-License-Identifier: Apache-2.0
//
// What a command looks like from outside. Parser, --help, the shells' completions and
// docs/command-line.md are made from these descriptions, so that none of them can forget a flag. Constant data; any thread.
//
// To add a command NAME:
//   1. command_line.hpp: a struct NameCommand, named in the variant `Command`
//   2. name_arguments.cpp: `CommandSpec name_spec()`, its description and the function that makes the struct
//   3. command_table.cpp: a line with name_spec(), where people shall find it in --help
//   4. name_command.cpp and a line in the Dispatch of host/main.cpp: what the command does
//   5. scripts/generate-docs: docs/command-line.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/app/command_line.hpp"
#include "host/config/load.hpp"
#include "host/config/settings.hpp"

namespace drasriov::app {

// A placeholder says what a value is, to people and to shells: FILE and DIR complete to paths, MODULE to builtin modules
// and files, "a|b|c" is one of these texts; in it "dir:PATH" is a text of which only the lower-case start is fixed. Any
// other is free text.

struct OptionSpec {
  std::string_view name;         ///< without "--"
  char letter = '\0';            ///< of "-x"; 0 = none
  std::string_view placeholder;  ///< of the value; empty = a switch: --x, --x=true or --x=false
  std::string_view help;
  std::string_view default_value;  ///< of an option with a value; empty = none
};

/// The arguments that are no flags.
struct OperandSpec {
  std::string_view placeholder;  ///< empty = none are taken
  std::size_t least = 0;
  std::size_t most = 0;
  std::string_view noun;          ///< of the message when fewer are given: "no module given"
  std::string_view missing_hint;  ///< its hint
};

inline constexpr std::size_t kAnyNumber = static_cast<std::size_t>(-1);

/// A command's own commands: `module list`.
struct VerbSpec {
  std::string_view name;
  std::string_view help;
  OperandSpec operands;
};

/// A list of a help text: signals, what a column means.
struct SectionSpec {
  struct Row {
    std::string_view term;
    std::string_view text;
  };
  std::string_view title;
  std::vector<Row> rows;
};

struct ExampleSpec {
  std::string_view line;     ///< as typed
  std::string_view meaning;  ///< what one learns from it; may be empty
};

/// Which flags of settings (config/settings.hpp) a command takes, with --config and the environment.
enum class SettingFlags : std::uint8_t {
  kNone,
  kTaken,   ///< help refers to `run --help`
  kListed,  ///< help lists them
};

/// The arguments of one command, checked against its description.
struct Arguments {
  std::string_view verb;  ///< empty for a command without verbs
  /// By name: what was given, else the default; a switch is there as "true" or not at all.
  std::map<std::string, std::string, std::less<>> options;
  std::vector<std::string> operands;
  ConfigArguments config;

  [[nodiscard]] bool has(std::string_view option) const { return options.contains(option); }
};

struct CommandSpec {
  std::string_view name;
  std::string_view summary;  ///< one line, in the list of commands
  std::string_view purpose;  ///< opens the help text; sentences
  std::vector<VerbSpec> verbs;
  OperandSpec operands;  ///< of a command without verbs
  std::vector<OptionSpec> options;
  SettingFlags settings = SettingFlags::kNone;
  std::vector<SectionSpec> sections;
  std::string_view remark;  ///< after flags and sections; sentences
  std::vector<ExampleSpec> examples;
  Result<Command> (*make)(const Arguments&);
};

/// All commands, in the order of --help. `run` is the one that may be left out.
[[nodiscard]] std::span<const CommandSpec> command_table();

inline constexpr OptionSpec kHelpOption = {"help", 'h', "", "this text", ""};
inline constexpr OptionSpec kConfigOption = {
    "config", '\0', "FILE", "configuration, YAML; may be missing", config::kDefaultFile};

/// The flag of a setting that has one. Its default depends on nothing here: config::Setting::get.
[[nodiscard]] OptionSpec setting_option(const config::Setting& setting);

/// Every flag that a command takes: its own, --help, and as it says --config and those of the settings.
[[nodiscard]] std::vector<OptionSpec> all_options(const CommandSpec& command);

/// The texts of a placeholder "a|b|c"; empty for any other.
[[nodiscard]] std::vector<std::string_view> choices(std::string_view placeholder);

}  // namespace drasriov::app
