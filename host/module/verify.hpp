// SPDX-License-Identifier: Apache-2.0
//
// What `module verify` finds out about a file: 1 file, 2 note, 3 dynamic table, 4 load. Steps 1 to 3
// run no code of the module; step 4 runs it in a child process, so that its crash is a finding and
// not ours. [any] thread; blocks up to the timeout.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/module/manifest.hpp"

namespace drasriov::module {

struct VerifyOptions {
  bool insecure_dev = false;
  /// The program, absolute, and its first arguments, that ends in verify_child_main() for the path
  /// that is put behind them.
  std::vector<std::string> child = {"/proc/self/exe", "module", "verify-child"};
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);  ///< of step 4
};

struct VerifyStep {
  enum class Verdict { kPassed, kWarning, kFailed, kSkipped };
  int number = 0;
  std::string name;
  Verdict verdict = Verdict::kSkipped;
  std::string message;
  std::string hint;  ///< may be empty
};

[[nodiscard]] std::string_view verdict_name(VerifyStep::Verdict verdict) noexcept;

struct VerifyReport {
  std::filesystem::path path;
  std::vector<VerifyStep> steps;  ///< always all of them, in order
  /// No step failed.
  [[nodiscard]] bool passed() const noexcept;
};

[[nodiscard]] VerifyReport verify_module(const std::filesystem::path& path,
                                         const VerifyOptions& options);

/// Step 4 inside the child: maps the file, calls the query function, checks the table. Reports its
/// progress as JSON lines on the standard output that it was started with; the module's own output
/// goes to standard error. The exit code of the child: 0 passed, 1 failed.
[[nodiscard]] int verify_child_main(const std::filesystem::path& path);

}  // namespace drasriov::module
