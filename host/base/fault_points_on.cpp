// SPDX-License-Identifier: Apache-2.0
//
// Linked into test binaries only. DRASRIOV_FAULT_LOG=FILE appends every name passed, which is how the crash tests learn
// the list of places instead of repeating it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "host/base/fault_point.hpp"

namespace drasriov {
namespace {

/// "name" or "name#N": the place and how many passes of it are let through first.
struct Trigger {
  std::string name;
  std::atomic<long> remaining{0};

  explicit Trigger(const char* variable) {
    const char* text = std::getenv(variable);
    if (text == nullptr) return;
    const std::string_view view(text);
    const auto hash = view.find('#');
    name = view.substr(0, hash);
    remaining = hash == std::string_view::npos ? 1 : std::strtol(text + hash + 1, nullptr, 10);
  }

  bool fires(const char* place) {
    return !name.empty() && name == place && remaining.fetch_sub(1) == 1;
  }
};

}  // namespace

void fault_point(const char* name) noexcept {
  static Trigger crash("DRASRIOV_CRASH_AT");
  static Trigger hang("DRASRIOV_HANG_AT");
  static const char* const log = std::getenv("DRASRIOV_FAULT_LOG");
  if (log != nullptr) {
    const int fd = ::open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
      const std::string line = std::string(name) + "\n";
      [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
      ::close(fd);
    }
  }
  if (crash.fires(name)) ::kill(::getpid(), SIGKILL);
  if (hang.fires(name)) {
    for (;;) ::pause();
  }
}

bool fault_leaves_out(const char* name) noexcept {
  static const char* const left_out = std::getenv("DRASRIOV_LEAVE_OUT");
  return left_out != nullptr && std::strcmp(left_out, name) == 0;
}

}  // namespace drasriov
