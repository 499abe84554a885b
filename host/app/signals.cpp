// SPDX-License-Identifier: Apache-2.0
#include "host/app/signals.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>

#include "host/app/exit_code.hpp"

namespace drasriov::app {
namespace {

int poll_timeout(Deadline deadline) {
  if (deadline.is_infinite()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.remaining());
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 60'000));
}

void on_alarm(int /*signal*/) {
  constexpr std::string_view kText =
      "dra-driver-sriov: did not stop in time, ending without clean-up; it is done at the next "
      "start\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText.data(), kText.size());
  ::_exit(static_cast<int>(ExitCode::kStuck));
}

}  // namespace

Result<Signals> Signals::open() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0)
    return errno_error(error, "block signals");
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  if (::sigaction(SIGPIPE, &ignore, nullptr) != 0) return errno_error(errno, "ignore SIGPIPE");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return errno_error(errno, "signalfd");
  return Signals(std::move(fd));
}

std::optional<Signal> Signals::wait(Deadline deadline) {
  for (;;) {
    pollfd entry{fd_.get(), POLLIN, 0};
    (void)::poll(&entry, 1, poll_timeout(deadline));
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof(info)) == sizeof(info)) {
      switch (info.ssi_signo) {
        case SIGHUP: return Signal::kRescan;
        case SIGUSR1: return Signal::kStatus;
        default: return Signal::kStop;
      }
    }
    if (deadline.expired()) return std::nullopt;
  }
}

void end_process_after(unsigned seconds) {
  struct sigaction action {};
  action.sa_handler = on_alarm;
  ::sigaction(SIGALRM, &action, nullptr);
  ::alarm(seconds);
}

}  // namespace drasriov::app
