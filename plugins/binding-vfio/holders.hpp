// SPDX-License-Identifier: Apache-2.0
//
// Which processes have a device node open. Reads <proc>/*/fd; needs the node's PID namespace and
// root to see all of them. Stateless; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace drasriov::binding_vfio {

struct Holder {
  std::string pid;
  std::string name;  ///< comm, as the kernel cuts it
};

/// The processes that have one of the nodes open, under whatever name: a container has a node of
/// its own with the same device number.
[[nodiscard]] std::vector<Holder> find_holders(const std::filesystem::path& proc,
                                               const std::vector<std::filesystem::path>& nodes);

/// "pid 4711 (qemu-system-x86)", at most three of them; "an unknown process" for none.
[[nodiscard]] std::string describe(const std::vector<Holder>& holders);

}  // namespace drasriov::binding_vfio
