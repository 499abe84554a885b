// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

constexpr std::array<std::string_view, 4> kVerbs = {
    "list", "inspect", "verify", "schema"};  // in the order of ModuleCommand::Verb

Result<Command> make_module(const Arguments& arguments) {
  ModuleCommand command;
  command.verb =
      static_cast<ModuleCommand::Verb>(std::ranges::find(kVerbs, arguments.verb) - kVerbs.begin());
  command.modules = arguments.operands;
  command.config = arguments.config;
  command.json = arguments.has("json");
  command.claim_schema = arguments.has("claim");
  return Command(std::move(command));
}

}  // namespace

CommandSpec module_spec() {
  const OperandSpec modules{"MODULE", 1, kAnyNumber, "module",
                            "name files or builtin modules, for example builtin:cdi"};
  CommandSpec spec;
  spec.name = "module";
  spec.summary = "list, inspect or verify modules, show what they can be configured with";
  spec.purpose =
      "Looks at modules: the shared objects that discover, bind and connect devices. MODULE is a "
      "file or builtin:NAME.";
  spec.verbs = {
      {kVerbs[0],
       "the modules of the configuration, each with its file, version and capabilities",
       {}},
      {kVerbs[1], "what a module says about itself; runs no code of it", modules},
      {kVerbs[2],
       "every check that the driver makes before it loads a module, one line each with a verdict "
       "and what to do; the module's code runs in a child process. Exits with 1 when a module was "
       "refused",
       modules},
      {kVerbs[3],
       "the JSON Schema of what the configuration may say in a module's `config`; runs the "
       "module's "
       "code, so it is checked as the driver would",
       modules}};
  spec.options = {{"json", '\0', "", "for programs; stable", ""},
                  {"claim", '\0', "",
                   "schema: what a claim may say in `modules.NAME`, and which fields of a VfConfig "
                   "are the module's",
                   ""}};
  spec.settings = SettingFlags::kTaken;
  spec.examples = {{"dra-driver-sriov module list", ""},
                   {"dra-driver-sriov module inspect builtin:cdi", ""},
                   {"dra-driver-sriov module schema builtin:discovery-sysfs | jq .properties", ""},
                   {"dra-driver-sriov module verify /opt/acme/acme-bind.so",
                    "Would the driver load this module, and if not, what is to be done?"}};
  spec.make = make_module;
  return spec;
}

}  // namespace drasriov::app
