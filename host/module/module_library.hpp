// SPDX-License-Identifier: Apache-2.0
//
// ModuleLibrary: a mapped module file, or a table that tests link in. The one class that touches
// Boost.DLL. Shared by all instances of the module; immutable; any thread. Never unloaded:
// thread-locals, running threads and exception classes of a module would outlive its code.
#pragma once

#include <drasriov/abi/module.h>

#include <memory>
#include <string>

#include "host/base/result.hpp"
#include "host/module/manifest.hpp"
#include "host/module/module_file.hpp"

namespace drasriov::module {

class ModuleLibrary {
 public:
  /// Maps the file, runs its constructors, and checks its table against its note. REQUIRES:
  /// check_compatible().
  [[nodiscard]] static Result<std::shared_ptr<const ModuleLibrary>> load(const ModuleFile& file,
                                                                         const Manifest& manifest);
  /// A table without a file; `name` stands in messages.
  [[nodiscard]] static Result<std::shared_ptr<const ModuleLibrary>> adopt(
      const std::string& name, const drasriov_module_table* table);

  [[nodiscard]] const drasriov_module_table& table() const noexcept { return *table_; }
  /// Of a file: its note. Of an adopted table: what the table says, without capabilities.
  [[nodiscard]] const Manifest& manifest() const noexcept { return manifest_; }
  /// Whether manifest().capabilities is known before an instance exists.
  [[nodiscard]] bool has_note() const noexcept { return has_note_; }

 private:
  ModuleLibrary(const drasriov_module_table* table, Manifest manifest, bool has_note)
      : table_(table),
        manifest_(std::move(manifest)),
        has_note_(has_note) {}

  const drasriov_module_table* table_;
  Manifest manifest_;
  bool has_note_;
};

/// The entry of a mapped file.
struct ModuleEntryPoint {
  drasriov_module_query_fn query = nullptr;  ///< never null in a Result
};

/// Maps `path` and finds the query function; the error holds the dynamic linker's own reason.
[[nodiscard]] Result<ModuleEntryPoint> open_entry(const std::filesystem::path& path);

/// Calls the query function; FAILED_PRECONDITION when the module declines.
[[nodiscard]] Result<const drasriov_module_table*> call_query(const ModuleEntryPoint& entry);

/// The module table's own rules: it reaches to its mandatory members and they are set.
[[nodiscard]] Status check_table(const drasriov_module_table* table);

/// Whether name, version and ABI of the table are those of the note.
[[nodiscard]] Status check_table_against(const drasriov_module_table& table,
                                         const Manifest& manifest);

}  // namespace drasriov::module
