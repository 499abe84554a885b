// SPDX-License-Identifier: Apache-2.0
#include "host/app/completion.hpp"
#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

Result<Command> make_completion(const Arguments& arguments) {
  return Command(
      PrintCommand{arguments.operands.front() == "bash" ? bash_completion() : zsh_completion()});
}

}  // namespace

CommandSpec completion_spec() {
  CommandSpec spec;
  spec.name = "completion";
  spec.summary = "print a script that lets bash or zsh complete commands, flags and their values";
  spec.purpose =
      "Prints a script for the shell. For bash put it into /etc/bash_completion.d or source it; "
      "for "
      "zsh name it _dra-driver-sriov in a directory of $fpath, or source it after compinit.";
  spec.operands = {"bash|zsh", 1, 1, "shell", "name bash or zsh"};
  spec.examples = {
      {"source <(dra-driver-sriov completion bash)", "Complete in this shell."},
      {"dra-driver-sriov completion zsh > /usr/share/zsh/site-functions/_dra-driver-sriov",
       "Complete in every zsh from now on."}};
  spec.make = make_completion;
  return spec;
}

}  // namespace drasriov::app
