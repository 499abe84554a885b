// SPDX-License-Identifier: Apache-2.0
#include "host/app/help.hpp"

#include "host/config/load.hpp"
#include "host/config/settings.hpp"

namespace drasriov::app {
namespace {

constexpr std::string_view kExitCodes =
    "\nExit codes:\n"
    "  0  done; run: stopped by SIGTERM or SIGINT\n"
    "  1  failed; the log or standard error says what\n"
    "  2  wrong command line or configuration: starting again does not help\n"
    "  3  run: did not stop within 30 s, a module or a call did not return\n";

/// "  --name VALUE    text", the text wrapped at column 100.
void append_flag(std::string& out, const std::string& names, std::string_view text) {
  constexpr std::size_t kTextColumn = 44;
  constexpr std::size_t kWidth = 100;
  std::string line = "  " + names;
  if (line.size() + 2 > kTextColumn) {
    out += line + "\n";
    line.clear();
  }
  line.resize(kTextColumn, ' ');
  while (line.size() + text.size() > kWidth) {
    const auto space = text.rfind(' ', kWidth - line.size());
    if (space == std::string_view::npos) break;
    out.append(line).append(text.substr(0, space)).append("\n");
    text.remove_prefix(space + 1);
    line.assign(kTextColumn, ' ');
  }
  out.append(line).append(text).append("\n");
}

void append_settings(std::string& out) {
  const config::Configuration defaults;
  for (const config::Setting& setting : config::settings()) {
    if (setting.flag.empty()) continue;
    const std::string name = setting.flag == "v" ? "-v, --v" : "--" + std::string(setting.flag);
    std::string text(setting.help);
    const std::string value = setting.get(defaults);
    text += value.empty() ? " (" : " (default " + value + "; ";
    text +=
        setting.environment.empty() ? "" : "variable " + std::string(setting.environment) + ", ";
    text += "file " + std::string(setting.key) + ")";
    append_flag(out, name + " " + std::string(setting.placeholder), text);
  }
}

}  // namespace

std::string main_help() {
  std::string out =
      "dra-driver-sriov: Kubernetes hands out the SR-IOV virtual functions of this node.\n"
      "\n"
      "Usage: dra-driver-sriov [COMMAND] [FLAGS]\n"
      "\n"
      "Commands:\n"
      "  run       serve this node; the default when no command is given\n"
      "  devices   show what the driver finds on this machine, without configuration or cluster\n"
      "  module    list, inspect or verify modules\n"
      "  version   version of the driver and of the module ABI\n"
      "\n"
      "dra-driver-sriov COMMAND --help explains a command.\n"
      "\n"
      "Examples:\n"
      "  dra-driver-sriov devices -o wide\n"
      "      Which VFs are there, with driver, NUMA node and the PF they belong to?\n"
      "  dra-driver-sriov run --print-config\n"
      "      What do file, environment and flags come to?\n"
      "  dra-driver-sriov module verify /opt/acme/acme-bind.so\n"
      "      Would the driver load this module, and if not, what is to be done?\n";
  return out.append(kExitCodes);
}

std::string run_help() {
  std::string out =
      "Serves this node: discovers virtual functions, publishes them, prepares claims for "
      "kubelet.\n"
      "\n"
      "Usage: dra-driver-sriov [run] [FLAGS]\n"
      "\n"
      "Flags win over environment variables, these over the file, the file over the defaults. "
      "Roots of the\n"
      "machine, the list of modules and their configuration are in the file only; "
      "docs/configuration.md\n"
      "shows all of it.\n"
      "\n"
      "Flags:\n";
  append_flag(out, "--config FILE",
              "configuration, YAML (default " + std::string(config::kDefaultFile) +
                  ", which may be missing)");
  append_flag(out, "--print-config", "print the effective configuration as YAML and exit");
  append_flag(out, "-h, --help", "this text");
  append_settings(out);
  out +=
      "\n"
      "Signals:\n"
      "  SIGTERM, SIGINT  stop: kubelet's registration first, then running calls (at most 10 s); "
      "slices stay\n"
      "  SIGHUP           look at the machine again\n"
      "  SIGUSR1          write modules, devices, claims and metrics to the log\n"
      "\n"
      "Examples:\n"
      "  dra-driver-sriov --node-name worker-1 --cluster dir:/srv/cluster\n"
      "      Serve a machine whose API objects are YAML files in a directory.\n"
      "  dra-driver-sriov run --config ./config.yaml --print-config\n"
      "      Check a file: every mistake is shown with line, column and what to write instead.\n";
  return out.append(kExitCodes);
}

std::string devices_help() {
  std::string out =
      "Shows the virtual functions that the driver finds on this machine. Needs no configuration, "
      "no\n"
      "cluster and no kubelet, and changes nothing.\n"
      "\n"
      "Usage: dra-driver-sriov devices [FLAGS]\n"
      "\n"
      "Flags:\n";
  append_flag(out, "--sysfs-root DIR",
              "sysfs to read: a captured tree shows another machine (default /sys)");
  append_flag(out, "-o, --output FORMAT",
              "table, wide, json or yaml (default table); json and yaml are stable");
  append_flag(out, "--module-directory DIR",
              "where discovery-sysfs is; without it beside the executable");
  append_flag(out, "--insecure-dev",
              "for development: load the module even if other users may write it");
  append_flag(out, "-h, --help", "this text");
  out +=
      "\n"
      "What had to be skipped is named on standard error, with the reason; the exit code stays 0.\n"
      "\n"
      "Examples:\n"
      "  dra-driver-sriov devices\n"
      "  dra-driver-sriov devices -o json | jq -r '.devices[].name'\n"
      "  dra-driver-sriov devices --sysfs-root /tmp/captured/sys -o wide\n";
  return out.append(kExitCodes);
}

std::string module_help() {
  std::string out =
      "Looks at modules: the shared objects that discover, bind and connect devices.\n"
      "\n"
      "Usage: dra-driver-sriov module list [FLAGS]\n"
      "       dra-driver-sriov module inspect [FLAGS] MODULE...\n"
      "       dra-driver-sriov module verify [FLAGS] MODULE...\n"
      "\n"
      "  list     the modules of the configuration, each with its file, version and capabilities\n"
      "  inspect  what a module says about itself; runs no code of it\n"
      "  verify   every check that the driver makes before it loads a module, one line each with a "
      "verdict\n"
      "           and what to do; the module's code runs in a child process\n"
      "\n"
      "MODULE is a file or builtin:NAME.\n"
      "\n"
      "Flags:\n";
  append_flag(out, "--json", "for programs; stable");
  append_flag(out, "-h, --help", "this text");
  out +=
      "  --config, --module-directory, --insecure-dev and all other flags of run\n"
      "\n"
      "Examples:\n"
      "  dra-driver-sriov module list\n"
      "  dra-driver-sriov module inspect builtin:cdi\n"
      "  dra-driver-sriov module verify --json /opt/acme/acme-bind.so\n"
      "\n"
      "verify exits with 1 when a module was refused.\n";
  return out.append(kExitCodes);
}

std::string version_help() {
  std::string out =
      "Prints the version of the driver.\n"
      "\n"
      "Usage: dra-driver-sriov version [--abi]\n"
      "\n"
      "Flags:\n";
  append_flag(out, "--abi", "only the version of the module ABI, for scripts that build modules");
  append_flag(out, "-h, --help", "this text");
  return out.append(kExitCodes);
}

}  // namespace drasriov::app
