// SPDX-License-Identifier: Apache-2.0
//
// At which of the runtime's calls a pod without its network is refused. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

namespace drasriov::runtime_nri {

enum class RefuseAt {
  kAuto,       ///< at its sandbox, unless the runtime keeps refused sandboxes
  kSandbox,    ///< at RunPodSandbox
  kContainer,  ///< at CreateContainer; RunPodSandbox is never refused
};

/// "auto", "sandbox", "container".
[[nodiscard]] std::optional<RefuseAt> refuse_at(std::string_view name) noexcept;

/// Whether the runtime, by the name and version that it tells, leaves behind each sandbox whose start a plugin refuses:
/// containerd 2.0 and 2.1, 2.2 before 2.2.6, 2.3 before 2.3.3. Two of one pod, and containerd does not come up again after
/// its next restart. A version that cannot be read is taken for a good one.
[[nodiscard]] bool keeps_refused_sandboxes(std::string_view runtime,
                                           std::string_view version) noexcept;

}  // namespace drasriov::runtime_nri
