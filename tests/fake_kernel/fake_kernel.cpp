// SPDX-License-Identifier: Apache-2.0
#include "tests/fake_kernel/fake_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace drasriov::testing {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::trunc) << text;
}

std::string get(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

void link(const fs::path& at, const fs::path& target) {
  fs::create_directories(at.parent_path());
  fs::remove(at);
  fs::create_symlink(fs::relative(target, at.parent_path()), at);
}

}  // namespace

FakeKernel::FakeKernel(fs::path sys, fs::path dev) : sys_(std::move(sys)), dev_(std::move(dev)) {
  for (const auto& entry : fs::directory_iterator(sys_ / "bus/pci/devices")) {
    const std::string address = entry.path().filename();
    if (const std::string bound = driver(address); !bound.empty() && bound != "vfio-pci") {
      natural_[address] = bound;
    }
  }
}

fs::path FakeKernel::device(const std::string& address) const {
  return sys_ / "bus/pci/devices" / address;
}

std::string FakeKernel::driver(const std::string& address) const {
  std::error_code none;
  return fs::read_symlink(device(address) / "driver", none).filename();
}

std::string FakeKernel::override(const std::string& address) const {
  const std::string text = first_line(get(device(address) / "driver_override"));
  return text == "(null)" ? std::string() : text;
}

std::vector<std::string> FakeKernel::netdevs(const std::string& address) const {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(device(address) / "net", none)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

std::vector<std::string> FakeKernel::writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

std::string FakeKernel::group(const std::string& address) const {
  std::error_code none;
  return fs::read_symlink(device(address) / "iommu_group", none).filename();
}

// ---- what a test arranges ----

void FakeKernel::add_driver(const std::string& name) {
  for (const char* file : {"bind", "unbind", "new_id", "remove_id"}) {
    put(sys_ / "bus/pci/drivers" / name / file, "");
  }
}

void FakeKernel::remove_driver(const std::string& name) {
  fs::remove_all(sys_ / "bus/pci/drivers" / name);
}

void FakeKernel::open_device(const std::string& address) {
  const std::lock_guard lock(mutex_);
  open_.insert(address);
}

void FakeKernel::close_device(const std::string& address) {
  const std::lock_guard lock(mutex_);
  open_.erase(address);
  closed_.notify_all();
}

void FakeKernel::refuse(const std::string& driver) {
  const std::lock_guard lock(mutex_);
  refused_.insert(driver);
}

void FakeKernel::fail_next(const std::string& file_name, int error) {
  const std::lock_guard lock(mutex_);
  failures_[file_name] = error;
}

void FakeKernel::set_autoprobe(const std::string& pf, bool on) {
  put(device(pf) / "sriov_drivers_autoprobe", on ? "1\n" : "0\n");
}

void FakeKernel::remove_device(const std::string& address) {
  const fs::path real = fs::canonical(device(address));
  fs::remove(device(address));
  fs::remove_all(real);
}

void FakeKernel::switch_iommu_off(const std::string& address) {
  const std::string name = group(address);
  fs::remove(device(address) / "iommu_group");
  fs::remove_all(sys_ / "kernel/iommu_groups" / name);
  put(sys_ / "module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
}

void FakeKernel::enable_cdev() {
  const std::lock_guard lock(mutex_);
  cdev_ = true;
  put(dev_ / "iommu", "");
}

// ---- what the kernel does ----

int FakeKernel::write(const fs::path& file, const std::string& text) {
  std::unique_lock lock(mutex_);
  const std::string name = file.filename();
  const std::string line = first_line(text);
  if (!fs::exists(file)) {
    return ENOENT;
  }
  writes_.push_back(name + " " + line);
  if (const auto failure = failures_.extract(name)) {
    return failure.mapped();
  }
  if (name == "drivers_probe") {
    return probe(line);
  }
  if (name == "unbind") {
    return unbind(file.parent_path().filename(), line, lock);
  }
  if (name == "driver_override") {
    if (!text.empty()) {
      put(file, line.empty() ? "(null)\n" : line + "\n");
    }
    return 0;
  }
  return EACCES;
}

int FakeKernel::probe(const std::string& address) {
  if (!fs::exists(device(address))) {
    return ENODEV;
  }
  if (!driver(address).empty()) {
    return 0;
  }
  std::string wanted = override(address);
  if (wanted.empty()) {
    if (get(device(address) / "physfn/sriov_drivers_autoprobe") == "0\n") {
      return 0;
    }
    wanted = natural_[address];
  }
  if (!wanted.empty() && fs::exists(sys_ / "bus/pci/drivers" / wanted) &&
      !refused_.contains(wanted)) {
    bind(address, wanted);
  }
  return 0;
}

int FakeKernel::unbind(const std::string& driver_name, const std::string& address,
                       std::unique_lock<std::mutex>& lock) {
  if (driver(address) != driver_name) {
    return ENODEV;
  }
  closed_.wait(lock, [&] { return !open_.contains(address); });
  release(address, driver_name);
  return 0;
}

void FakeKernel::bind(const std::string& address, const std::string& driver_name) {
  const fs::path real = fs::canonical(device(address));
  if (driver_name == "vfio-pci") {
    if (group(address).empty()) {
      const std::string made = std::to_string(next_group_++);
      link(sys_ / "kernel/iommu_groups" / made / "devices" / address, real);
      put(sys_ / "kernel/iommu_groups" / made / "name", "vfio-noiommu\n");
      link(real / "iommu_group", sys_ / "kernel/iommu_groups" / made);
      put(dev_ / "vfio" / ("noiommu-" + made), "");
    } else {
      put(dev_ / "vfio" / group(address), "");
    }
    put(dev_ / "vfio/vfio", "");
    const std::string name = "vfio" + std::to_string(next_vfio_++);
    fs::create_directories(real / "vfio-dev" / name);
    if (cdev_) {
      put(dev_ / "vfio/devices" / name, "");
    }
  } else if (driver_name == "uio_pci_generic" || driver_name == "igb_uio") {
    fs::create_directories(real / "uio/uio0");
    put(dev_ / "uio0", "");
  } else {
    const std::string name = "eth" + std::to_string(next_netdev_);
    put(real / "net" / name / "ifindex", std::to_string(1000 + next_netdev_) + "\n");
    put(real / "net" / name / "mtu", "1500\n");
    put(real / "net" / name / "address", "52:54:00:12:34:56\n");
    put(real / "net" / name / "addr_assign_type", "1\n");
    put(real / "net" / name / "type", "1\n");
    link(sys_ / "class/net" / name, real / "net" / name);
    ++next_netdev_;
  }
  set_uevent_driver(address, driver_name);
  // Last: who sees the driver finds all of it.
  link(sys_ / "bus/pci/drivers" / driver_name / address, real);
  link(real / "driver", sys_ / "bus/pci/drivers" / driver_name);
}

void FakeKernel::release(const std::string& address, const std::string& driver_name) {
  const fs::path real = fs::canonical(device(address));
  for (const std::string& name : netdevs(address)) {
    fs::remove(sys_ / "class/net" / name);
  }
  fs::remove_all(real / "net");
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(real / "vfio-dev", none)) {
    fs::remove(dev_ / "vfio/devices" / entry.path().filename());
  }
  fs::remove_all(real / "vfio-dev");
  fs::remove_all(real / "uio");
  if (driver_name == "vfio-pci") {
    const std::string name = group(address);
    fs::remove(dev_ / "vfio" / name);
    if (fs::remove(dev_ / "vfio" / ("noiommu-" + name))) {
      fs::remove(real / "iommu_group");
      fs::remove_all(sys_ / "kernel/iommu_groups" / name);
    }
  }
  fs::remove(sys_ / "bus/pci/drivers" / driver_name / address);
  set_uevent_driver(address, {});
  fs::remove(real / "driver");
}

void FakeKernel::set_uevent_driver(const std::string& address, const std::string& driver_name) {
  std::istringstream in(get(device(address) / "uevent"));
  std::string out = driver_name.empty() ? "" : "DRIVER=" + driver_name + "\n";
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("DRIVER=")) {
      out += line + "\n";
    }
  }
  put(device(address) / "uevent", out);
}

}  // namespace drasriov::testing
