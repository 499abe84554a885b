// SPDX-License-Identifier: Apache-2.0
#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

Result<Command> make_bundle(const Arguments& arguments) {
  BundleCommand command;
  command.config = arguments.config;
  if (!arguments.operands.empty()) command.output = arguments.operands.front();
  if (arguments.has("host-root")) command.host_root = arguments.options.at("host-root");
  return Command(std::move(command));
}

}  // namespace

CommandSpec bundle_spec() {
  CommandSpec spec;
  spec.name = "bundle";
  spec.summary = "collect what a bug report needs in one archive, without secrets";
  spec.purpose =
      "Writes a .tar.gz archive of what the other commands say (devices, explain, claims, doctor, "
      "module list, verify and schema, version), the running driver's status with metrics, the "
      "configuration in effect, the journal, this driver's CDI specs, kernel texts, PCI functions "
      "and kubelet's directories. Its manifest.json names each file's origin, size and SHA-256, or "
      "why it is not there. Works when the driver is down or hangs, and changes nothing. FILE is "
      "replaced whole (0600) or not at all; - or nothing is standard output, unless that is a "
      "terminal.";
  spec.operands = {"FILE", 0, 1, "file", ""};
  spec.options = {{"host-root", '\0', "DIR",
                   "where the host's root directory is seen; without it /proc/1/root, which needs "
                   "hostPID",
                   ""}};
  spec.settings = SettingFlags::kTaken;
  spec.remark =
      "Passwords, tokens, keys and certificates, authorization headers and users in URLs are "
      "replaced by (redacted); network configurations of claims are left out. Names, addresses and "
      "UIDs stay: look through the archive before you publish it. What cannot be read is named in "
      "the manifest and is no failure: exits with 1 only when there is no archive. A text is cut "
      "at 4 MiB, and the archive holds 64 MiB of texts at most.";
  spec.examples = {{"kubectl exec -n NAMESPACE POD -- dra-driver-sriov bundle > bundle.tar.gz",
                    "All that a bug report needs, from a node far away."},
                   {"dra-driver-sriov bundle /tmp/bundle.tar.gz", ""}};
  spec.make = make_bundle;
  return spec;
}

}  // namespace drasriov::app
