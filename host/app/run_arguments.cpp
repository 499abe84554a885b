// SPDX-License-Identifier: Apache-2.0
#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

Result<Command> make_run(const Arguments& arguments) {
  return Command(RunCommand{arguments.config, arguments.has("print-config")});
}

}  // namespace

CommandSpec run_spec() {
  CommandSpec spec;
  spec.name = "run";
  spec.summary = "serve this node; the default when no command is given";
  spec.purpose =
      "Serves this node: discovers virtual functions, publishes them, prepares claims for kubelet. "
      "Flags win over environment variables, these over the file, the file over the defaults. "
      "Roots of the machine, the list of modules and their configuration are in the file only; "
      "docs/configuration.md shows all of it.";
  spec.options = {
      {"print-config", '\0', "",
       "print the effective configuration as YAML, and on standard error what would keep the "
       "driver from starting with it, as far as that shows without a module's code (exit code 2), "
       "and exit",
       ""}};
  spec.settings = SettingFlags::kListed;
  spec.sections = {
      {"Signals",
       {{"SIGTERM, SIGINT",
         "stop: kubelet's registration first, then running calls (at most 10 s); slices stay"},
        {"SIGHUP", "look at the machine again"},
        {"SIGUSR1", "write modules, devices, claims and metrics to the log"}}}};
  spec.examples = {
      {"dra-driver-sriov --node-name worker-1 --cluster dir:/srv/cluster",
       "Serve a machine whose API objects are YAML files in a directory."},
      {"dra-driver-sriov run --config ./config.yaml --print-config",
       "Check a file: every mistake is shown with line, column and what to write instead."}};
  spec.make = make_run;
  return spec;
}

}  // namespace drasriov::app
