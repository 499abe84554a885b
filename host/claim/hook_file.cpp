// SPDX-License-Identifier: Apache-2.0
#include "host/claim/hook_file.hpp"

#include <sys/stat.h>

#include <string>
#include <utility>

#include "host/base/durable_file.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0755;

}  // namespace

HookFile::HookFile(fs::path source, const fs::path& directory)
    : source_(std::move(source)),
      path_(directory / kHookName) {}

Status HookFile::install() const {
  if (auto ok = make_directories(path_.parent_path(), kMode); !ok) return ok;
  if (auto removed = remove_stale_temporaries(path_.parent_path(), kHookName); !removed)
    return removed.error();
  const auto program = read_file(source_);
  if (!program) {
    return program.error().with_hint("install the driver whole: " + std::string(kHookName) +
                                     " is beside its program");
  }
  if (is_in_place()) {
    const auto there = read_file(path_);
    if (there && *there == *program) return {};
  }
  // Need not survive a power cut: nothing that names it does, and each start compares it.
  return replace_file(path_, *program, Durability::kAtomic, kMode);
}

Status HookFile::keep() const {
  if (is_in_place()) return {};
  if (auto ok = install(); !ok) {
    return ok.error().with_context("the OCI hook " + path_.native() +
                                   " is missing and cannot be put back");
  }
  return {};
}

Status HookFile::remove() const {
  return remove_file(path_, Durability::kAtomic);
}

bool HookFile::is_in_place() const {
  struct stat there {};
  struct stat wanted {};
  return ::lstat(path_.c_str(), &there) == 0 && S_ISREG(there.st_mode) &&
         (there.st_mode & 07777) == kMode &&
         (::stat(source_.c_str(), &wanted) != 0 || there.st_size == wanted.st_size);
}

}  // namespace drasriov::claim
