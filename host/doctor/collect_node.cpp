// SPDX-License-Identifier: Apache-2.0
//
// Kubelet, container runtime, journal, other instances of the driver.
#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/claim/record.hpp"
#include "host/doctor/collect_parts.hpp"
#include "host/doctor/runtime_config.hpp"

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

std::int64_t pid_of(std::string_view text) {
  std::int64_t pid = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), pid);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? pid : 0;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  return text;
}

/// The value of "--name value" or "--name=value"; `short_name` may be empty.
std::optional<std::string> flag(const std::vector<std::string>& arguments, std::string_view name,
                                std::string_view short_name = {}) {
  std::optional<std::string> value;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if ((argument == name || (!short_name.empty() && argument == short_name)) &&
        i + 1 < arguments.size()) {
      value = arguments[i + 1];
    } else if (argument.size() > name.size() && argument.starts_with(name) &&
               argument[name.size()] == '=') {
      value = argument.substr(name.size() + 1);
    }
  }
  return value;
}

constexpr std::string_view kGate = "DynamicResourceAllocation";

/// "A=true,DynamicResourceAllocation=false"
std::optional<bool> gate_of_flag(std::string_view text) {
  const std::size_t at = text.find(std::string(kGate) + "=");
  if (at == std::string_view::npos || (at != 0 && text[at - 1] != ',')) return std::nullopt;
  return text.substr(at + kGate.size() + 1).starts_with("true");
}

std::optional<bool> gate_of_file(const std::string& text) {
  try {
    const YAML::Node gate = YAML::Load(text)["featureGates"][std::string(kGate)];
    if (gate) return gate.as<bool>();
  } catch (const YAML::Exception&) {
    // Kubelet would not run with it: whether it runs is a fact of its own.
  }
  return std::nullopt;
}

void look_at_kubelet(const ProcessEntry& process, const HostFiles* host, Kubelet& kubelet) {
  kubelet.running = true;
  kubelet.root_directory = flag(process.arguments, "--root-dir").value_or("");
  if (host != nullptr) {
    const std::string file =
        flag(process.arguments, "--config").value_or("/var/lib/kubelet/config.yaml");
    if (const auto text = host->read(file)) kubelet.dra_gate = gate_of_file(*text);
  }
  if (const auto gates = flag(process.arguments, "--feature-gates")) {
    if (const auto gate = gate_of_flag(*gates)) kubelet.dra_gate = gate;  // flags win
  }
}

void look_at_runtime(const std::vector<ProcessEntry>& processes, const HostFiles* host,
                     Runtime& runtime) {
  const ProcessEntry* found = nullptr;
  for (const ProcessEntry& process : processes) {
    if (process.name == "containerd" || process.name == "crio") found = &process;
  }
  std::string name = found == nullptr ? std::string() : found->name;
  if (name.empty() && host != nullptr) {
    if (host->exists("/etc/containerd/config.toml")) name = "containerd";
    if (host->exists("/etc/crio")) name = "crio";
  }
  if (name.empty()) return;
  runtime.running = found != nullptr;
  runtime.name = name == "crio" ? "cri-o" : name;
  runtime.nri_socket = "/var/run/nri/nri.sock";
  if (host == nullptr) return;
  const std::vector<std::string> none;
  const std::vector<std::string>& arguments = found == nullptr ? none : found->arguments;
  if (name == "crio") {
    read_crio_config(*host, flag(arguments, "--config", "-c").value_or("/etc/crio/crio.conf"),
                     runtime);
  } else {
    read_containerd_config(
        *host, flag(arguments, "--config", "-c").value_or("/etc/containerd/config.toml"), runtime);
  }
  runtime.nri_socket_exists = host->exists(runtime.nri_socket);
}

ClaimFile look_at_claim(const fs::path& file, const std::string& boot_id) {
  ClaimFile claim;
  claim.uid = file.stem().native();
  const auto text = read_some(file, 16U << 20U);
  if (!text) {
    claim.damage = text.error().to_string();
    return claim;
  }
  const auto record = claim::decode_record(*text);
  if (!record) {
    claim.damage = record.error().to_string();
    return claim;
  }
  claim.claim = record->claim.to_string();
  claim.state = claim::state_name(record->state);
  claim.last_error = record->last_error;
  claim.stale = !boot_id.empty() && record->boot_id != boot_id;
  for (const claim::DeviceRecord& device : record->devices)
    claim.devices.push_back(device.plan.allocated.device);
  return claim;
}

std::vector<fs::path> records_in(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.extension() == ".json" && !path.filename().native().starts_with('.'))
      files.push_back(path);
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::vector<ProcessEntry> list_processes(const fs::path& proc) {
  std::vector<ProcessEntry> processes;
  std::error_code error;
  for (fs::directory_iterator it(proc, error), end; !error && it != end; it.increment(error)) {
    ProcessEntry process;
    process.pid = pid_of(it->path().filename().native());
    if (process.pid == 0) continue;
    auto name = read_some(it->path() / "comm");
    auto line = read_some(it->path() / "cmdline");
    if (!name || !line) continue;  // it ended meanwhile
    process.name = trimmed(*std::move(name));
    for (std::size_t begin = 0; begin < line->size();) {
      const std::size_t stop = std::min(line->find('\0', begin), line->size());
      process.arguments.push_back(line->substr(begin, stop - begin));
      begin = stop + 1;
    }
    processes.push_back(std::move(process));
  }
  std::ranges::sort(processes, {}, &ProcessEntry::pid);
  return processes;
}

void collect_daemons(const fs::path& proc, const HostFiles* host, Facts& facts) {
  const std::vector<ProcessEntry> processes = list_processes(proc);
  for (const ProcessEntry& process : processes) {
    if (process.name == "kubelet") look_at_kubelet(process, host, facts.kubelet);
  }
  look_at_runtime(processes, host, facts.runtime);
}

std::vector<ClaimFile> collect_claims(const fs::path& data_directory, const fs::path& proc) {
  const auto boot = read_some(proc / "sys/kernel/random/boot_id");
  const std::string boot_id = boot ? trimmed(*boot) : std::string();
  std::vector<ClaimFile> claims;
  for (const fs::path& file : records_in(data_directory / "claims"))
    claims.push_back(look_at_claim(file, boot_id));
  for (const fs::path& file : records_in(data_directory / "claims" / "quarantine")) {
    ClaimFile claim = look_at_claim(file, boot_id);
    claim.quarantined = true;
    if (auto reason = read_some(fs::path(file).replace_extension(".reason")))
      claim.damage = trimmed(*std::move(reason));
    claims.push_back(std::move(claim));
  }
  return claims;
}

Instances collect_instances(const fs::path& data_directory, const fs::path& proc) {
  Instances instances;
  const fs::path lock = data_directory / "owner.lock";
  if (const auto owner = read_some(lock)) instances.owner = pid_of(trimmed(*owner));
  // flock(2) is not tried: for a moment we would be the owner, and a driver that starts then would stand by.
  struct stat status {};
  const auto locks = read_some(proc / "locks");
  if (locks && ::stat(lock.c_str(), &status) == 0) {
    const std::string inode = ":" + std::to_string(status.st_ino) + " ";
    for (std::size_t begin = 0; begin < locks->size();) {
      const std::size_t end = std::min(locks->find('\n', begin), locks->size());
      const std::string_view line = std::string_view(*locks).substr(begin, end - begin);
      if (line.find(" FLOCK ") != std::string_view::npos &&
          line.find(inode) != std::string_view::npos) {
        instances.lock_held = true;
      }
      begin = end + 1;
    }
  }
  for (const ProcessEntry& process : list_processes(proc)) {
    // comm is cut at 15 characters. A command such as this one is no instance: `run` or flags are.
    if (process.name != "dra-driver-srio") continue;
    const bool runs = process.arguments.size() < 2 || process.arguments[1] == "run" ||
                      process.arguments[1].starts_with('-');
    if (runs) instances.processes.push_back(process.pid);
  }
  return instances;
}

}  // namespace drasriov::doctor
