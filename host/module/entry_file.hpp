// SPDX-License-Identifier: Apache-2.0
//
// From an entry of the configuration's module list to the file that it means, checked as far as is
// possible without running code of it. Shared by the registry and by the commands `module
// list|inspect|verify`. Any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"
#include "host/module/module_file.hpp"

namespace drasriov::module {

/// Where module files come from and how strictly they are judged.
struct FileSource {
  std::filesystem::path builtin_directory;  ///< "builtin:NAME" is <builtin_directory>/NAME.so
  bool insecure_dev = false;                ///< FileRules::insecure_dev
};

/// A file that may be mapped.
struct EntryFile {
  ModuleFile file;
  Manifest manifest;
};

/// The name that the note of `module` must have: NAME of "builtin:NAME", else nothing.
[[nodiscard]] std::optional<std::string> builtin_name(const std::string& module);

/// The path that `module`, "builtin:NAME" or a path, means. NOT_FOUND for a builtin module that is
/// not there, with the names of those that are; whether another file exists is not looked at.
[[nodiscard]] Result<std::filesystem::path> module_path(const std::string& module,
                                                        const FileSource& source);

/// Opens the entry's file and checks owner, mode, pin, ELF, note, name, ABI and the expected
/// capabilities.
[[nodiscard]] Result<EntryFile> open_entry_file(const config::ModuleEntry& entry,
                                                const FileSource& source);

}  // namespace drasriov::module
