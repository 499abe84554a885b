// SPDX-License-Identifier: Apache-2.0
//
// Reading small files whole and replacing files atomically. Free functions over paths; any thread, but two writers of
// one path must be serialised by the caller.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov {

/// What must hold when replace_file() returns.
enum class Durability {
  kAtomic,  ///< readers see the old or the new file, never a part; a power cut may lose the new one
  kDurable,  ///< also survives a power cut: fsync of the file before and of its directory after the rename
};

/// The whole content of `path`. Errors: NOT_FOUND, OUT_OF_RANGE when it is larger than `limit` bytes, or the errno.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t limit = 16U << 20U);

/// Replaces `path` by a temporary file in the same directory (".<name>.<random>.tmp", so that no reader that looks at
/// the extension takes it for the file) and rename(2). On failure the old file is untouched and the temporary gone.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::string_view content,
                                  Durability durability, mode_t mode = 0600);

/// Removes `path`; a missing file is success. kDurable: the removal survives a power cut.
[[nodiscard]] Status remove_file(const std::filesystem::path& path, Durability durability);

/// Creates `path` and its parents with `mode`; existing directories are left as they are.
[[nodiscard]] Status make_directories(const std::filesystem::path& path, mode_t mode = 0750);

/// Removes what a killed replace_file() left in `directory`: files named ".*.tmp", or only those of the file `name`. Returns
/// how many.
[[nodiscard]] Result<std::size_t> remove_stale_temporaries(const std::filesystem::path& directory,
                                                           std::string_view name = {});

}  // namespace drasriov
