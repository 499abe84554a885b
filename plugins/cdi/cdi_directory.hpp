// SPDX-License-Identifier: Apache-2.0
//
// CdiDirectory: the CDI spec files of this driver in the directory that the container runtime
// watches. Any thread; two calls for one (kind, id) at the same time are the caller's to avoid.
//
// A spec is the file "<vendor>-<class>_<id>.json". It appears by rename from a temporary file of
// the same directory: the runtimes' watches notice nothing else of the atomic ways (no link, no
// rename from elsewhere). Atomic, not durable: the directory is a tmpfs on most nodes and is
// rebuilt from the host's journal, so nothing is synced.
//
// The Go driver of the same name wrote "<vendor>-<class>_<id>.yaml". Such a file counts as this
// spec: two files with one device make it unresolvable, so a write or a removal takes it along, and
// it is listed.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::cdi {

class CdiDirectory {
 public:
  /// `path` is absolute; it need not exist.
  explicit CdiDirectory(std::filesystem::path path);

  enum class Written { kNew, kUnchanged };

  /// Writes or replaces the spec, mode 0644, and creates the directory (0755) when it is missing. A
  /// file with the same bytes is left alone. On failure nothing changed and no temporary file
  /// stays. Errors: INVALID_ARGUMENT for a kind, id or document that breaks CDI's rules; else as
  /// the file system says, with a hint.
  [[nodiscard]] sdk::Result<Written> write(std::string_view kind, std::string_view id,
                                           std::string_view spec_json);

  /// Whether write() will be allowed to write, as far as it can be told without writing. A directory that is not there yet
  /// is success.
  [[nodiscard]] sdk::Status check_writable() const;

  /// A spec, or a directory, that is not there is success.
  [[nodiscard]] sdk::Status remove(std::string_view kind, std::string_view id);

  struct Listing {
    std::vector<std::string> ids;         ///< sorted
    std::size_t removed_temporaries = 0;  ///< what killed writes of earlier processes left
  };
  /// By file name alone: broken contents do not matter, other files are left alone. The only call
  /// that reads the folder.
  [[nodiscard]] sdk::Result<Listing> list(std::string_view kind);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  [[nodiscard]] std::string temporary_name(std::string_view stem);

  const std::filesystem::path path_;
  const std::string
      token_;  ///< tells this object's temporary files from those of a killed predecessor
  std::atomic<std::uint64_t> next_temporary_{0};
};

}  // namespace drasriov::cdi
