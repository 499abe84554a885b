// SPDX-License-Identifier: Apache-2.0
#include "tests/plugins/binding-vfio/captured_node.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace drasriov::binding_vfio::testing {
namespace {

namespace fs = std::filesystem;

/// The host's roots hold the capture, then the kernel takes them over.
fs::path unpacked(const sdk::testing::FakeHost& host) {
  const fs::path root = host.root(sdk::Root::kSys).parent_path();
  const std::string command =
      "tar -C " + root.string() + " -xzf " + DRASRIOV_FIXTURES_DIR + "/sysfs/b-vfs-igbvf.tar.gz";
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error(command);
  }
  return host.root(sdk::Root::kSys);
}

}  // namespace

sdk::Status ListedModules::load(std::string_view name) {
  loaded.emplace_back(name);
  if (fs::exists(sys_ / "bus/pci/drivers" / name)) {
    return {};
  }
  if (std::ranges::find(available, name) == available.end()) {
    return sdk::Error(sdk::Code::kNotFound, "this kernel has no module " + std::string(name));
  }
  kernel_.add_driver(std::string(name));
  return {};
}

sdk::Result<std::vector<std::string>> ListedModules::claiming(std::string_view /*modalias*/) {
  return claims;
}

CapturedNode::CapturedNode(std::string_view config_json)
    : kernel(unpacked(host), host.root(sdk::Root::kDev)),
      modules(std::make_shared<ListedModules>(kernel, host.root(sdk::Root::kSys))),
      settings_(*Settings::read(*sdk::Config::parse(config_json))) {
  restart();
}

void CapturedNode::restart() {
  module_ = std::make_unique<BindingVfio>(
      host.host(), settings_,
      Machine{host.root(sdk::Root::kSys), host.root(sdk::Root::kDev), host.root(sdk::Root::kProc),
              [this](const fs::path& file, const std::string& text) {
                return kernel.write(file, text);
              },
              modules});
}

sdk::testing::TestBindingRequest CapturedNode::request(const std::string& driver,
                                                       const std::string& address) const {
  std::string name = address;
  std::ranges::replace(name, ':', '-');
  std::ranges::replace(name, '.', '-');
  sdk::testing::TestBindingRequest request{
      sdk::Device(name).fact(DRASRIOV_FACT_PCI_ADDRESS, address)};
  request.config_json = R"({"driver":")" + driver + "\"}";
  return request;
}

Prepared CapturedNode::prepare(const std::string& driver, const std::string& address) {
  auto asked = request(driver, address);
  Prepared prepared;
  auto snapshot = module_->snapshot(host.call(), asked.view());
  if (!snapshot) {
    prepared.status = snapshot.error();
    return prepared;
  }
  prepared.snapshot = *snapshot;
  sdk::testing::RecordedPrepare recorded;
  auto sink = recorded.sink();
  prepared.status = module_->prepare(host.call(), asked.view(), prepared.snapshot, sink);
  prepared.edits = recorded.edits;
  prepared.facts = recorded.facts;
  return prepared;
}

sdk::Status CapturedNode::unprepare(const std::string& driver, const std::string& snapshot,
                                    const std::string& address) {
  auto asked = request(driver, address);
  return module_->unprepare(host.call(), asked.view(), snapshot, "");
}

void CapturedNode::open_node(const std::string& pid, const std::string& name,
                             const std::string& node) {
  const fs::path process = host.root(sdk::Root::kProc) / pid;
  fs::create_directories(process / "fd");
  std::ofstream(process / "comm") << name << "\n";
  fs::create_symlink(host.root(sdk::Root::kDev) / node, process / "fd" / "7");
}

void CapturedNode::close_node(const std::string& pid) {
  fs::remove_all(host.root(sdk::Root::kProc) / pid);
}

}  // namespace drasriov::binding_vfio::testing
