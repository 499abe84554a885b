// SPDX-License-Identifier: Apache-2.0
//
// The container runtime's side: what a pod's sandbox waits for the driver, beside the netconf call
// and its two durable writes, and what a container waits for the OCI hook.
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "driver_process.hpp"
#include "host/base/durable_file.hpp"
#include "kubelet.hpp"
#include "measurements.hpp"
#include "tests/plugins/runtime-nri/fake_runtime.hpp"

extern char** environ;

namespace drasriov::bench {
namespace {

namespace fs = std::filesystem;
using runtime_nri::testing::FakeRuntime;
using runtime_nri::testing::Peer;
using runtime_nri::testing::TestPod;

constexpr int kRounds = 300;

/// A network namespace that lives as long as the object.
class Netns {
 public:
  Netns() {
    thread_ = std::thread([this] {
      const bool made = ::unshare(CLONE_NEWNET) == 0;
      std::unique_lock lock(mutex_);
      path_ = made ? "/proc/" + std::to_string(::getpid()) + "/task/" + std::to_string(::gettid()) +
                         "/ns/net"
                   : "none";
      changed_.notify_all();
      changed_.wait(lock, [this] { return done_; });
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !path_.empty(); });
  }
  ~Netns() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Netns(const Netns&) = delete;
  Netns& operator=(const Netns&) = delete;

  /// Throws std::runtime_error where none can be made.
  [[nodiscard]] const std::string& path() const {
    if (path_ == "none") throw std::runtime_error("a network namespace needs root");
    return path_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string path_;
  bool done_ = false;
  std::thread thread_;
};

/// Milliseconds until the driver has answered with success.
double ask(Peer& runtime, std::string_view hook, const TestPod& pod) {
  const auto begin = Clock::now();
  const auto answer =
      runtime.ask(hook, runtime_nri::testing::hook_request(pod), std::chrono::seconds(10));
  const double spent = milliseconds(Clock::now() - begin);
  if (!answer || answer->code != 0) {
    throw std::runtime_error(std::string(hook) + ": " +
                             (answer ? answer->message : std::string("no answer")));
  }
  return spent;
}

/// From posix_spawn() to the end of a program that has `input` on standard input.
double run_program(const std::vector<std::string>& argv, const fs::path& input) {
  std::vector<char*> arguments;
  for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input.c_str(), O_RDONLY, 0);
  pid_t pid = -1;
  int status = 0;
  const auto begin = Clock::now();
  const int error = ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  if (error == 0) ::waitpid(pid, &status, 0);
  const double spent = milliseconds(Clock::now() - begin);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0 || status != 0) throw std::runtime_error(argv[0] + " failed");
  return spent;
}

void measure_hook_program(const Subject& subject, const Machine& machine, std::vector<Row>& rows) {
  const fs::path hook = subject.program.binary.parent_path() / "dra-driver-sriov-hook";
  const BenchClaim& claim = machine.claims().front();
  const fs::path markers = machine.disk() / "attached" / claim.uid;
  fs::create_directories(markers);
  std::ofstream(markers / "sandbox-1") << "\n";
  const fs::path state = machine.disk() / "state.json";
  std::ofstream(state) << R"({"ociVersion":"1.2.0","id":"c","status":"creating","pid":1,)"
                       << R"("bundle":"/b","annotations":{)"
                       << R"("io.kubernetes.cri.sandbox-id":"sandbox-1"}})";
  std::vector<double> empty;
  std::vector<double> spent;
  for (int i = 0; i < kRounds; ++i) {
    empty.push_back(run_program({"/bin/true"}, state));
    spent.push_back(
        run_program({hook, claim.uid, claim.namespace_ + "/" + claim.name, machine.disk()}, state));
  }
  rows.push_back({"floor: a program that does nothing, p50", "ms", quantiles(empty).p50});
  rows.push_back({"OCI hook program, p50", "ms", quantiles(spent).p50, quantiles(empty).p50, 3});
}

}  // namespace

std::vector<Row> measure_sandboxes(const Subject& subject) {
  const fs::path socket =
      fs::temp_directory_path() / ("drasriov-bench-nri." + std::to_string(::getpid()));
  FakeRuntime runtime(socket);
  Program program = subject.program;
  program.networks = true;
  program.modules =
      "- {name: discovery-sysfs, module: 'builtin:discovery-sysfs'}\n"
      "- {name: runtime-nri, module: 'builtin:runtime-nri', config: {socket: " +
      socket.native() + "}}\n- {name: checking-netconf, module: " + subject.netconf.native() +
      "}\n- {name: cdi, module: 'builtin:cdi'}\n";
  Machine machine(program, subject.mksysfs, 8, 1);
  const Netns netns;
  const DriverProcess process(machine);
  const auto peer = runtime.accept();
  if (!peer->handshake()) throw std::runtime_error("the driver does not complete NRI's handshake");
  get_info(machine);
  Kubelet kubelet(machine.dra_socket());
  kubelet.prepare(machine.claims());

  TestPod stranger;
  stranger.netns = netns.path();
  TestPod owner = stranger;
  owner.id = "sandbox-1";
  owner.uid = "pod-" + machine.claims().front().uid;
  std::vector<double> without;
  std::vector<double> attach;
  std::vector<double> detach;
  std::vector<double> file;
  const double cpu = process.cpu_seconds();
  for (int i = 0; i < kRounds; ++i) {
    without.push_back(ask(*peer, "RunPodSandbox", stranger));
    attach.push_back(ask(*peer, "RunPodSandbox", owner));
    detach.push_back(ask(*peer, "StopPodSandbox", owner));
    const auto begin = Clock::now();
    if (auto ok =
            replace_file(machine.disk() / "floor", std::string(2048, 'x'), Durability::kDurable);
        !ok)
      throw std::runtime_error(ok.error().message());
    file.push_back(milliseconds(Clock::now() - begin));
  }
  const double spent = (process.cpu_seconds() - cpu) * 1000 / kRounds;
  kubelet.unprepare(machine.claims());

  const double floor = 2 * quantiles(file).p50;
  std::vector<Row> rows = {
      {"sandbox of a pod without devices, p50", "ms", quantiles(without).p50, 0, 0.2},
      {"floor: two durable files of 2 KiB, p50", "ms", floor},
      {"sandbox with a device attached, p50", "ms", quantiles(attach).p50, floor, floor + 1},
      {"sandbox stopped, device detached, p50", "ms", quantiles(detach).p50, floor},
      {"CPU of the three", "ms", spent},
  };
  measure_hook_program(subject, machine, rows);
  return rows;
}

}  // namespace drasriov::bench
