// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

constexpr std::string_view kFormats = "table|wide|json|yaml";  // in the order of OutputFormat

Result<std::filesystem::path> absolute(const Arguments& arguments, const char* option) {
  std::error_code error;
  auto path = std::filesystem::absolute(arguments.options.at(option), error);
  if (error) {
    return Error(Code::kInvalidArgument, std::string("flag --") + option + ": " + error.message(),
                 "give an absolute path");
  }
  return path.lexically_normal();
}

Result<Command> make_devices(const Arguments& arguments) {
  DevicesCommand command;
  const auto formats = choices(kFormats);
  command.format = static_cast<OutputFormat>(
      std::ranges::find(formats, arguments.options.at("output")) - formats.begin());
  command.insecure_dev = arguments.has("insecure-dev");
  auto sysfs_root = absolute(arguments, "sysfs-root");
  if (!sysfs_root) return sysfs_root.error();
  command.sysfs_root = *std::move(sysfs_root);
  if (arguments.has("module-directory")) {
    auto directory = absolute(arguments, "module-directory");
    if (!directory) return directory.error();
    command.module_directory = *std::move(directory);
  }
  return Command(std::move(command));
}

}  // namespace

CommandSpec devices_spec() {
  CommandSpec spec;
  spec.name = "devices";
  spec.summary = "show what the driver finds on this machine, without configuration or cluster";
  spec.purpose =
      "Shows the virtual functions that the driver finds on this machine. Needs no configuration, "
      "no cluster and no kubelet, and changes nothing.";
  spec.options = {
      {"sysfs-root", '\0', "DIR", "sysfs to read: a captured tree shows another machine", "/sys"},
      {"output", 'o', kFormats, "json and yaml are stable", "table"},
      {"module-directory", '\0', "DIR",
       "where discovery-sysfs is; without it beside the executable", ""},
      {"insecure-dev", '\0', "",
       "for development: load the module even if other users may write it", ""}};
  spec.remark =
      "What had to be skipped is named on standard error, with the reason; the exit code stays 0.";
  spec.examples = {{"dra-driver-sriov devices -o wide",
                    "Which VFs are there, with driver, NUMA node and the PF they belong to?"},
                   {"dra-driver-sriov devices -o json | jq -r '.devices[].name'", ""},
                   {"dra-driver-sriov devices --sysfs-root /tmp/captured/sys -o wide", ""}};
  spec.make = make_devices;
  return spec;
}

}  // namespace drasriov::app
