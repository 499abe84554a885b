// SPDX-License-Identifier: Apache-2.0
//
// The parts of collect(), a file each. Only for collect.cpp and the tests of the parts; one thread.
#pragma once

#include <filesystem>

#include "host/config/configuration.hpp"
#include "host/doctor/collect.hpp"
#include "host/doctor/host_files.hpp"

namespace drasriov::doctor {

[[nodiscard]] Permissions collect_permissions(const std::filesystem::path& proc);
/// `host` may be nullptr: then modules are only known as loaded or not.
[[nodiscard]] Kernel collect_kernel(const config::Roots& roots, const HostFiles* host);
void collect_functions(const std::filesystem::path& sys, Facts& facts);
/// Kubelet and container runtime: processes, command lines, configuration files.
void collect_daemons(const std::filesystem::path& proc, const HostFiles* host, Facts& facts);
[[nodiscard]] std::vector<ClaimFile> collect_claims(const std::filesystem::path& data_directory,
                                                    const std::filesystem::path& proc);
/// Runs it with --check, as the host's processes see its path.
[[nodiscard]] Hook collect_hook(const std::filesystem::path& program,
                                const std::filesystem::path& proc);
[[nodiscard]] Instances collect_instances(const std::filesystem::path& data_directory,
                                          const std::filesystem::path& proc);

/// A process by its /proc directory.
struct ProcessEntry {
  std::int64_t pid = 0;
  std::string name;                    ///< comm: at most 15 characters
  std::vector<std::string> arguments;  ///< empty for kernel threads
};
/// Sorted by pid.
[[nodiscard]] std::vector<ProcessEntry> list_processes(const std::filesystem::path& proc);

}  // namespace drasriov::doctor
