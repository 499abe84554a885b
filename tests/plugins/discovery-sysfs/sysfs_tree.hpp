// SPDX-License-Identifier: Apache-2.0
//
// SysfsTree: a sysfs root in a temporary folder, from a capture or from mksysfs.py, and the hand
// that plays the kernel on it. For tests; one thread.
#pragma once

#include <drasriov/sdk/testing/recorders.hpp>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::discovery_sysfs::testing {

class SysfsTree {
 public:
  /// name: "b-vfs-igbvf".
  [[nodiscard]] static SysfsTree capture(const std::string& name);
  /// arguments of tests/fixtures/mksysfs.py but --out.
  [[nodiscard]] static SysfsTree synthetic(const std::string& arguments);
  SysfsTree(SysfsTree&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  SysfsTree& operator=(SysfsTree&&) = delete;
  ~SysfsTree();

  [[nodiscard]] std::filesystem::path root() const { return folder_ / "sys"; }
  /// The real directory of a device, below devices/.
  [[nodiscard]] std::filesystem::path device(std::string_view address) const;
  [[nodiscard]] std::filesystem::path device_link(std::string_view address) const {
    return root() / "bus/pci/devices" / address;
  }

  /// file is relative to the device's directory; made anew when it is there.
  void write(std::string_view address, const std::string& file, std::string_view text);
  void link(std::string_view address, const std::string& name, const std::string& target);
  void remove(std::string_view address, const std::string& name);
  /// Replaces one line of uevent that begins with key, or removes it when value is empty.
  void set_uevent(std::string_view address, const std::string& key, const std::string& value);

  /// The interfaces of a device go, as when another network namespace or vfio-pci takes it.
  void remove_netdevs(std::string_view address);
  /// An interface of a device comes. attributes: file name, text.
  void add_netdev(std::string_view address, const std::string& name,
                  const std::vector<std::pair<std::string, std::string>>& attributes);
  /// In the order of the kernel (drivers/pci/iov.c): the device, virtfn, physfn.
  void add_vf(std::string_view pf, int index, std::string_view address);
  /// In the order of the kernel: the links, then the device. Its directory and links vanish at
  /// once.
  void remove_vf(std::string_view address);

 private:
  SysfsTree();

  std::filesystem::path folder_;
};

/// Devices by name as golden files hold them: sysfsPath relative to the root, without incarnation.
[[nodiscard]] nlohmann::json to_json(const std::vector<sdk::Device>& devices,
                                     const std::filesystem::path& root);
/// Output of expected_devices.py for a tree.
[[nodiscard]] nlohmann::json expected_devices(const std::filesystem::path& root);
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

}  // namespace drasriov::discovery_sysfs::testing
