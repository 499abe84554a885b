// SPDX-License-Identifier: Apache-2.0
//
// What a scan costs: time and system calls for each VF, beside a plain walk (readdir of bus/pci/devices, stat of each entry) of
// the same tree in the same run. Prints one line for each; ends with 1 when the CPU time of a scan is over its
// budget.
//
//   discovery_bench [SYSFS_ROOT]      default: a tree of 32 PFs with 64 VFs each, in memory
#include <drasriov/sdk/module.hpp>
#include <drasriov/sdk/testing/fake_host.hpp>

#include <dirent.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/discovery-sysfs/discovery_sysfs.hpp"
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

namespace {

namespace sdk = drasriov::sdk;
namespace discovery_sysfs = drasriov::discovery_sysfs;
using discovery_sysfs::DiscoverySysfs;
using discovery_sysfs::testing::SysfsTree;

/// Of the 250 ms that 2,048 VFs may take from start to slices.
constexpr double kBudgetMilliseconds = 40;
constexpr int kRuns = 15;

constexpr sdk::ModuleInfo kInfo{.name = "discovery-sysfs",
                                .version = "0.0.0",
                                .vendor = "bench",
                                .license = "Apache-2.0",
                                .min_host_abi = "1.0"};
constexpr drasriov_module_table kTable = sdk::make_module_table<DiscoverySysfs, kInfo>();

/// Counts what a scan reports, and keeps nothing.
struct Counts {
  std::size_t pfs = 0;
  std::size_t vfs = 0;
  std::size_t problems = 0;
};

Counts scan(drasriov_module* module) {
  Counts counts;
  const drasriov_discovery_sink sink = {
      .struct_size = sizeof(drasriov_discovery_sink),
      .context = &counts,
      .device =
          [](void* context, const drasriov_device* device) {
            auto& to = *static_cast<Counts*>(context);
            ++(sdk::from_abi(device->kind) == DRASRIOV_DEVICE_VF ? to.vfs : to.pfs);
          },
      .problem = [](void* context, drasriov_string,
                    drasriov_string) { ++static_cast<Counts*>(context)->problems; },
  };
  const sdk::testing::FakeCall call;
  const auto* discovery = static_cast<const drasriov_discovery_v1*>(
      kTable.get_capability(module, sdk::to_abi(DRASRIOV_CAPABILITY_DISCOVERY_1)));
  if (discovery->scan(module, call.handle(), &sink, nullptr) != DRASRIOV_OK) {
    std::fprintf(stderr, "the scan failed\n");
    std::exit(2);
  }
  return counts;
}

void plain_walk(const std::string& devices) {
  DIR* folder = ::opendir(devices.c_str());
  if (folder == nullptr) {
    std::perror(devices.c_str());
    std::exit(2);
  }
  while (const dirent* entry = ::readdir(folder)) {
    struct stat status = {};
    static_cast<void>(::fstatat(::dirfd(folder), entry->d_name, &status, 0));
  }
  ::closedir(folder);
}

/// Milliseconds of the median run.
struct Times {
  double wall;
  double cpu;  ///< of this process: what stays when others use the machine too
};

double now(clockid_t clock) {
  timespec time = {};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Times measure(const std::function<void()>& work) {
  std::vector<double> wall;
  std::vector<double> cpu;
  for (int i = 0; i < kRuns; ++i) {
    const double wall_start = now(CLOCK_MONOTONIC);
    const double cpu_start = now(CLOCK_PROCESS_CPUTIME_ID);
    work();
    cpu.push_back(now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start);
    wall.push_back(now(CLOCK_MONOTONIC) - wall_start);
  }
  return {median(std::move(wall)), median(std::move(cpu))};
}

/// System calls of `work`, counted in a child that is traced; nothing where that is forbidden.
std::optional<long> system_calls(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
      ::_exit(1);
    }
    ::raise(SIGSTOP);
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) {
    return std::nullopt;
  }
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  long stops = 0;
  while (true) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    if (::waitpid(child, &status, 0) < 0 || WIFEXITED(status) || WIFSIGNALED(status)) {
      break;
    }
    stops += WSTOPSIG(status) == (SIGTRAP | 0x80) ? 1 : 0;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::optional(stops / 2) : std::nullopt;
}

void print(const char* name, const Times& times, std::optional<long> calls, std::size_t vfs) {
  std::printf("%-12s %8.2f ms %8.2f ms CPU", name, times.wall, times.cpu);
  if (calls && vfs > 0) {
    std::printf(" %8ld system calls %6.2f for each VF", *calls,
                static_cast<double>(*calls) / static_cast<double>(vfs));
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<SysfsTree> tree;
  if (argc < 2) {
    tree.emplace(SysfsTree::synthetic("--pfs 32 --vfs 64"));
  }
  const std::string root = argc < 2 ? tree->root().string() : argv[1];

  sdk::testing::FakeHost host;
  host.set_root(sdk::Root::kSys, root);
  drasriov_module* module = nullptr;
  sdk::testing::CapturedError error;
  if (kTable.create(sdk::testing::FakeHost::table(), host.handle(), sdk::to_abi("bench"),
                    sdk::to_abi("{}"), &module, error.handle()) != DRASRIOV_OK) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    return 2;
  }
  const Counts counts = scan(module);
  std::printf("%zu PFs, %zu VFs, %zu problems\n", counts.pfs, counts.vfs, counts.problems);

  const auto scan_once = [&] { static_cast<void>(scan(module)); };
  const auto walk_once = [&] { plain_walk(root + "/bus/pci/devices"); };
  const Times walked = measure(walk_once);
  const Times scanned = measure(scan_once);
  print("plain walk", walked, system_calls(walk_once), counts.vfs);
  print("scan", scanned, system_calls(scan_once), counts.vfs);
  std::printf("scan / walk  %8.2f\n", scanned.cpu / walked.cpu);
  kTable.destroy(module);
  return scanned.cpu <= kBudgetMilliseconds ? 0 : 1;
}
