// SPDX-License-Identifier: Apache-2.0
//
// FakeKernel: what Linux does when somebody writes to the driver files of PCI devices, played on a
// captured sysfs. Each rule was seen on a real kernel (Debian's 6.12 with igb and igbvf, QEMU):
//
//   1 drivers_probe of a VF without driver_override binds nothing, successfully, when its PF has
//     sriov_drivers_autoprobe=0; with it, it works.
//   2 drivers_probe of a bound device: successful, nothing happens.
//   3 drivers_probe with an override that names no driver: successful, no driver.
//   4 A line clears driver_override; a write of nothing does nothing. Unset it reads "(null)".
//   5 unbind of a VFIO device waits until the last process has closed it.
//   6 igbvf makes a new netdev at each bind, VFIO a group node, an entry in class/vfio and vfio-devN.
//   7 unbind through a driver that does not have the device: ENODEV.
//
// Any thread; write() may block (rule 5).
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace drasriov::testing {

class FakeKernel {
 public:
  /// sys, dev: roots that it changes. They must be there.
  FakeKernel(std::filesystem::path sys, std::filesystem::path dev);

  /// A write to a file of sysfs: 0 or an errno.
  [[nodiscard]] int write(const std::filesystem::path& file, const std::string& text);

  // ---- what a test arranges ----

  /// A driver without devices, as after modprobe.
  void add_driver(const std::string& name);
  void remove_driver(const std::string& name);
  /// A process has the device open, until close_device().
  void open_device(const std::string& address);
  void close_device(const std::string& address);
  /// The driver's probe fails: the bind does not happen, and nobody is told.
  void refuse(const std::string& driver);
  /// The next write to a file of this name fails with this errno.
  void fail_next(const std::string& file_name, int error);
  void set_autoprobe(const std::string& pf, bool on);
  void remove_device(const std::string& address);
  /// Without IOMMU: no groups but those that VFIO makes itself.
  void switch_iommu_off(const std::string& address);
  /// This kernel has /dev/vfio/devices/vfioN and /dev/iommu.
  void enable_cdev();

  // ---- what a test looks at ----

  [[nodiscard]] std::string driver(const std::string& address) const;
  /// Empty = not set.
  [[nodiscard]] std::string override(const std::string& address) const;
  [[nodiscard]] std::vector<std::string> netdevs(const std::string& address) const;
  /// "drivers_probe 0000:11:10.2", "driver_override vfio-pci" …, in order.
  [[nodiscard]] std::vector<std::string> writes() const;

  [[nodiscard]] std::filesystem::path device(const std::string& address) const;

 private:
  [[nodiscard]] int probe(const std::string& address);
  [[nodiscard]] int unbind(const std::string& driver, const std::string& address,
                           std::unique_lock<std::mutex>& lock);
  void bind(const std::string& address, const std::string& driver);
  void release(const std::string& address, const std::string& driver);
  void set_uevent_driver(const std::string& address, const std::string& driver);
  [[nodiscard]] std::string group(const std::string& address) const;

  const std::filesystem::path sys_;
  const std::filesystem::path dev_;
  mutable std::mutex mutex_;
  std::condition_variable closed_;
  std::set<std::string> open_;
  std::set<std::string> refused_;
  std::map<std::string, int> failures_;
  std::map<std::string, std::string> natural_;  ///< by address, the driver that matches by id
  std::vector<std::string> writes_;
  bool cdev_ = false;
  int next_netdev_ = 40;
  int next_vfio_ = 0;
  int next_group_ = 200;
};

}  // namespace drasriov::testing
