// SPDX-License-Identifier: Apache-2.0
#include "driver_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "host/base/result.hpp"
#include "host/device/pci_address.hpp"

extern char** environ;

namespace drasriov::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNode = "bench-node";
constexpr const char* kNamespace = "bench";
constexpr const char* kSlices = "/apis/resource.k8s.io/v1/resourceslices";

/// Starts argv[0] with output to `log` and returns its pid.
pid_t spawn(const std::vector<std::string>& argv, const std::vector<std::string>& extra_environment,
            const fs::path& log) {
  std::vector<char*> arguments;
  for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  for (const auto& entry : extra_environment)
    environment.push_back(const_cast<char*>(entry.c_str()));
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = -1;
  const int error =
      posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(errno_error(error, "start " + argv[0]).message());
  return pid;
}

int count_files(const fs::path& directory) {
  std::error_code missing;
  return static_cast<int>(
      std::distance(fs::directory_iterator(directory, missing), fs::directory_iterator()));
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int count(const std::string& text, const std::string& word) {
  int found = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size()))
    ++found;
  return found;
}

constexpr const char* kNetwork = "bench-network";

std::string claim_document(const BenchClaim& claim, const std::string& driver,
                           const std::string& device, bool has_network) {
  std::ostringstream out;
  out << "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: " << claim.name
      << ", namespace: " << claim.namespace_ << ", uid: " << claim.uid
      << "}\nspec: {devices: {requests: [{name: vf, exactly: {deviceClassName: " << driver
      << "}}]}}\nstatus:\n  allocation: {devices: {results: [{request: vf, driver: " << driver
      << ", pool: " << kNode << ", device: " << device << "}]";
  if (has_network) {
    out << ", config: [{source: FromClaim, requests: [vf], opaque: {driver: " << driver
        << ", parameters: {apiVersion: " << driver
        << "/v1alpha1, kind: VfConfig, netAttachDefName: " << kNetwork << "}}}]";
  }
  out << "}}\n  reservedFor: [{resource: pods, name: pod-" << claim.name << ", uid: pod-"
      << claim.uid << "}]\n";
  return out.str();
}

nlohmann::json claim_object(const BenchClaim& claim, const std::string& driver,
                            const std::string& device) {
  using nlohmann::json;
  const json parameters{{"apiVersion", driver + "/v1alpha1"}, {"kind", "VfConfig"}};
  return {
      {"apiVersion", "resource.k8s.io/v1"},
      {"kind", "ResourceClaim"},
      {"metadata", {{"name", claim.name}, {"namespace", claim.namespace_}, {"uid", claim.uid}}},
      {"spec",
       {{"devices",
         {{"requests",
           json::array({{{"name", "vf"}, {"exactly", {{"deviceClassName", driver}}}}})}}}}},
      {"status",
       {{"allocation",
         {{"devices",
           {{"results",
             json::array(
                 {{{"request", "vf"}, {"driver", driver}, {"pool", kNode}, {"device", device}}})},
            {"config",
             json::array({{{"source", "FromClaim"},
                           {"requests", {"vf"}},
                           {"opaque", {{"driver", driver}, {"parameters", parameters}}}}})}}}}},
        {"reservedFor", json::array({{{"resource", "pods"},
                                      {"name", "pod-" + claim.name},
                                      {"uid", "pod-" + claim.uid}}})}}}};
}

std::filesystem::path make_temporary(const fs::path& parent) {
  std::string name = (parent / "drasriov-bench.XXXXXX").native();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error(errno_error(errno, "create " + name).message());
  return name;
}

}  // namespace

Machine::Machine(const Program& program, const fs::path& mksysfs, int vfs, int claims)
    : program_(program),
      memory_(make_temporary("/dev/shm")),
      disk_(make_temporary(fs::temp_directory_path())) {
  const int per_pf = vfs < 64 ? vfs : 64;
  const pid_t maker =
      spawn({"python3", mksysfs.native(), "--pfs", std::to_string((vfs + per_pf - 1) / per_pf),
             "--vfs", std::to_string(per_pf), "--out", (memory_ / "machine").native()},
            {}, memory_ / "mksysfs.log");
  int status = 0;
  if (::waitpid(maker, &status, 0) != maker || status != 0) {
    throw std::runtime_error("mksysfs.py failed: " + slurp(memory_ / "mksysfs.log"));
  }
  program_.uses_api ? make_api() : make_folder_cluster();
  std::ofstream(memory_ / "config.yaml")
      << "nodeName: " << kNode << "\ndriverName: " << program_.driver_name
      << "\ncluster: " << (program_.uses_api ? "kube" : "dir:" + (memory_ / "cluster").native())
      << "\nroots: {sys: " << (memory_ / "machine/sys").native() << "}\n"
      << (program_.modules.empty() ? "" : "modules:\n" + program_.modules);
  forget_driver();

  for (const auto& entry : fs::directory_iterator(memory_ / "machine/sys/bus/pci/devices")) {
    if (static_cast<int>(claims_.size()) == claims) break;
    if (!fs::exists(entry.path() / "physfn")) continue;
    const std::string device =
        device::PciAddress::parse(entry.path().filename().native()).value().device_name();
    const std::string number = std::to_string(claims_.size());
    const BenchClaim claim{
        kNamespace, "claim-" + number,
        "11111111-2222-4333-8444-" + std::string(12 - number.size(), '0') + number};
    if (api_) {
      api_->put(
          std::string("/apis/resource.k8s.io/v1/namespaces/") + kNamespace + "/resourceclaims",
          claim_object(claim, program_.driver_name, device));
    } else {
      std::ofstream(memory_ / "cluster/claims" / (claim.name + ".yaml"))
          << claim_document(claim, program_.driver_name, device, program_.networks);
    }
    claims_.push_back(claim);
  }
}

void Machine::make_folder_cluster() {
  fs::create_directories(memory_ / "cluster/claims");
  std::ofstream(memory_ / "cluster/node.yaml")
      << "apiVersion: v1\nkind: Node\nmetadata: {name: " << kNode << "}\n";
  std::ofstream(memory_ / "cluster/network.yaml")
      << "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: "
      << kNetwork << ", namespace: " << kNamespace
      << "}\nspec: {config: '{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"sriov\"}'}\n";
}

void Machine::make_api() {
  const std::string& group = program_.driver_name;
  api_ = std::make_unique<ApiServer>(std::vector<ApiServer::Kind>{
      {"", "v1", "nodes", "Node", false},
      {"", "v1", "events", "Event", true},
      {"events.k8s.io", "v1", "events", "Event", true},
      {"resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", true},
      {"resource.k8s.io", "v1", "resourceslices", "ResourceSlice", false},
      {"k8s.cni.cncf.io", "v1", "network-attachment-definitions", "NetworkAttachmentDefinition",
       true},
      {group, "v1alpha1", "sriovresourcefilters", "SriovResourceFilter", true},
      {group, "v1alpha1", "sriovresourcepolicies", "SriovResourcePolicy", true},
      {group, "v1alpha1", "deviceattributes", "DeviceAttributes", true}});
  api_->put("/api/v1/nodes",
            {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", kNode}}}});
  if (program_.is_go) {  // without a policy it publishes no device
    api_->put("/apis/" + group + "/v1alpha1/namespaces/" + kNamespace + "/sriovresourcepolicies",
              {{"apiVersion", group + "/v1alpha1"},
               {"kind", "SriovResourcePolicy"},
               {"metadata", {{"name", "all"}, {"namespace", kNamespace}}},
               {"spec", {{"configs", {nlohmann::json::object()}}}}});
  }
  std::ofstream(memory_ / "kubeconfig") << api_->kubeconfig();
}

Machine::~Machine() {
  std::error_code ignored;
  fs::remove_all(memory_, ignored);
  fs::remove_all(disk_, ignored);
}

void Machine::forget_driver() {
  slices_.clear();
  if (api_) api_->remove_all(kSlices);
  for (const fs::path& directory : {memory_ / "cluster/resourceslices", memory_ / "cdi",
                                    disk_ / "plugins", disk_ / "registry"}) {
    fs::remove_all(directory);
  }
  for (const fs::path& directory : {memory_ / "cdi", disk_ / "plugins", disk_ / "registry"}) {
    fs::create_directories(directory);
  }
}

std::string Machine::registration_socket() const {
  return (disk_ / "registry" / (program_.driver_name + "-reg.sock")).native();
}

std::string Machine::dra_socket() const {
  return (data_directory() / "dra.sock").native();
}

fs::path Machine::data_directory() const {
  return disk_ / "plugins" / program_.driver_name;
}

int Machine::published_devices() {
  int devices = 0;
  if (api_) {
    for (const nlohmann::json& slice : api_->objects(kSlices))
      devices += static_cast<int>(slice["spec"].value("devices", nlohmann::json::array()).size());
    return devices;
  }
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(memory_ / "cluster/resourceslices", missing)) {
    if (entry.path().filename().native().starts_with('.')) continue;
    const auto written = entry.last_write_time(missing);
    if (missing) continue;
    Slice& slice = slices_[entry.path().filename().native()];
    if (slice.written != written) slice = {written, count(slurp(entry.path()), "/pciAddress")};
    devices += slice.devices;
  }
  return devices;
}

int Machine::leftovers() const {
  return count_files(memory_ / "cdi") + count_files(data_directory() / "claims");
}

DriverProcess::DriverProcess(const Machine& machine) : started_(std::chrono::steady_clock::now()) {
  const std::string disk = machine.disk().native();
  const std::string memory = machine.memory().native();
  const Program& program = machine.program();
  std::vector<std::string> environment = {
      "CDI_ROOT=" + memory + "/cdi", "KUBELET_REGISTRAR_DIRECTORY_PATH=" + disk + "/registry",
      "KUBELET_PLUGINS_DIRECTORY_PATH=" + disk + "/plugins", std::string("NODE_NAME=") + kNode,
      std::string("NAMESPACE=") + kNamespace};
  if (program.uses_api) {
    // The client's own limit of requests would be all that is measured.
    environment.insert(environment.end(), {"KUBECONFIG=" + memory + "/kubeconfig",
                                           "KUBE_API_QPS=100000", "KUBE_API_BURST=100000"});
  }
  std::vector<std::string> command = {program.binary.native(), "run", "--config",
                                      memory + "/config.yaml"};
  if (program.is_go) {
    // Without NRI; its device library must not look for a list of names on the network.
    environment.insert(environment.end(),
                       {"CONFIGURATION_MODE=MULTUS", "PCIDB_PATH=" + memory + "/pci.ids"});
    std::ofstream(memory + "/pci.ids") << "8086  Intel Corporation\n";
    command = {"unshare",
               "--mount",
               "sh",
               "-c",
               "mount --bind \"$0\" /sys && exec \"$1\"",
               memory + "/machine/sys",
               program.binary.native()};
  }
  pid_ = spawn(command, environment, machine.disk() / "driver.log");
}

DriverProcess::~DriverProcess() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

double DriverProcess::resident_mib() const {
  const std::string status = slurp("/proc/" + std::to_string(pid_) + "/status");
  const auto at = status.find("VmRSS:");
  return at == std::string::npos ? 0 : std::strtod(status.c_str() + at + 6, nullptr) / 1024;
}

double DriverProcess::cpu_seconds() const {
  clockid_t clock = 0;
  timespec used{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0)
    throw std::runtime_error("the driver is gone");
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

int DriverProcess::threads() const {
  return count_files("/proc/" + std::to_string(pid_) + "/task");
}

int DriverProcess::descriptors() const {
  return count_files("/proc/" + std::to_string(pid_) + "/fd");
}

}  // namespace drasriov::bench
