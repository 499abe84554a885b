// SPDX-License-Identifier: Apache-2.0
//
// OwnerLock: one owner of a node's state at a time. Held from before the first look at the journal
// until the process ends; the kernel releases it however that happens. Not thread-safe.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "host/base/result.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov::app {

class OwnerLock {
 public:
  /// Opens `<directory>/owner.lock` (created, 0600). The lock is not taken yet.
  [[nodiscard]] static Result<OwnerLock> open(const std::filesystem::path& directory);

  /// True when this process owns the node now; false while another one does.
  [[nodiscard]] Result<bool> try_take();

  /// Process id that the owner wrote; nullopt when it is not readable. For messages only.
  [[nodiscard]] std::optional<std::string> owner() const;

 private:
  OwnerLock(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace drasriov::app
