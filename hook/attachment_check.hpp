// SPDX-License-Identifier: Apache-2.0
//
// Which sandbox a container that is being created belongs to, read from the OCI state that its runtime gives a hook.
// Pure functions of text; no allocation. Used by the hook's main(); one thread.
#pragma once

#include <string_view>

namespace drasriov::hook {

struct SandboxOfState {
  std::string_view id;       ///< part of the text; empty when `problem` says why there is none
  std::string_view problem;  ///< half a sentence for people
};

/// `state` is the JSON document "State" of the OCI runtime specification. The sandbox is what containerd
/// (io.kubernetes.cri.sandbox-id) or CRI-O (io.kubernetes.cri-o.SandboxID) have written into the container's annotations.
/// A problem: the text is not one JSON object, no such annotation, two that differ, an id that cannot be a file name.
[[nodiscard]] SandboxOfState sandbox_of_state(std::string_view state);

/// Whether `text` may stand in a path as one name: letters, digits, '.', '_', '-', no '.' first, at most 128.
[[nodiscard]] bool is_plain_name(std::string_view text);

}  // namespace drasriov::hook
