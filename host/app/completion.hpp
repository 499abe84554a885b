// SPDX-License-Identifier: Apache-2.0
//
// Completion scripts for shells, made from the command table. Pure; any thread.
#pragma once

#include <string>

namespace drasriov::app {

/// For `source <(dra-driver-sriov completion bash)`; needs bash 4.4 and no other package.
[[nodiscard]] std::string bash_completion();

/// For `source <(dra-driver-sriov completion zsh)` after compinit, or as the file _dra-driver-sriov in $fpath.
[[nodiscard]] std::string zsh_completion();

}  // namespace drasriov::app
