// SPDX-License-Identifier: Apache-2.0
//
// GoRuntime: nri-runtime (tests/nri) as a child process, told and asked line by line. One thread.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace drasriov::runtime_nri::testing {

class GoRuntime {
 public:
  struct Answer {
    std::string error;  ///< empty = the runtime goes on
    int ms = 0;
  };

  /// Where the program of a version of NRI ("0.6", "0.12") lies; nothing when it was not built.
  [[nodiscard]] static std::optional<std::filesystem::path> find(const std::string& version);

  /// Throws std::system_error. record: file for the conversation, empty = none.
  GoRuntime(const std::filesystem::path& program, const std::string& socket,
            const std::string& record, const std::string& request_timeout);
  ~GoRuntime();
  GoRuntime(const GoRuntime&) = delete;
  GoRuntime& operator=(const GoRuntime&) = delete;

  /// command: JSON. A program that does not answer is an error, too.
  Answer tell(std::string_view command);

 private:
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace drasriov::runtime_nri::testing
