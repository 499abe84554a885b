// SPDX-License-Identifier: Apache-2.0
//
// ModuleFile: a module's shared object before anything maps it: who may write it, is it the pinned
// one, what does its note say. Reads the file once and judges those bytes; runs no code of it. A
// value; not thread-safe.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/module/elf_image.hpp"
#include "host/module/manifest.hpp"

namespace drasriov::module {

/// What a file must satisfy besides being a module.
struct FileRules {
  std::string sha256;  ///< 64 hexadecimal digits, or empty = not pinned
  bool insecure_dev =
      false;  ///< a breach of the ownership rules becomes a relaxation instead of an error
};

class ModuleFile {
 public:
  /// Opens and reads `path`: absolute, a regular file, owned by root or this process's user,
  /// writable by no group and no others, and so all its parent directories (a sticky directory such
  /// as /tmp may be writable: nobody else can replace what it holds). Symbolic links are followed;
  /// both ways, the written and the real one, must satisfy the rules.
  [[nodiscard]] static Result<ModuleFile> open(const std::filesystem::path& path,
                                               const FileRules& rules);

  /// As given, for messages.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Without symbolic links, for the dynamic linker.
  [[nodiscard]] const std::filesystem::path& real_path() const noexcept { return real_path_; }
  /// Breaches that insecure_dev let pass, each a sentence for the log.
  [[nodiscard]] const std::vector<std::string>& relaxations() const noexcept {
    return relaxations_;
  }
  /// 64 hexadecimal digits.
  [[nodiscard]] std::string sha256() const;

  /// The ELF image, of this host's machine. Borrows from this object.
  [[nodiscard]] Result<ElfImage> image() const;
  /// What its note says.
  [[nodiscard]] Result<Manifest> manifest() const;
  /// Whether the file at real_path() is still the one that was read: called after mapping it, see
  /// module_library.cpp.
  [[nodiscard]] Status unchanged() const;

  /// `error` with "module file PATH: " before its message.
  [[nodiscard]] Error about(const Error& error) const;

 private:
  ModuleFile() = default;
  [[nodiscard]] Status check_owner(const struct stat& status, const std::string& what,
                                   const std::string& target, bool insecure_dev);
  [[nodiscard]] Status check_directories(const std::filesystem::path& file, bool insecure_dev);
  [[nodiscard]] Status read(const FileRules& rules);

  std::filesystem::path path_;
  std::filesystem::path real_path_;
  struct stat status_ = {};
  std::string content_;
  std::vector<std::string> relaxations_;
};

}  // namespace drasriov::module
