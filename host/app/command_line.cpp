// SPDX-License-Identifier: Apache-2.0
#include "host/app/command_line.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>

#include <algorithm>
#include <string_view>

#include "host/app/command_spec.hpp"
#include "host/app/help.hpp"
#include "host/base/nearest_name.hpp"
#include "host/config/settings.hpp"

namespace drasriov::app {
namespace {

namespace po = boost::program_options;

constexpr const char* kOperands = "operand";  // no flag of a command may have this name

Error usage(std::string message, std::string hint) {
  return {Code::kInvalidArgument, std::move(message), std::move(hint)};
}

std::string help_hint(std::string_view command) {
  std::string hint = "see dra-driver-sriov ";
  if (!command.empty()) hint.append(command).append(" ");
  return hint.append("--help");
}

Error unknown(std::string_view what, std::string_view name, std::span<const std::string_view> known,
              std::string_view prefix, std::string_view command) {
  std::string hint = help_hint(command);
  if (const auto nearest = nearest_name(name, known)) {
    hint = "did you mean '" + std::string(prefix) + std::string(*nearest) + "'?";
  }
  return usage(
      "unknown " + std::string(what) + " '" + std::string(prefix) + std::string(name) + "'",
      std::move(hint));
}

/// Boost's style without abbreviations: a flag added later must not change what a manifest's
/// shorter one means.
constexpr int kStyle = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

po::options_description boost_options(std::span<const OptionSpec> specs) {
  po::options_description options;
  for (const OptionSpec& spec : specs) {
    std::string name(spec.name);
    if (spec.letter != '\0') name.append(",").append(1, spec.letter);
    auto* value = po::value<std::string>();
    if (spec.placeholder.empty()) value->implicit_value("true");
    options.add_options()(name.c_str(), value, "");
  }
  options.add_options()(kOperands, po::value<std::vector<std::string>>(), "");
  return options;
}

/// `--switch` as `--switch=true`: Boost gives an operand that follows a switch to it.
std::vector<std::string> with_switch_values(std::span<const std::string> arguments,
                                            std::span<const OptionSpec> specs) {
  std::vector<std::string> result(arguments.begin(), arguments.end());
  for (std::string& argument : result) {
    if (argument == "--") break;
    for (const OptionSpec& spec : specs) {
      if (!spec.placeholder.empty()) continue;
      const bool is_it = argument == "--" + std::string(spec.name) ||
                         (spec.letter != '\0' && argument == std::string("-") + spec.letter);
      if (is_it) argument = "--" + std::string(spec.name) + "=true";
    }
  }
  return result;
}

Result<po::variables_map> parse_flags(std::span<const std::string> arguments,
                                      std::span<const OptionSpec> specs, bool takes_operands,
                                      std::string_view command) {
  const po::options_description options = boost_options(specs);
  po::positional_options_description positions;
  if (takes_operands) positions.add(kOperands, -1);
  try {
    po::variables_map values;
    po::store(po::command_line_parser(with_switch_values(arguments, specs))
                  .options(options)
                  .positional(positions)
                  .style(kStyle)
                  .run(),
              values);
    po::notify(values);
    return values;
  } catch (const po::unknown_option& e) {
    std::string name = e.get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    std::vector<std::string_view> known;
    for (const OptionSpec& spec : specs) known.push_back(spec.name);
    return unknown("flag", name, known, "--", command);
  } catch (const po::too_many_positional_options_error&) {
    const auto stray =
        std::ranges::find_if(arguments, [](const std::string& a) { return !a.starts_with('-'); });
    return usage(
        "'" + (stray == arguments.end() ? arguments.back() : *stray) + "' is not expected here",
        help_hint(command));
  } catch (const po::error& e) {
    return usage(e.what(), help_hint(command));
  }
}

/// The options of the command itself: checked, defaults filled in.
Status take_options(Arguments& arguments, const po::variables_map& values,
                    const CommandSpec& command) {
  for (const OptionSpec& option : command.options) {
    const std::string name(option.name);
    std::string value(option.default_value);
    if (values.count(name) != 0) value = values[name].as<std::string>();
    const bool is_switch = option.placeholder.empty();
    const auto allowed = choices(is_switch ? "true|false" : option.placeholder);
    const bool is_absent = values.count(name) == 0 && option.default_value.empty();
    if (!is_absent && !allowed.empty() && std::ranges::find(allowed, value) == allowed.end()) {
      std::string message = "flag --" + name + ": '" + value + "' is not one of";
      for (const std::string_view text : allowed) message.append(" ").append(text);
      return usage(std::move(message), help_hint(command.name));
    }
    if (!is_absent && !(is_switch && value == "false")) {
      arguments.options.emplace(name, std::move(value));
    }
  }
  return {};
}

void take_settings(ConfigArguments& arguments, const po::variables_map& values) {
  if (values.count("config") != 0) arguments.file = values["config"].as<std::string>();
  for (const config::Setting& setting : config::settings()) {
    const std::string flag(setting.flag);
    if (flag.empty() || values.count(flag) == 0) continue;
    arguments.flags.emplace(flag, values[flag].as<std::string>());
  }
}

Status take_operands(Arguments& arguments, const po::variables_map& values,
                     const OperandSpec& operands, const CommandSpec& command) {
  if (values.count(kOperands) != 0)
    arguments.operands = values[kOperands].as<std::vector<std::string>>();
  if (arguments.operands.size() < operands.least) {
    std::string name(command.name);
    if (!arguments.verb.empty()) name.append(" ").append(arguments.verb);
    return usage(name + ": no " + std::string(operands.noun) + " given",
                 std::string(operands.missing_hint));
  }
  if (arguments.operands.size() > operands.most) {
    return usage("'" + arguments.operands[operands.most] + "' is not expected here",
                 help_hint(command.name));
  }
  const auto allowed = choices(operands.placeholder);
  for (const std::string& operand : arguments.operands) {
    if (!allowed.empty() && std::ranges::find(allowed, operand) == allowed.end()) {
      return unknown(operands.noun, operand, allowed, "", command.name);
    }
  }
  return {};
}

bool asks_for_help(const std::string& argument) {
  return argument == "--help" || argument == "-h";
}

Result<Command> parse_command(const CommandSpec& command, std::span<const std::string> words) {
  Arguments arguments;
  const OperandSpec* operands = &command.operands;
  if (!command.verbs.empty()) {
    if (words.empty() || asks_for_help(words[0])) return Command(PrintCommand{help_of(command)});
    const auto verb = std::ranges::find(command.verbs, words[0], &VerbSpec::name);
    if (verb == command.verbs.end()) {
      std::vector<std::string_view> names(command.verbs.size());
      std::ranges::transform(command.verbs, names.begin(), &VerbSpec::name);
      return unknown("command", words[0], names, "", command.name);
    }
    arguments.verb = verb->name;
    operands = &verb->operands;
    words = words.subspan(1);
  }
  const auto options = all_options(command);
  const auto values = parse_flags(words, options, operands->most > 0, command.name);
  if (!values) return values.error();
  if (values->count("help") != 0) return Command(PrintCommand{help_of(command)});
  if (auto taken = take_options(arguments, *values, command); !taken) return taken.error();
  if (command.settings != SettingFlags::kNone) take_settings(arguments.config, *values);
  if (auto taken = take_operands(arguments, *values, *operands, command); !taken)
    return taken.error();
  return command.make(arguments);
}

}  // namespace

Result<Command> parse_command_line(std::span<const std::string> arguments) {
  const auto commands = command_table();
  const CommandSpec& run = commands.front();
  if (arguments.empty()) return parse_command(run, arguments);
  const std::string& first = arguments.front();
  if (asks_for_help(first) || first == "help") return Command(PrintCommand{main_help()});
  if (first == "--version") return Command(VersionCommand{});
  if (first.starts_with('-')) return parse_command(run, arguments);
  if (arguments.size() == 3 && first == "module" && arguments[1] == "verify-child")
    return Command(VerifyChildCommand{arguments[2]});
  const auto command = std::ranges::find(commands, first, &CommandSpec::name);
  if (command != commands.end()) return parse_command(*command, arguments.subspan(1));
  std::vector<std::string_view> names;
  for (const CommandSpec& known : commands) names.push_back(known.name);
  return unknown("command", first, names, "", "");
}

}  // namespace drasriov::app
