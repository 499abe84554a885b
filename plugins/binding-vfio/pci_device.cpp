// SPDX-License-Identifier: Apache-2.0
#include "pci_device.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace drasriov::binding_vfio {
namespace {

namespace fs = std::filesystem;

std::string link_name(const fs::path& link) {
  std::error_code none;
  return fs::read_symlink(link, none).filename().native();
}

std::optional<std::string> read_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!in) {
    return std::nullopt;
  }
  std::getline(in, line);
  return line;
}

}  // namespace

PciDevice::PciDevice(const fs::path& sys, std::string address)
    : address_(std::move(address)),
      path_(sys / "bus/pci/devices" / address_) {}

bool PciDevice::exists() const {
  std::error_code none;
  return fs::is_directory(path_, none);
}

std::string PciDevice::incarnation() const {
  struct stat status = {};
  if (::stat(path_.c_str(), &status) != 0) {
    return {};
  }
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

std::string PciDevice::driver() const {
  return link_name(path_ / "driver");
}

std::optional<std::string> PciDevice::override() const {
  auto text = read_line(path_ / "driver_override");
  if (text == "(null)") {
    return std::string();
  }
  return text;
}

std::string PciDevice::modalias() const {
  return read_line(path_ / "modalias").value_or("");
}

bool PciDevice::probes_by_itself() const {
  return read_line(path_ / "physfn/sriov_drivers_autoprobe") != "0";
}

std::string PciDevice::iommu_group() const {
  return link_name(path_ / "iommu_group");
}

std::vector<GroupMember> PciDevice::group_members() const {
  std::vector<GroupMember> members;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(path_ / "iommu_group/devices", none)) {
    members.push_back({entry.path().filename(), link_name(entry.path() / "driver")});
  }
  std::ranges::sort(members, {}, &GroupMember::address);
  return members;
}

std::vector<std::string> PciDevice::children(const std::string& directory,
                                             std::string_view prefix) const {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(path_ / directory, none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix)) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  return names;
}

bool is_pci_address(std::string_view text) {
  const auto dot = text.rfind('.');
  return dot != std::string_view::npos && std::ranges::count(text, ':') == 2 &&
         std::ranges::count(text, '.') == 1 && std::ranges::all_of(text, [](unsigned char c) {
           return std::isxdigit(c) != 0 || c == ':' || c == '.';
         });
}

}  // namespace drasriov::binding_vfio
