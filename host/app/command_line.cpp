// SPDX-License-Identifier: Apache-2.0
#include "host/app/command_line.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>

#include <algorithm>
#include <array>
#include <string_view>

#include "host/app/help.hpp"
#include "host/base/nearest_name.hpp"
#include "host/config/settings.hpp"

namespace drasriov::app {
namespace {

namespace po = boost::program_options;

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

/// Parses the flags of one command; `positional` names the option that takes the other arguments,
/// empty = none allowed.
Result<po::variables_map> parse_flags(std::span<const std::string> arguments,
                                      const po::options_description& options,
                                      std::string_view command, const char* positional = "") {
  po::positional_options_description positions;
  if (*positional != '\0') positions.add(positional, -1);
  try {
    po::variables_map values;
    po::store(po::command_line_parser({arguments.begin(), arguments.end()})
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
    std::vector<std::string> names;
    for (const auto& option : options.options()) names.push_back(option->long_name());
    const std::vector<std::string_view> known(names.begin(), names.end());
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

void add_help(po::options_description& options) {
  options.add_options()("help,h", "");
}

void add_config_flags(po::options_description& options) {
  options.add_options()("config", po::value<std::string>(), "");
  for (const config::Setting& setting : config::settings()) {
    if (setting.flag.empty()) continue;
    auto* value = po::value<std::string>();
    if (setting.type == config::Setting::Type::kBoolean) value->implicit_value("true");
    // "v" is both the long and the short name: --v 4 and -v 4.
    const std::string name(setting.flag == "v" ? "v,v" : setting.flag);
    options.add_options()(name.c_str(), value, "");
  }
}

ConfigArguments config_arguments(const po::variables_map& values) {
  ConfigArguments arguments;
  if (values.count("config") != 0) arguments.file = values["config"].as<std::string>();
  for (const config::Setting& setting : config::settings()) {
    const std::string flag(setting.flag);
    if (flag.empty() || values.count(flag) == 0) continue;
    arguments.flags.emplace(flag, values[flag].as<std::string>());
  }
  return arguments;
}

Result<Command> parse_run(std::span<const std::string> arguments) {
  po::options_description options;
  add_help(options);
  options.add_options()("print-config", po::bool_switch(), "");
  add_config_flags(options);
  const auto values = parse_flags(arguments, options, "run");
  if (!values) return values.error();
  if (values->count("help") != 0) return Command(HelpCommand{run_help()});
  return Command(RunCommand{config_arguments(*values), (*values)["print-config"].as<bool>()});
}

Result<OutputFormat> output_format(const std::string& text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "wide") return OutputFormat::kWide;
  if (text == "json") return OutputFormat::kJson;
  if (text == "yaml") return OutputFormat::kYaml;
  return usage("flag --output: '" + text + "' is not one of table wide json yaml",
               help_hint("devices"));
}

Result<Command> parse_devices(std::span<const std::string> arguments) {
  po::options_description options;
  add_help(options);
  options.add_options()("sysfs-root", po::value<std::string>()->default_value("/sys"), "")(
      "output,o", po::value<std::string>()->default_value("table"), "")(
      "module-directory", po::value<std::string>(), "")("insecure-dev", po::bool_switch(), "");
  const auto values = parse_flags(arguments, options, "devices");
  if (!values) return values.error();
  if (values->count("help") != 0) return Command(HelpCommand{devices_help()});
  const auto format = output_format((*values)["output"].as<std::string>());
  if (!format) return format.error();

  DevicesCommand command;
  command.format = *format;
  command.insecure_dev = (*values)["insecure-dev"].as<bool>();
  std::error_code error;
  command.sysfs_root = std::filesystem::absolute((*values)["sysfs-root"].as<std::string>(), error)
                           .lexically_normal();
  if (error) return usage("flag --sysfs-root: " + error.message(), help_hint("devices"));
  if (values->count("module-directory") != 0) {
    command.module_directory =
        std::filesystem::absolute((*values)["module-directory"].as<std::string>(), error);
  }
  return Command(std::move(command));
}

constexpr std::array<std::string_view, 3> kModuleVerbs = {"list", "inspect", "verify"};

Result<Command> parse_module(std::span<const std::string> arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h")
    return Command(HelpCommand{module_help()});
  if (arguments[0] == "verify-child" && arguments.size() == 2)
    return Command(VerifyChildCommand{arguments[1]});
  const auto verb = std::ranges::find(kModuleVerbs, arguments[0]);
  if (verb == kModuleVerbs.end()) {
    return unknown("command", arguments[0], kModuleVerbs, "", "module");
  }
  ModuleCommand command;
  command.verb = static_cast<ModuleCommand::Verb>(verb - kModuleVerbs.begin());

  po::options_description options;
  add_help(options);
  options.add_options()("json", po::bool_switch(), "")("modules",
                                                       po::value<std::vector<std::string>>(), "");
  add_config_flags(options);
  const bool takes_modules = command.verb != ModuleCommand::Verb::kList;
  const auto values =
      parse_flags(arguments.subspan(1), options, "module", takes_modules ? "modules" : "");
  if (!values) return values.error();
  if (values->count("help") != 0) return Command(HelpCommand{module_help()});
  command.config = config_arguments(*values);
  command.json = (*values)["json"].as<bool>();
  if (values->count("modules") != 0)
    command.modules = (*values)["modules"].as<std::vector<std::string>>();
  if (takes_modules && command.modules.empty()) {
    return usage("module " + arguments[0] + ": no module given",
                 "name files or builtin modules, for example builtin:cdi");
  }
  return Command(std::move(command));
}

Result<Command> parse_version(std::span<const std::string> arguments) {
  po::options_description options;
  add_help(options);
  options.add_options()("abi", po::bool_switch(), "");
  const auto values = parse_flags(arguments, options, "version");
  if (!values) return values.error();
  if (values->count("help") != 0) return Command(HelpCommand{version_help()});
  return Command(VersionCommand{(*values)["abi"].as<bool>()});
}

struct Entry {
  std::string_view name;
  Result<Command> (*parse)(std::span<const std::string>);
};

constexpr std::array kCommands = {Entry{"run", parse_run}, Entry{"devices", parse_devices},
                                  Entry{"module", parse_module}, Entry{"version", parse_version}};

}  // namespace

Result<Command> parse_command_line(std::span<const std::string> arguments) {
  if (arguments.empty()) return parse_run(arguments);
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h" || first == "help")
    return Command(HelpCommand{main_help()});
  if (first == "--version") return Command(VersionCommand{});
  if (first.starts_with('-')) return parse_run(arguments);
  for (const Entry& entry : kCommands) {
    if (first == entry.name) return entry.parse(arguments.subspan(1));
  }
  std::vector<std::string_view> names;
  for (const Entry& entry : kCommands) names.push_back(entry.name);
  return unknown("command", first, names, "", "");
}

}  // namespace drasriov::app
