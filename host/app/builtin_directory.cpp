// SPDX-License-Identifier: Apache-2.0
#include "host/app/builtin_directory.hpp"

#include <system_error>

namespace drasriov::app {

namespace fs = std::filesystem;

Result<fs::path> builtin_directory(const fs::path& configured, const fs::path& executable) {
  if (!configured.empty()) return configured;
  const fs::path directory = executable.parent_path();
  const fs::path installed = (directory / "../lib/dra-driver-sriov/modules").lexically_normal();
  const fs::path built = directory / "modules";
  std::error_code ignored;  // what cannot be looked at is not there for us
  for (const fs::path& candidate : {installed, built}) {
    if (fs::is_directory(candidate, ignored)) return candidate;
  }
  return Error(Code::kNotFound,
               "builtin modules: neither " + installed.native() + " nor " + built.native() +
                   " is a directory",
               "install the driver whole, or set moduleDirectory (flag --module-directory)");
}

Result<fs::path> own_executable() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe",
                                   error);  // of this process, whatever `roots.proc` shows modules
  if (error)
    return errno_error(error.value(), "read /proc/self/exe", "mount /proc, or set moduleDirectory");
  return path;
}

}  // namespace drasriov::app
