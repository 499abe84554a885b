// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/machine.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>

#include "host/base/durable_file.hpp"
#include "host/cluster/directory/block_yaml.hpp"
#include "host/cluster/directory/object_file.hpp"

namespace drasriov::integration {
namespace {

namespace fs = std::filesystem;

/// All API objects of a kind in a folder tree. A file that is being replaced is read the next time.
std::vector<Json> objects(const fs::path& directory, std::string_view kind) {
  std::vector<Json> found;
  std::error_code missing;
  for (const auto& entry : fs::recursive_directory_iterator(directory, missing)) {
    if (!entry.is_regular_file() || !cluster::is_object_file(entry.path().filename().native()))
      continue;
    const auto text = read_file(entry.path());
    if (!text) continue;
    const auto documents = cluster::parse_documents(*text);
    if (!documents) continue;
    for (const Json& document : *documents) {
      if (document.value("kind", "") == kind) found.push_back(document);
    }
  }
  return found;
}

}  // namespace

Machine::Machine(std::string_view capture) {
  std::string name = "/tmp/drasriov-machine.XXXXXX";  // short: socket paths have 107 bytes
  root_ = ::mkdtemp(name.data());
  const fs::path archive = fs::path(DRASRIOV_FIXTURES_DIR) / "sysfs" / capture;
  const Finished unpacked =
      run("/bin/tar", {"-C", root_.native(), "-xzf", archive.native()}, {"PATH=/usr/bin:/bin"});
  EXPECT_EQ(unpacked.code, 0) << unpacked.errors;
  for (const char* directory : {"cluster", "plugins", "registry", "cdi", "dev"})
    fs::create_directory(root_ / directory);
  put("node.yaml",
      "apiVersion: v1\nkind: Node\nmetadata:\n  name: worker-1\n  uid: "
      "5c9e0f0a-0000-4000-8000-000000000001\n"
      "  labels: {zone: a}\n");
  std::ofstream(root_ / "config.yaml")
      << "nodeName: " << kNodeName << "\ncluster: dir:" << cluster().native()
      << "\nroots: {sys: " << sysfs().native() << ", dev: " << dev().native()
      << "}\nkubeletPluginsDirectory: " << (root_ / "plugins").native()
      << "\nkubeletRegistrarDirectory: " << registry().native() << "\ncdiRoot: " << cdi().native()
      << "\nverbosity: 4\n";
}

Machine::~Machine() {
  if (testing::Test::HasFailure()) {
    for (int i = 0; i < starts_; ++i) {
      const auto log = read_file(root_ / ("driver-" + std::to_string(i) + ".err"));
      if (log) std::cerr << "--- log of driver " << i << "\n" << *log;
    }
  }
  fs::remove_all(root_);
}

fs::path Machine::registration_socket() const {
  return registry() / (std::string(kDriverName) + "-reg.sock");
}

void Machine::configure(std::string_view lines) {
  std::ofstream(root_ / "config.yaml", std::ios::app) << lines << "\n";
}

void Machine::put(const std::string& file, std::string_view yaml) {
  const auto written = replace_file(cluster() / file, yaml, Durability::kAtomic);
  ASSERT_TRUE(written) << written.error().to_string();
}

Claim Machine::put_claim(const std::string& name, const std::vector<std::string>& devices,
                         std::string_view parameters) {
  Claim claim{name, "c1a10000-0000-4000-8000-" +
                        std::string(12 - std::min<std::size_t>(name.size(), 12), '0')};
  for (const char c : name.substr(0, 12))
    claim.uid += "0123456789abcdef"[static_cast<unsigned char>(c) % 16];
  Json results = Json::array();
  for (const std::string& device : devices) {
    results.push_back(
        {{"request", "vf"}, {"driver", kDriverName}, {"pool", kNodeName}, {"device", device}});
  }
  Json object = {
      {"apiVersion", "resource.k8s.io/v1"},
      {"kind", "ResourceClaim"},
      {"metadata", {{"name", name}, {"namespace", "ns"}, {"uid", claim.uid}}},
      {"spec",
       {{"devices", {{"requests", {{{"name", "vf"}, {"exactly", {{"deviceClassName", "vf"}}}}}}}}}},
      {"status",
       {{"allocation", {{"devices", {{"results", results}}}}},
        {"reservedFor",
         {{{"resource", "pods"},
           {"name", "pod-" + name},
           {"uid", "b0d00000" + claim.uid.substr(8)}}}}}}};
  if (!parameters.empty()) {
    object["status"]["allocation"]["devices"]["config"] = {
        {{"source", "FromClaim"},
         {"opaque", {{"driver", kDriverName}, {"parameters", Json::parse(parameters)}}}}};
  }
  put("claim-" + name + ".yaml", cluster::print_block_yaml(object));
  return claim;
}

std::unique_ptr<Process> Machine::spawn_driver() {
  const fs::path log = root_ / ("driver-" + std::to_string(starts_++));
  return std::make_unique<Process>(
      DRASRIOV_DRA_DRIVER_SRIOV_PATH,
      std::vector<std::string>{"run", "--config", (root_ / "config.yaml").native()}, log);
}

std::unique_ptr<Process> Machine::spawn_dying_driver(const std::string& crash_at) {
  const fs::path log = root_ / ("driver-" + std::to_string(starts_++));
  return std::make_unique<Process>(
      DRASRIOV_DRA_DRIVER_SRIOV_FAULTS_PATH,
      std::vector<std::string>{"run", "--config", (root_ / "config.yaml").native()}, log,
      std::vector<std::string>{"DRASRIOV_CRASH_AT=" + crash_at});
}

std::unique_ptr<Process> Machine::start_driver() {
  auto process = spawn_driver();
  EXPECT_TRUE(eventually([this] { return fs::exists(registration_socket()); }))
      << process->errors();
  return process;
}

Json Machine::kubelet(const std::string& action, const std::vector<Claim>& claims,
                      std::vector<std::string> flags) {
  std::vector<std::string> arguments = {"--registry", registry().native()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  arguments.push_back(action);
  for (const Claim& claim : claims) arguments.push_back(claim.reference());
  const Finished finished = run(DRASRIOV_KUBELET_PLAYER_PATH, std::move(arguments));
  EXPECT_LE(finished.code, 1) << "the call itself failed: " << finished.errors;
  return Json::parse(finished.output, nullptr, false);
}

Json Machine::published() const {
  Json devices = Json::object();
  std::int64_t generation = -1;
  std::int64_t expected = -1;
  std::int64_t slices = 0;
  for (const Json& slice : objects(cluster(), "ResourceSlice")) {
    const Json& pool = slice["spec"]["pool"];
    if (pool["generation"] < generation) continue;
    if (pool["generation"] > generation) {
      generation = pool["generation"];
      expected = pool["resourceSliceCount"];
      slices = 0;
      devices = Json::object();
    }
    ++slices;
    for (const Json& device : slice["spec"]["devices"])
      devices[device["name"].get<std::string>()] = device;
  }
  return slices == expected ? devices : Json::object();
}

std::vector<std::string> Machine::published_names() const {
  std::vector<std::string> names;
  const Json devices = published();
  for (const auto& [name, device] : devices.items()) names.push_back(name);
  return names;
}

Json Machine::claim_devices(const Claim& claim) const {
  for (const Json& object : objects(cluster(), "ResourceClaim")) {
    if (object["metadata"]["name"] == claim.name) return object["status"].value("devices", Json());
  }
  return {};
}

std::vector<std::string> Machine::files(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory, missing))
    names.push_back(entry.path().filename().native());
  std::ranges::sort(names);
  return names;
}

}  // namespace drasriov::integration
