// SPDX-License-Identifier: Apache-2.0
//
// Process: a program that a test runs. Ended with SIGKILL if it still runs when the object goes. Used from one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace drasriov::integration {

/// Long enough for a busy machine; a test that works never waits so long.
inline constexpr std::chrono::seconds kPatience{30};

/// Asks every millisecond until it holds; false when it does not in kPatience.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

class Process {
 public:
  /// Output and errors go to `<output>` and `<output>.err`. `environment` is all that the program gets.
  Process(const std::filesystem::path& program, std::vector<std::string> arguments,
          const std::filesystem::path& output, std::vector<std::string> environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Exit code, or 128 + signal; nullopt when it does not end in kPatience.
  [[nodiscard]] std::optional<int> wait();

  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string errors() const;

 private:
  pid_t pid_ = -1;
  std::optional<int> code_;
  std::filesystem::path output_;
};

/// Runs a program to its end.
struct Finished {
  int code = -1;
  std::string output;
  std::string errors;
};
[[nodiscard]] Finished run(const std::filesystem::path& program, std::vector<std::string> arguments,
                           std::vector<std::string> environment = {});

}  // namespace drasriov::integration
