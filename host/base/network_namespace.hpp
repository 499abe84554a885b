// SPDX-License-Identifier: Apache-2.0
//
// NetworkNamespace: an open network namespace and what tells it from another one that later has the same path. A value
// that owns a descriptor; movable, one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "host/base/result.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov {

struct NetworkNamespace {
  UniqueFd fd;
  std::uint64_t device =
      0;  ///< st_dev and st_ino of the nsfs file: unique while the namespace lives
  std::uint64_t inode = 0;
};

/// Opens the namespace of a sandbox, here or in `<proc>/1/root`: a runtime may keep it anywhere on the node. Errors:
/// NOT_FOUND when there is no such path any more; FAILED_PRECONDITION when it is not a network namespace (nsfs(5): a plain file is left where a namespace was unmounted, or was mounted after a container
/// without mount propagation began), or when it is the host's own, that of this process or of `<proc>/1`:
/// CRI-O names it for pods with hostNetwork. `path` comes from the container runtime; it is opened without following a
/// last symbolic link, except for `/proc/<pid>/ns/net`, which is one.
[[nodiscard]] Result<NetworkNamespace> open_network_namespace(const std::string& path,
                                                              const std::filesystem::path& proc);

}  // namespace drasriov
