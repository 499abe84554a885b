// SPDX-License-Identifier: Apache-2.0
//
// The OCI hook, run from the host's mount namespace: that alone tells whether the container runtime can.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>

#include "host/base/unique_fd.hpp"
#include "host/doctor/collect_parts.hpp"

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{10'000};

/// How far the child came; nothing arrives when the program was started.
struct Failure {
  bool entered = false;  ///< the host's mount namespace
  int error = 0;
};

std::string why(int number) {
  return std::generic_category().message(number);
}

/// In the child of a fork: system calls only.
[[noreturn]] void become_hook(int host, const char* program, int report) {
  Failure failure;
  failure.entered = ::setns(host, CLONE_NEWNS) == 0;
  if (failure.entered) {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null, fd);
    const std::array<const char*, 3> arguments{program, "--check", nullptr};
    const std::array<const char*, 1> environment{nullptr};
    ::execve(program, const_cast<char* const*>(arguments.data()),
             const_cast<char* const*>(environment.data()));
  }
  failure.error = errno;
  [[maybe_unused]] const ssize_t told = ::write(report, &failure, sizeof failure);
  ::_exit(127);
}

/// How the process ended, in words; empty for exit status 0.
std::string outcome_of(pid_t child) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  const bool in_time = !process || ::poll(&ended, 1, static_cast<int>(kPatience.count())) > 0;
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return "it does not end";
  if (WIFSIGNALED(status)) return "it ends by signal " + std::to_string(WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  return code == 0 ? std::string() : "it ends with status " + std::to_string(code);
}

}  // namespace

Hook collect_hook(const fs::path& program, const fs::path& proc) {
  Hook hook;
  hook.path = program.native();
  const fs::path mounts = proc / "1/ns/mnt";
  const UniqueFd host(::open(mounts.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<int, 2> ends{};
  if (!host || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    hook.error = "open " + mounts.native() + ": " + why(errno);
    return hook;
  }
  const UniqueFd report(ends[0]);
  UniqueFd child_end(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) become_hook(host.get(), program.c_str(), child_end.get());
  const int fork_error = errno;
  child_end.reset();
  if (child < 0) {
    hook.error = "fork: " + why(fork_error);
    return hook;
  }
  Failure failure;
  const bool started = ::read(report.get(), &failure, sizeof failure) != sizeof failure;
  const std::string outcome = outcome_of(child);
  hook.tried = started || failure.entered;
  hook.runs = started && outcome.empty();
  if (!hook.tried) hook.error = "enter " + mounts.native() + ": ";
  hook.error += started ? outcome : why(failure.error);
  return hook;
}

}  // namespace drasriov::doctor
