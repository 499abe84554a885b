// SPDX-License-Identifier: Apache-2.0
#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

Result<Command> make_version(const Arguments& arguments) {
  return Command(VersionCommand{arguments.has("abi")});
}

}  // namespace

CommandSpec version_spec() {
  CommandSpec spec;
  spec.name = "version";
  spec.summary = "version of the driver and of the module ABI";
  spec.purpose = "Prints the version of the driver.";
  spec.options = {
      {"abi", '\0', "", "only the version of the module ABI, for scripts that build modules", ""}};
  spec.make = make_version;
  return spec;
}

}  // namespace drasriov::app
