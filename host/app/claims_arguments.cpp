// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

constexpr std::string_view kFormats = "table|wide|json|yaml";  // in the order of OutputFormat

Result<Command> make_claims(const Arguments& arguments) {
  ClaimsCommand command;
  if (!arguments.operands.empty()) command.claim = arguments.operands.front();
  command.config = arguments.config;
  const auto formats = choices(kFormats);
  command.format = static_cast<OutputFormat>(
      std::ranges::find(formats, arguments.options.at("output")) - formats.begin());
  return Command(std::move(command));
}

}  // namespace

CommandSpec claims_spec() {
  CommandSpec spec;
  spec.name = "claims";
  spec.summary = "show the claims that this node has prepared, from the driver's journal";
  spec.purpose =
      "Shows the driver's journal: each claim's state, its devices with the kernel driver that "
      "they "
      "had before and have now, the sandbox in which their interface is, and why a claim is not "
      "undone yet. Asks the running driver; when none runs, its files are read, and the first line "
      "says so. Changes nothing and takes no lock. CLAIM is a UID or NAMESPACE/NAME; with one, it "
      "is shown in full.";
  spec.operands = {"CLAIM", 0, 1, "claim", ""};
  spec.options = {{"output", 'o', kFormats, "json and yaml are stable", "table"}};
  spec.settings = SettingFlags::kTaken;
  spec.sections = {
      {"States",
       {{"Preparing", "begun; modules may have touched the device"},
        {"Prepared", "kubelet has its answer"},
        {"Undoing", "given back, but not everything could be put back yet; it is tried again"},
        {"Quarantined",
         "its record was damaged and set aside; its devices stay held until kubelet unprepares it"},
        {"Damaged", "its record cannot be read; the driver's next start sets it aside"}}}};
  spec.remark =
      "AGE is the time since the record was last written. A claim that is not in the journal is "
      "exit "
      "code 1. docs/status.md lists the members of json and yaml.";
  spec.examples = {
      {"dra-driver-sriov claims", "Which claims hold devices of this node, and how far are they?"},
      {"dra-driver-sriov claims default/my-vf", "Why is this claim not undone yet?"},
      {"dra-driver-sriov claims -o json | jq -r '.claims[] | select(.state==\"Undoing\") | .uid'",
       ""}};
  spec.make = make_claims;
  return spec;
}

}  // namespace drasriov::app
