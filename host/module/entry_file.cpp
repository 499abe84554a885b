// SPDX-License-Identifier: Apache-2.0
#include "host/module/entry_file.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

#include "host/base/nearest_name.hpp"

namespace drasriov::module {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBuiltin = "builtin:";

Error no_such_builtin(const std::string& module, const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code ignored;  // a directory that cannot be read has none
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() == ".so") names.push_back(entry.path().stem().native());
  }
  std::ranges::sort(names);
  std::string hint;
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (const auto nearest = nearest_name(module.substr(kBuiltin.size()), known))
    hint = "did you mean " + std::string(kBuiltin) + std::string(*nearest) + "? ";
  hint += "This driver has";
  for (const std::string& name : names) hint.append(" ").append(kBuiltin).append(name);
  if (names.empty()) hint += " none";
  return {Code::kNotFound,
          "\"" + module + "\": there is no such builtin module in " +
              (directory.empty() ? "this installation" : directory.native()),
          std::move(hint)};
}

}  // namespace

std::optional<std::string> builtin_name(const std::string& module) {
  if (!module.starts_with(kBuiltin)) return std::nullopt;
  return module.substr(kBuiltin.size());
}

Result<fs::path> module_path(const std::string& module, const FileSource& source) {
  const auto name = builtin_name(module);
  if (!name) return fs::path(module);
  if (name->empty() || name->find('/') != std::string::npos || name->starts_with('.')) {
    return Error(Code::kInvalidArgument, "\"" + module + "\" names no builtin module",
                 "write builtin:NAME, or the absolute path of a file");
  }
  fs::path path = source.builtin_directory / (*name + ".so");
  std::error_code error;
  if (fs::exists(path, error) || error) return path;  // opening it says what the error is
  return no_such_builtin(module, source.builtin_directory);
}

Result<EntryFile> open_entry_file(const config::ModuleEntry& entry, const FileSource& source) {
  const auto path = module_path(entry.module, source);
  if (!path) return path.error();
  auto file =
      ModuleFile::open(*path, {.sha256 = entry.sha256, .insecure_dev = source.insecure_dev});
  if (!file) return std::move(file).error();
  auto manifest = file->manifest();
  if (!manifest) return std::move(manifest).error();
  if (const auto name = builtin_name(entry.module); name && manifest->name != *name) {
    return file->about(
        Error(Code::kFailedPrecondition,
              "it is module " + manifest->name + ", the configuration expects " + *name,
              "restore the driver's own file, or give the vendor's by its absolute path"));
  }
  if (auto status = check_compatible(*manifest, HostAbi::of_this_build()); !status) {
    return file->about(status.error());
  }
  if (auto status = check_offered(manifest->capabilities, entry.capabilities); !status) {
    return file->about(status.error());
  }
  return EntryFile{*std::move(file), *std::move(manifest)};
}

}  // namespace drasriov::module
