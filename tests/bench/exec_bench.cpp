// SPDX-License-Identifier: Apache-2.0
//
// What it costs the driver to run a CNI plugin that does nothing: through the host's service exec/1 (posix_spawn, input, both
// outputs, reaping), beside a bare fork and exec of the same static program, in turn; for a small process and for one of
// 256 MiB, of which fork copies the page tables. Prints the medians; ends with 1 when the service is dearer than fork in the
// large process.
//
//   exec_bench EMPTY_PROGRAM
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "host/module/program.hpp"

namespace {

namespace module = drasriov::module;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kRounds = 200;
constexpr std::size_t kLarge = 256U << 20U;

void run_by_service(module::ProgramRunner& runner, const module::ProgramRequest& request) {
  const module::ProgramResult result = runner.run(request, {});
  if (result.status && result.exit_code == 0) return;
  std::fprintf(stderr, "exec_bench: %s: %s, exit code %d\n", request.path.c_str(),
               result.status ? "ended" : result.status.error().to_string().c_str(),
               result.exit_code);
  std::exit(2);
}

void run_by_fork(const char* program) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(program, program, nullptr);
    ::_exit(127);
  }
  int status = -1;
  if (child > 0 && ::waitpid(child, &status, 0) == child && status == 0) return;
  std::fprintf(stderr, "exec_bench: fork of %s ends with wait status %d\n", program, status);
  std::exit(2);
}

template <typename Run>
double time_of(const Run& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return Milliseconds(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

struct Costs {
  double service;
  double fork;
};

Costs measure(const char* program) {
  module::ProgramRunner runner("/proc");
  module::ProgramRequest request;
  request.path = program;
  request.input = R"({"cniVersion":"1.0.0","name":"net","type":"empty"})";
  std::vector<double> service;
  std::vector<double> fork;
  for (int round = 0; round < kRounds; ++round) {
    service.push_back(time_of([&] { run_by_service(runner, request); }));
    fork.push_back(time_of([&] { run_by_fork(program); }));
  }
  return {median(std::move(service)), median(std::move(fork))};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || argv[1][0] != '/') {
    std::fprintf(stderr, "usage: exec_bench /ABSOLUTE/EMPTY_PROGRAM\n");
    return 2;
  }
  const Costs small = measure(argv[1]);
  const std::vector<char> ballast(kLarge, 'x');
  const Costs large = measure(argv[1]);
  std::printf(
      "service  %.3f ms\nfork  %.3f ms\nservice at 256 MiB  %.3f ms\nfork at 256 MiB  %.3f ms\n",
      small.service, small.fork, large.service, large.fork);
  return ballast.back() == 'x' && large.service <= large.fork ? 0 : 1;
}
