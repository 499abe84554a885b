// SPDX-License-Identifier: Apache-2.0
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

#include <drasriov/sdk/device.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace drasriov::discovery_sysfs::testing {
namespace fs = std::filesystem;
namespace {

const fs::path kFixtures = DRASRIOV_FIXTURES_DIR;

/// Arguments are the tests' own literals and temporary paths: nothing that a shell would change.
void run(const std::string& command) {
  if (const int status = std::system(command.c_str()); status != 0) {
    throw std::runtime_error(command + ": status " + std::to_string(status));
  }
}

void write_file(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  fs::remove(path);  // captured and synthetic attributes may be read-only
  std::ofstream(path) << text;
}

}  // namespace

SysfsTree::SysfsTree() {
  // In memory where the machine allows it: 2,048 VFs are 114,000 files and links.
  for (const fs::path& parent : {fs::path("/dev/shm"), fs::temp_directory_path()}) {
    std::string pattern = (parent / "drasriov-sysfs-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) {
      folder_ = pattern;
      return;
    }
  }
  throw std::runtime_error("no folder for a sysfs tree");
}

SysfsTree::~SysfsTree() {
  if (!folder_.empty()) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
}

SysfsTree SysfsTree::capture(const std::string& name) {
  SysfsTree tree;
  const fs::path archive = kFixtures / "sysfs" / (name + ".tar.gz");
  run("tar -C " + tree.folder_.string() + " -xzf " + archive.string());
  return tree;
}

SysfsTree SysfsTree::synthetic(const std::string& arguments) {
  SysfsTree tree;
  run("python3 " + (kFixtures / "mksysfs.py").string() + " " + arguments + " --out " +
      tree.folder_.string() + " >/dev/null");
  return tree;
}

fs::path SysfsTree::device(std::string_view address) const {
  return fs::canonical(device_link(address));
}

void SysfsTree::write(std::string_view address, const std::string& file, std::string_view text) {
  write_file(device(address) / file, text);
}

void SysfsTree::link(std::string_view address, const std::string& name, const std::string& target) {
  const fs::path path = device(address) / name;
  fs::remove(path);
  fs::create_symlink(target, path);
}

void SysfsTree::remove(std::string_view address, const std::string& name) {
  if (fs::remove_all(device(address) / name) == 0) {
    throw std::runtime_error(std::string(address) + " has no " + name);
  }
}

void SysfsTree::set_uevent(std::string_view address, const std::string& key,
                           const std::string& value) {
  std::istringstream old(read_file(device(address) / "uevent"));
  std::string text;
  for (std::string line; std::getline(old, line);) {
    if (!line.starts_with(key + '=')) {
      text += line + '\n';
    }
  }
  if (!value.empty()) {
    text += key + '=' + value + '\n';
  }
  write(address, "uevent", text);
}

void SysfsTree::remove_netdevs(std::string_view address) {
  for (const auto& entry : fs::directory_iterator(device(address) / "net")) {
    fs::remove(root() / "class/net" / entry.path().filename());
    fs::remove_all(entry.path());
  }
}

void SysfsTree::add_netdev(std::string_view address, const std::string& name,
                           const std::vector<std::pair<std::string, std::string>>& attributes) {
  const fs::path netdev = device(address) / "net" / name;
  fs::create_directories(netdev);
  for (const auto& [file, text] : attributes) {
    write_file(netdev / file, text);
  }
  fs::create_symlink(fs::relative(netdev, root() / "class/net"), root() / "class/net" / name);
}

void SysfsTree::add_vf(std::string_view pf, int index, std::string_view address) {
  const fs::path pf_path = device(pf);
  const fs::path path = pf_path.parent_path() / address;
  write_file(path / "uevent",
             "PCI_CLASS=20000\nPCI_ID=8086:10CA\nPCI_SUBSYS_ID=1AF4:1100\n"
             "PCI_SLOT_NAME=" +
                 std::string(address) + "\n");
  write_file(path / "numa_node", "0\n");
  fs::create_symlink(fs::relative(path, root() / "bus/pci/devices"), device_link(address));
  fs::create_symlink(fs::path("..") / address, pf_path / ("virtfn" + std::to_string(index)));
  fs::create_symlink(fs::path("..") / pf, path / "physfn");
}

void SysfsTree::remove_vf(std::string_view address) {
  const fs::path path = device(address);
  const fs::path pf = path.parent_path() / fs::read_symlink(path / "physfn").filename();
  for (const auto& entry : fs::directory_iterator(pf)) {
    if (entry.is_symlink() && entry.path().filename().string().starts_with("virtfn") &&
        fs::read_symlink(entry.path()).filename() == address) {
      fs::remove(entry.path());
      break;
    }
  }
  if (fs::exists(path / "net")) {
    remove_netdevs(address);
  }
  fs::remove(device_link(address));
  fs::remove_all(path);
}

nlohmann::json to_json(const std::vector<sdk::Device>& devices, const fs::path& root) {
  nlohmann::json result = nlohmann::json::object();
  for (const sdk::Device& device : devices) {
    nlohmann::json& json = result[device.name()];
    json["kind"] = device.kind();
    json["parent"] = device.parent();
    json["attributes"] = nlohmann::json::object();
    for (const sdk::Attribute& attribute : device.attributes()) {
      std::visit(
          [&](const auto& value) {
            using Value = std::decay_t<decltype(value)>;
            if constexpr (std::is_same_v<Value, std::string> || std::is_same_v<Value, bool> ||
                          std::is_same_v<Value, std::int64_t>) {
              json["attributes"][attribute.key] = value;
            } else {
              throw std::runtime_error(attribute.key + " has a kind that discovery does not use");
            }
          },
          attribute.value);
    }
    json["facts"] = nlohmann::json::object();
    for (const sdk::Entry& fact : device.facts()) {
      if (fact.key == DRASRIOV_FACT_SYSFS_PATH) {
        json["facts"][fact.key] = fs::path(fact.value).lexically_relative(root).string();
      } else if (fact.key != DRASRIOV_FACT_INCARNATION) {
        json["facts"][fact.key] = fact.value;
      }
    }
  }
  return result;
}

nlohmann::json expected_devices(const fs::path& root) {
  const fs::path output = root.parent_path() / "expected.json";
  run("python3 " DRASRIOV_TESTS_DIR "/expected_devices.py " + root.string() + " >" +
      output.string());
  return nlohmann::json::parse(read_file(output));
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error("cannot read " + path.string());
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace drasriov::discovery_sysfs::testing
