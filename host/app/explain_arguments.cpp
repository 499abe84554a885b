// SPDX-License-Identifier: Apache-2.0
#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

Result<Command> make_explain(const Arguments& arguments) {
  ExplainCommand command;
  command.devices = arguments.operands;
  command.config = arguments.config;
  const std::string& format = arguments.options.at("output");
  if (format == "json") command.format = OutputFormat::kJson;
  if (format == "yaml") command.format = OutputFormat::kYaml;
  return Command(std::move(command));
}

}  // namespace

CommandSpec explain_spec() {
  CommandSpec spec;
  spec.name = "explain";
  spec.summary = "show why devices are published as they are, and who holds them";
  spec.purpose =
      "Says of each virtual function whether it is published and why: which SriovResourceFilter "
      "named it, or at which criterion each filter failed; which claim holds it; its health. Asks "
      "the running driver. When none runs, the machine, the cluster of the configuration and the "
      "journal are looked at instead, and the first line says so. Changes nothing. DEVICE is a "
      "device's name, its PCI address or interface, or a PF's interface or address for all of its "
      "VFs; with one, each is shown in full.";
  spec.operands = {"DEVICE", 0, kAnyNumber, "device", ""};
  spec.options = {{"output", 'o', "table|json|yaml", "json and yaml are stable", "table"}};
  spec.settings = SettingFlags::kTaken;
  spec.sections = {
      {"Columns",
       {{"PUBLISHED", "yes, no, or ? while the filters are not known"},
        {"RESOURCE", "the resourceName by which claims may select it"},
        {"HELD BY", "the claim that has it, and how far it is"},
        {"HEALTH", "as told to kubelet; gone: a claim holds it, the machine has it no more"},
        {"WHY", "the filter that decided, or what stands in the way"}}}};
  spec.remark =
      "An unknown DEVICE is exit code 1. docs/status.md lists the members of json and yaml.";
  spec.examples = {{"dra-driver-sriov explain",
                    "Which devices does this node offer, and which filters named them?"},
                   {"dra-driver-sriov explain 0000:08:00.2", "Why is this VF not published?"},
                   {"dra-driver-sriov explain ens1f0 -o json | jq -r "
                    "'.devices[] | select(.published|not) | .reason'",
                    "What keeps VFs of this PF back?"}};
  spec.make = make_explain;
  return spec;
}

}  // namespace drasriov::app
