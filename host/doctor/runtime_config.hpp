// SPDX-License-Identifier: Apache-2.0
//
// What a container runtime's own configuration says of NRI and CDI: containerd's config.toml (format versions 2 and 3, with
// its imports) and CRI-O's crio.conf with its drop-in folder. Reads through HostFiles only; any thread.
#pragma once

#include <filesystem>
#include <string_view>

#include "host/doctor/facts.hpp"
#include "host/doctor/host_files.hpp"

namespace drasriov::doctor {

/// Fills files, nri_*, and cdi_* of `runtime`, whose name is "containerd". `main_file`: of the daemon's --config, or
/// /etc/containerd/config.toml. A file that is not there leaves containerd's defaults, as for containerd itself.
void read_containerd_config(const HostFiles& host, const std::filesystem::path& main_file,
                            Runtime& runtime);

/// The same for CRI-O: `main_file`, then `<main_file>.d` (every file, by name; later ones win).
void read_crio_config(const HostFiles& host, const std::filesystem::path& main_file,
                      Runtime& runtime);

/// A Go duration ("2s", "1m30s", "500ms") in milliseconds; nullopt when it is none.
[[nodiscard]] std::optional<std::int64_t> parse_go_duration(std::string_view text);

}  // namespace drasriov::doctor
