// SPDX-License-Identifier: Apache-2.0
//
// Bundle: the files of a bug report, bounded and redacted, and their archive. Filled by one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"
#include "host/doctor/facts.hpp"

namespace drasriov::doctor {

struct BundleLimits {
  std::size_t file = 4U << 20U;    ///< a longer text is cut
  std::size_t total = 64U << 20U;  ///< what does not fit any more is only named
};

class Bundle {
 public:
  explicit Bundle(BundleLimits limits = {}) : limits_(limits) {}

  /// A text that was made, or read from `origin`. It is redacted here.
  void add(std::string_view path, std::string origin, std::string_view text);
  /// A text that could not be had.
  void add_missing(std::string_view path, std::string origin, const Error& error);
  /// add() or add_missing() of a file of this machine; whatever its stat(2) says, as procfs needs it.
  void add_file(std::string_view path, const std::filesystem::path& file);

  /// How many are named in the manifest only.
  [[nodiscard]] std::size_t missing() const noexcept;

  /// A tar archive compressed with gzip: <root>/manifest.json, then all files by path. `version` is the program's. Owner,
  /// mode and times are constant; of the same content only the manifest's "created" differs.
  [[nodiscard]] Result<std::string> archive(std::string_view root, std::string_view version,
                                            std::chrono::system_clock::time_point created) const;

 private:
  struct Entry {
    std::string path;
    std::string origin;
    std::string content;
    std::string error;
    bool cut = false;
    bool present = true;
  };

  [[nodiscard]] std::string manifest(const std::vector<const Entry*>& entries,
                                     std::string_view version,
                                     std::chrono::system_clock::time_point created) const;

  BundleLimits limits_;
  std::size_t total_ = 0;
  std::vector<Entry> entries_;
};

/// Kernel texts, PCI functions, the journal's records, our CDI specs, a listing of kubelet's directories. A record goes in without the CNI configuration of its
/// network attachments, and not at all when it cannot be parsed: what a secret is called there is nobody's standard.
void add_machine(const config::Configuration& configuration, const Facts& facts, Bundle& bundle);

}  // namespace drasriov::doctor
