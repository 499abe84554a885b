// SPDX-License-Identifier: Apache-2.0
//
// What the OCI hook costs a container: from spawn to exit, with a marker that is there and the OCI state of a usual container,
// beside an empty static program (the floor) in turn. Prints the median of each; ends with 1 when the difference is over 3 ms.
//
//   hook_bench HOOK EMPTY_PROGRAM
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr double kBudgetMilliseconds = 3;
constexpr int kRounds = 300;
constexpr const char* kUid = "c1a10000-0000-4000-8000-000000000001";
constexpr const char* kSandbox = "5a0db0c55a0db0c55a0db0c55a0db0c55a0db0c55a0db0c55a0db0c55a0db0c5";

/// 4 KiB of annotations, among them containerd's.
std::string state() {
  std::string text =
      R"({"ociVersion":"1.2.0","id":"c","status":"creating","pid":4711,"bundle":"/b",)"
      R"("annotations":{)";
  for (int i = 0; i < 50; ++i) {
    text +=
        "\"example.com/annotation-" + std::to_string(i) + "\":\"" + std::string(50, 'x') + "\",";
  }
  return text + "\"io.kubernetes.cri.sandbox-id\":\"" + kSandbox + "\"}}";
}

double run(const std::vector<std::string>& arguments, const fs::path& input) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  std::array<char*, 1> environment{nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input.c_str(), O_RDONLY, 0);
  const auto begin = std::chrono::steady_clock::now();
  pid_t child = 0;
  int status = -1;
  if (::posix_spawn(&child, pointers[0], &actions, nullptr, pointers.data(), environment.data()) ==
      0)
    ::waitpid(child, &status, 0);
  const Milliseconds took = std::chrono::steady_clock::now() - begin;
  ::posix_spawn_file_actions_destroy(&actions);
  if (status != 0) {
    std::fprintf(stderr, "hook_bench: %s ends with wait status %d\n", pointers[0], status);
    std::exit(2);
  }
  return took.count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: hook_bench HOOK EMPTY_PROGRAM\n");
    return 2;
  }
  std::string folder = (fs::temp_directory_path() / "drasriov-hook-bench.XXXXXX").native();
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror("hook_bench: mkdtemp");
    return 2;
  }
  const fs::path root = folder;
  fs::create_directories(root / "attached" / kUid);
  std::ofstream(root / "attached" / kUid / kSandbox) << "ns/pod\n";
  std::ofstream(root / "state") << state();

  std::vector<double> hook;
  std::vector<double> empty;
  for (int round = 0; round < kRounds; ++round) {
    empty.push_back(run({argv[2]}, root / "state"));
    hook.push_back(run({argv[1], kUid, "ns/claim", root.native()}, root / "state"));
  }
  fs::remove_all(root);
  const double cost = median(hook) - median(empty);
  std::printf("hook  %.3f ms\nempty static program  %.3f ms\ncost  %.3f ms\n", median(hook),
              median(empty), cost);
  return cost <= kBudgetMilliseconds ? 0 : 1;
}
