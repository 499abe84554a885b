// SPDX-License-Identifier: Apache-2.0
//
// HostFiles: the files of the host's mount namespace as a process in a container sees them, below <proc>/1/root. Symbolic
// links are resolved as the host would (openat2, RESOLVE_IN_ROOT): /var/run -> /run must not lead into the container.
// Only reads. Not thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov::doctor {

class HostFiles {
 public:
  /// PERMISSION_DENIED or NOT_FOUND when the root cannot be opened (no hostPID, not root).
  [[nodiscard]] static Result<HostFiles> open(const std::filesystem::path& root);

  /// The first MiB of a regular file. `path` as on the host.
  [[nodiscard]] Result<std::string> read(const std::filesystem::path& path) const;
  [[nodiscard]] bool exists(const std::filesystem::path& path) const;
  /// Names in a directory, sorted; empty when it cannot be read.
  [[nodiscard]] std::vector<std::string> list(const std::filesystem::path& directory) const;

 private:
  explicit HostFiles(UniqueFd root) : root_(std::move(root)) {}
  [[nodiscard]] UniqueFd open_at(const std::filesystem::path& path, int flags) const;
  UniqueFd root_;
};

/// Up to `limit` bytes of a file, whatever size stat(2) says (sysfs, procfs).
[[nodiscard]] Result<std::string> read_some(const std::filesystem::path& path,
                                            std::size_t limit = 1U << 20U);

}  // namespace drasriov::doctor
