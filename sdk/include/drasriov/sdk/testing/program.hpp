// SPDX-License-Identifier: Apache-2.0
//
// run_program: what exec/1 promises, for tests: FakeHost::set_exec(run_program). Mount and network
// namespaces are the test's own; everything else is real. Any thread.
#pragma once

#include <drasriov/sdk/host.hpp>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {
namespace testing {

namespace detail {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  void reset() noexcept {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read;
  Descriptor write;
};

inline Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return errno_error(errno, "pipe");
  }
  Pipe pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return pipe;
}

/// Reads what is there; closes at the end of file.
inline void drain(Descriptor& from, std::string& to, std::size_t limit, bool& truncated) {
  char buffer[4096];
  for (;;) {
    const ssize_t size = ::read(from.get(), buffer, sizeof(buffer));
    if (size > 0) {
      const std::size_t kept = std::min(limit - to.size(), static_cast<std::size_t>(size));
      to.append(buffer, kept);
      truncated = truncated || kept < static_cast<std::size_t>(size);
    } else if (size == 0 || errno != EAGAIN) {
      from.reset();
      return;
    } else {
      return;
    }
  }
}

inline std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) {
    list.push_back(text.data());
  }
  list.push_back(nullptr);
  return list;
}

}  // namespace detail

[[nodiscard]] inline Result<ExecResult> run_program(const ExecRequest& request, const Call& call) {
  using detail::Descriptor;
  auto out = detail::make_pipe();
  auto err = detail::make_pipe();
  if (!out || !err) {
    return !out ? out.error() : err.error();
  }
  // A file, not a pipe: a program that does not read its input must not raise SIGPIPE here.
  Descriptor input(::memfd_create("input", MFD_CLOEXEC));
  if (input.get() < 0 || ::pwrite(input.get(), request.input.data(), request.input.size(), 0) !=
                             static_cast<ssize_t>(request.input.size())) {
    return errno_error(errno, "standard input");
  }

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out->write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err->write.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> args{request.path};
  args.insert(args.end(), request.args.begin(), request.args.end());
  std::vector<std::string> env = request.env;
  pid_t child = -1;
  const int error = ::posix_spawn(&child, request.path.c_str(), &actions, &attributes,
                                  detail::pointers(args).data(), detail::pointers(env).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return errno_error(error, "start");
  }
  out->write.reset();
  err->write.reset();

  Descriptor exited(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ExecResult result;
  Status stopped;
  for (bool running = true; running;) {
    stopped = call.check();
    if (!stopped.ok()) {
      ::kill(-child, SIGKILL);
    }
    pollfd ready[] = {
        {exited.get(), POLLIN, 0}, {out->read.get(), POLLIN, 0}, {err->read.get(), POLLIN, 0}};
    constexpr std::chrono::milliseconds kLookForCancel{20};
    const auto wait = std::min<Call::Clock::duration>(call.remaining(), kLookForCancel);
    ::poll(ready, std::size(ready),
           stopped.ok()
               ? static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count())
               : -1);
    running = ready[0].revents == 0;
    if (out->read.get() >= 0) {
      detail::drain(out->read, result.output, request.output_limit, result.truncated);
    }
    if (err->read.get() >= 0) {
      detail::drain(err->read, result.diagnostics, request.output_limit, result.truncated);
    }
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!stopped.ok()) {
    return stopped.error().with_context("killed");
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return result;
}

}  // namespace testing
}  // namespace abi_v1
}  // namespace drasriov::sdk
