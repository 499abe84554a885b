// SPDX-License-Identifier: Apache-2.0
#include "host/module/module_library.hpp"

#define BOOST_DLL_USE_STD_FS
#include <dlfcn.h>

#include <boost/dll/shared_library.hpp>
#include <exception>

#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

/// The dynamic linker's sentence out of Boost.DLL's "… (dlerror system message: SENTENCE): Bad file
/// descriptor".
std::string dynamic_linker_reason(std::string_view what) {
  constexpr std::string_view kBefore = "(dlerror system message: ";
  const auto begin = what.find(kBefore);
  const auto end = what.rfind("): ");
  if (begin == std::string_view::npos || end == std::string_view::npos ||
      end < begin + kBefore.size()) {
    return std::string(what);
  }
  return std::string(what.substr(begin + kBefore.size(), end - begin - kBefore.size()));
}

Error mismatch(std::string_view member, const std::string& table, const std::string& note) {
  return {Code::kFailedPrecondition,
          "its table says " + std::string(member) + " " + table + ", its note " + note,
          "build the module again from a clean tree; both come from drasriov_add_module()"};
}

}  // namespace

// By path, not by /proc/self/fd/N. What the descriptor would add: nothing could be swapped between
// check and mapping. What it would cost: glibc takes two libraries with the same name for one, so a
// reused descriptor number would hand out the wrong module, $ORIGIN would point into /proc, and
// debuggers would lose the file. Who can swap a file that satisfies the rules of ModuleFile is root
// or the driver's own user, who can replace the driver as well; so there is no boundary to defend,
// only an installation that runs at the same moment, and that is what unchanged() sees afterwards.
// A sha256 pin guards the file at rest, not against root. With insecure_dev nothing is promised.
Result<ModuleEntryPoint> open_entry(const std::filesystem::path& path) {
  namespace dll = boost::dll;
  try {
    // RTLD_NODELETE has no name in Boost.DLL, whose modes are passed to dlopen() as they are: with
    // it the handle may be dropped here and the code stays. No RTLD_DEEPBIND: it would give the
    // module a malloc of its own.
    const auto mode = static_cast<dll::load_mode::type>(dll::load_mode::rtld_now |
                                                        dll::load_mode::rtld_local | RTLD_NODELETE);
    // The constructor that throws: the one with an error_code loses the linker's reason.
    const dll::shared_library library(path, mode);
    if (!library.has(DRASRIOV_MODULE_QUERY_SYMBOL)) {
      return Error(Code::kFailedPrecondition, "it does not export " DRASRIOV_MODULE_QUERY_SYMBOL,
                   "use DRASRIOV_EXPORT_MODULE once in the module's sources");
    }
    return ModuleEntryPoint{&library.get<std::remove_pointer_t<drasriov_module_query_fn>>(
        DRASRIOV_MODULE_QUERY_SYMBOL)};
  } catch (const std::exception& failure) {
    return Error(Code::kFailedPrecondition,
                 "the dynamic linker refuses it: " + dynamic_linker_reason(failure.what()),
                 "install the library or version that it names, or link the module against what "
                 "this system has");
  }
}

Result<const drasriov_module_table*> call_query(const ModuleEntryPoint& entry) {
  try {
    const auto* table = entry.query(DRASRIOV_ABI_MAJOR, DRASRIOV_ABI_MINOR);
    if (table != nullptr) return table;
  } catch (...) {
    return Error(Code::kInternal, DRASRIOV_MODULE_QUERY_SYMBOL " threw an exception",
                 "report it to the module's vendor: no exception may leave a module");
  }
  return Error(
      Code::kFailedPrecondition,
      "it declines to serve a host with module ABI " + HostAbi::of_this_build().abi.to_string(),
      "see the module's release notes for the hosts that it supports");
}

Status check_table(const drasriov_module_table* table) {
  constexpr std::string_view kHint = "build the module again with the SDK's headers";
  if (table == nullptr) {
    return Error(Code::kInvalidArgument, "its module table is null", std::string(kHint));
  }
  if (!DRASRIOV_COVERS(table, get_capability)) {
    return Error(Code::kFailedPrecondition,
                 "its module table has struct_size " + std::to_string(table->struct_size) +
                     ", less than the mandatory members of ABI 1.0 take (" +
                     std::to_string(offsetof(drasriov_module_table, get_capability) +
                                    sizeof(table->get_capability)) +
                     ")",
                 "set struct_size to sizeof(drasriov_module_table)");
  }
  const char* missing = table->create == nullptr           ? "create"
                        : table->destroy == nullptr        ? "destroy"
                        : table->get_capability == nullptr ? "get_capability"
                                                           : nullptr;
  if (missing != nullptr) {
    return Error(Code::kFailedPrecondition,
                 "mandatory member " + std::string(missing) + " of its module table is null",
                 "set it; module.h lists the mandatory members");
  }
  if (table->abi_major != DRASRIOV_ABI_MAJOR || table->min_host_minor > DRASRIOV_ABI_MINOR) {
    return check_compatible({.abi = {table->abi_major, table->abi_minor},
                             .min_host = {table->abi_major, table->min_host_minor},
                             .sanitizer = std::string(HostAbi::of_this_build().sanitizer)},
                            HostAbi::of_this_build());
  }
  return {};
}

Status check_table_against(const drasriov_module_table& table, const Manifest& manifest) {
  if (to_view(table.name) != manifest.name) {
    return mismatch("name", printable(to_view(table.name)), manifest.name);
  }
  if (to_view(table.version) != manifest.version) {
    return mismatch("version", printable(to_view(table.version)), manifest.version);
  }
  const AbiVersion abi{table.abi_major, table.abi_minor};
  if (abi != manifest.abi) return mismatch("ABI", abi.to_string(), manifest.abi.to_string());
  const AbiVersion min_host{table.abi_major, table.min_host_minor};
  if (min_host != manifest.min_host) {
    return mismatch("lowest host ABI", min_host.to_string(), manifest.min_host.to_string());
  }
  return {};
}

Result<std::shared_ptr<const ModuleLibrary>> ModuleLibrary::load(const ModuleFile& file,
                                                                 const Manifest& manifest) {
  const auto entry = open_entry(file.real_path());
  if (!entry) return file.about(entry.error());
  if (auto status = file.unchanged(); !status) return std::move(status).error();
  const auto table = call_query(*entry);
  if (!table) return file.about(table.error());
  if (auto status = check_table(*table); !status) return file.about(status.error());
  if (auto status = check_table_against(**table, manifest); !status)
    return file.about(status.error());
  return std::shared_ptr<const ModuleLibrary>(
      new ModuleLibrary(*table, manifest, /*has_note=*/true));
}

Result<std::shared_ptr<const ModuleLibrary>> ModuleLibrary::adopt(
    const std::string& name, const drasriov_module_table* table) {
  if (auto status = check_table(table); !status)
    return status.error().with_context("builtin table " + name);
  Manifest manifest;
  manifest.abi = {table->abi_major, table->abi_minor};
  manifest.min_host = {table->abi_major, table->min_host_minor};
  manifest.name = printable(to_view(table->name));
  manifest.version = printable(to_view(table->version));
  return std::shared_ptr<const ModuleLibrary>(
      new ModuleLibrary(table, std::move(manifest), /*has_note=*/false));
}

}  // namespace drasriov::module
