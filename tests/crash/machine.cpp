// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/machine.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "host/base/unique_fd.hpp"

extern char** environ;

namespace drasriov::crash {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDriver = "sriovnetwork.openshift.io";
constexpr const char* kNode = "crash-node";

pid_t spawn(const std::vector<std::string>& argv, const std::vector<std::string>& variables,
            const fs::path& log) {
  std::vector<char*> arguments;
  for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  for (const auto& entry : variables) environment.push_back(const_cast<char*>(entry.c_str()));
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + argv[0]);
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) throw std::runtime_error("waitpid");
  return status;
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string result(const std::string& device) {
  return "{request: vf, driver: " + std::string(kDriver) + ", pool: " + kNode +
         ", device: " + device + "}";
}

void write_claim(const fs::path& directory, const std::string& name, const std::string& uid,
                 const std::vector<std::string>& devices) {
  std::string results;
  for (const auto& device : devices) results += (results.empty() ? "" : ", ") + result(device);
  std::ofstream(directory / (name + ".yaml"))
      << "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: " << name
      << ", namespace: tenant, uid: " << uid
      << "}\nspec: {devices: {requests: [{name: vf, exactly: {deviceClassName: " << kDriver
      << "}}]}}\nstatus:\n  allocation: {devices: {results: [" << results
      << "]}}\n  reservedFor: [{resource: pods, name: pod, uid: pod-uid}]\n";
}

std::vector<std::string> virtual_functions(const fs::path& sys) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(sys / "bus/pci/devices")) {
    if (!fs::exists(entry.path() / "physfn")) continue;
    std::string name = entry.path().filename();
    std::ranges::replace_if(
        name, [](char c) { return c == ':' || c == '.'; }, '-');
    names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

const std::vector<std::string>& Machine::claims() {
  static const std::vector<std::string> claims = {"tenant/one/claim-one-uid",
                                                  "tenant/two/claim-two-uid"};
  return claims;
}

Machine::Machine() {
  std::string name = (fs::temp_directory_path() / "crash-test-XXXXXX").native();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  root_ = name;
  const pid_t maker = spawn({"python3", std::string(DRASRIOV_FIXTURES_DIR) + "/mksysfs.py", "--pfs",
                             "1", "--vfs", "4", "--out", (root_ / "sysfs").native()},
                            {}, root_ / "mksysfs.log");
  if (wait_for(maker) != 0) throw std::runtime_error("mksysfs.py: " + slurp(root_ / "mksysfs.log"));
  for (const char* directory : {"cluster/claims", "plugins", "registry", "cdi", "machine"}) {
    fs::create_directories(root_ / directory);
  }
  std::ofstream(root_ / "cluster/node.yaml")
      << "apiVersion: v1\nkind: Node\nmetadata: {name: " << kNode << "}\n";
  const auto devices = virtual_functions(root_ / "sysfs/sys");
  write_claim(root_ / "cluster/claims", "one", "claim-one-uid", {devices.at(0), devices.at(1)});
  write_claim(root_ / "cluster/claims", "two", "claim-two-uid", {devices.at(2)});
  const auto pretend = [this](const char* instance) {
    return std::string("- {name: ") + instance + ", module: " + DRASRIOV_PRETEND_BINDING_PATH +
           ", config: {machine: " + (root_ / "machine").native() + "}}\n";
  };
  std::ofstream(root_ / "config.yaml")
      << "nodeName: " << kNode << "\ncluster: dir:" << (root_ / "cluster").native()
      << "\nroots: {sys: " << (root_ / "sysfs/sys").native() << "}\nmodules:\n"
      << "- {name: discovery-sysfs, module: \"builtin:discovery-sysfs\"}\n"
      << pretend("first") << pretend("second") << "- {name: cdi, module: \"builtin:cdi\"}\n";
}

Machine::~Machine() {
  if (driver_ > 0) {
    ::kill(driver_, SIGKILL);
    ::waitpid(driver_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void Machine::start(const std::vector<std::string>& environment) {
  std::vector<std::string> variables = {
      "CDI_ROOT=" + (root_ / "cdi").native(),
      "KUBELET_REGISTRAR_DIRECTORY_PATH=" + (root_ / "registry").native(),
      "KUBELET_PLUGINS_DIRECTORY_PATH=" + (root_ / "plugins").native()};
  variables.insert(variables.end(), environment.begin(), environment.end());
  driver_ = spawn({DRASRIOV_DRA_DRIVER_SRIOV_FAULTS_PATH, "run", "--config",
                   (root_ / "config.yaml").native(), "--insecure-dev"},
                  variables, root_ / "driver.log");
}

int Machine::wait_end() {
  const int status = wait_for(driver_);
  driver_ = -1;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int Machine::stop() {
  ::kill(driver_, SIGTERM);
  const int status = wait_for(driver_);
  driver_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Machine::kubelet(const std::string& action, const std::vector<std::string>& claims) {
  std::vector<std::string> argv = {DRASRIOV_KUBELET_PLAYER_PATH, "--registry",
                                   (root_ / "registry").native(), action};
  argv.insert(argv.end(), claims.begin(), claims.end());
  const pid_t player = spawn(argv, {}, root_ / "kubelet.log");
  // A player whose driver died before it registered would wait for another one.
  const UniqueFd player_end(static_cast<int>(::syscall(SYS_pidfd_open, player, 0)));
  const UniqueFd driver_end(static_cast<int>(::syscall(SYS_pidfd_open, driver_, 0)));
  std::array<pollfd, 2> ends = {{{player_end.get(), POLLIN, 0}, {driver_end.get(), POLLIN, 0}}};
  if (!player_end || !driver_end || ::poll(ends.data(), ends.size(), -1) < 0)
    throw std::runtime_error("poll");
  if (ends[0].revents == 0) ::kill(player, SIGKILL);
  return wait_for(player) == 0;
}

Leftovers Machine::leftovers() const {
  Leftovers found;
  const auto collect = [&found](const fs::path& directory, const std::string& as, bool files_only) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(directory, missing)) {
      if (files_only && !entry.is_regular_file()) continue;
      found[as + entry.path().filename().native()] =
          entry.is_regular_file() ? slurp(entry.path()) : "";
    }
  };
  const fs::path data = root_ / "plugins" / kDriver;
  collect(data / "claims", "claims/", false);
  collect(root_ / "cdi", "cdi/", false);
  collect(root_ / "machine", "machine/", false);
  collect(data, "data/", true);
  // Which record is the one before depends on where it was killed.
  std::erase_if(found, [&found](const auto& file) {
    fs::path record = file.first;
    return record.extension() == ".previous" && found.contains(record.replace_extension(".json"));
  });
  found.erase("data/owner.lock");
  found.erase("data/dra-driver-sriov-hook");  // there while a driver runs or a claim is left
  return found;
}

std::string Machine::log() const {
  return slurp(root_ / "driver.log") + slurp(root_ / "kubelet.log");
}

std::string Machine::fault_log_variable() const {
  return "DRASRIOV_FAULT_LOG=" + (root_ / "faults.log").native();
}

std::vector<std::string> Machine::fault_log() const {
  std::istringstream lines(slurp(root_ / "faults.log"));
  return {std::istream_iterator<std::string>(lines), {}};
}

}  // namespace drasriov::crash
