// SPDX-License-Identifier: Apache-2.0
#include "host/module/entry_file.hpp"

namespace drasriov::module {
namespace {

constexpr std::string_view kBuiltin = "builtin:";

}  // namespace

std::optional<std::string> builtin_name(const std::string& module) {
  if (!module.starts_with(kBuiltin)) return std::nullopt;
  return module.substr(kBuiltin.size());
}

Result<std::filesystem::path> module_path(const std::string& module, const FileSource& source) {
  const auto name = builtin_name(module);
  if (!name) return std::filesystem::path(module);
  if (name->empty() || name->find('/') != std::string::npos || name->starts_with('.')) {
    return Error(Code::kInvalidArgument, "\"" + module + "\" names no builtin module",
                 "write builtin:NAME, or the absolute path of a file");
  }
  return source.builtin_directory / (*name + ".so");
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
