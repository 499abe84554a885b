// SPDX-License-Identifier: Apache-2.0
#include "child_process.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <vector>

namespace drasriov::cdi {
namespace {

constexpr int kNoSeccomp = 77;

sock_filter statement(unsigned code, std::uint32_t value) {
  return {.code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = value};
}

sock_filter jump(unsigned test, std::uint32_t value, std::uint8_t if_true, std::uint8_t if_false) {
  return {.code = static_cast<std::uint16_t>(BPF_JMP | test | BPF_K),
          .jt = if_true,
          .jf = if_false,
          .k = value};
}

bool install(const std::vector<SyscallFault>& faults) {
  std::vector<sock_filter> program;
  for (const SyscallFault& fault : faults) {
    const std::uint32_t action = fault.error == 0
                                     ? std::uint32_t{SECCOMP_RET_KILL_PROCESS}
                                     : SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(fault.error);
    const std::uint8_t rest = fault.flags == 0 ? 1 : 3;
    program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    program.push_back(jump(BPF_JEQ, static_cast<std::uint32_t>(fault.number), 0, rest));
    if (fault.flags != 0) {
      // The low half of the argument, on a little-endian machine.
      const auto argument =
          static_cast<std::uint32_t>(offsetof(seccomp_data, args) + fault.flag_argument * 8);
      program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, argument));
      program.push_back(jump(BPF_JSET, fault.flags, 0, 1));
    }
    program.push_back(statement(BPF_RET | BPF_K, action));
  }
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

ChildResult run_in_child(std::initializer_list<SyscallFault> faults,
                         const std::function<std::string()>& body) {
  // A socket, not a pipe: the child's write() may be among what fails.
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    if (!install(faults)) ::_exit(kNoSeccomp);
    const std::string said = body();
    ::send(ends[1], said.data(), said.size(), MSG_NOSIGNAL);
    ::_exit(0);
  }
  ::close(ends[1]);
  ChildResult result;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::recv(ends[0], buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    result.said.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  if (::waitpid(child, &status, 0) != child) {
    throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  if (WIFSIGNALED(status)) result.killed_by = WTERMSIG(status);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoSeccomp) {
    throw std::system_error(ENOSYS, std::generic_category(), "seccomp");
  }
  return result;
}

}  // namespace drasriov::cdi
