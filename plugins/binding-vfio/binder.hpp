// SPDX-License-Identifier: Apache-2.0
//
// Binder: carries out steps (steps.hpp) on one device, each under a deadline. Owned by the module;
// any number of threads, one at a time for a device.
#pragma once

#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/result.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_modules.hpp"
#include "pci_device.hpp"
#include "steps.hpp"
#include "timed_calls.hpp"

namespace drasriov::binding_vfio {

/// What the binder works on.
struct Machine {
  std::filesystem::path sys;
  std::filesystem::path dev;
  std::filesystem::path proc;
  /// Writes text into an existing file: 0 or an errno. May block without end.
  std::function<int(const std::filesystem::path& file, const std::string& text)> write_file;
  std::shared_ptr<kernel_modules::KernelModules> modules;
};

/// Machine::write_file of a real machine.
[[nodiscard]] int write_existing_file(const std::filesystem::path& file, const std::string& text);

/// Asks every 0.25 ms at first, then less and less often up to every 20 ms; kDeadlineExceeded or
/// kCancelled when `condition` does not come true.
[[nodiscard]] sdk::Status poll_until(const sdk::Call& call, sdk::Call::Clock::time_point deadline,
                                     const std::function<bool()>& condition);

class Binder {
 public:
  using Clock = sdk::Call::Clock;

  /// timeout: of one run(), beside the call's own deadline.
  Binder(Machine machine, std::chrono::milliseconds timeout)
      : machine_(std::move(machine)),
        timeout_(timeout) {}

  [[nodiscard]] const Machine& machine() const noexcept { return machine_; }
  [[nodiscard]] Clock::time_point deadline(const sdk::Call& call) const {
    return std::min(call.deadline(), Clock::now() + timeout_);
  }

  /// kUnavailable naming the holder while an earlier change of this device is still in the kernel;
  /// kNotFound when the device is gone.
  [[nodiscard]] sdk::Result<DeviceState> state(const sdk::Call& call, const PciDevice& device);

  /// The driver that claims the device by its modalias, its module loaded; empty = none. For a PF
  /// that lets the kernel choose nothing.
  [[nodiscard]] sdk::Result<std::string> claimed_by(const sdk::Call& call, const PciDevice& device);

  /// Errors name device, step and cause. kUnavailable: a process has the device open. kNotFound: the
  /// device or its driver is not there. kFailedPrecondition: the driver does not take the device.
  [[nodiscard]] sdk::Status run(const sdk::Call& call, const PciDevice& device,
                                const std::vector<Step>& steps);

 private:
  [[nodiscard]] sdk::Status run_step(const sdk::Call& call, const PciDevice& device,
                                     const Step& step, Clock::time_point deadline);
  [[nodiscard]] sdk::Status load_driver(const PciDevice& device, const std::string& driver,
                                        Clock::time_point deadline);
  [[nodiscard]] sdk::Status load_claiming(const PciDevice& device, Clock::time_point deadline);
  [[nodiscard]] sdk::Status load(const std::string& module, Clock::time_point deadline);
  [[nodiscard]] sdk::Status unbind(const sdk::Call& call, const PciDevice& device,
                                   Clock::time_point deadline);
  [[nodiscard]] sdk::Status probe(const sdk::Call& call, const PciDevice& device,
                                  const std::string& driver, Clock::time_point deadline);
  /// Under the device's key; 0, an errno, or ETIMEDOUT when the write stays in the kernel.
  [[nodiscard]] int write(const PciDevice& device, const std::filesystem::path& file,
                          std::string text, Clock::time_point deadline);
  [[nodiscard]] sdk::Error busy(const PciDevice& device, std::string_view action) const;
  /// The nodes by which a process may have it open. Not that of an IOMMU group with other devices in
  /// user space: who has it open may use only those.
  [[nodiscard]] std::vector<std::filesystem::path> nodes(const PciDevice& device) const;

  Machine machine_;
  std::chrono::milliseconds timeout_;
  kernel_modules::TimedCalls calls_;
};

}  // namespace drasriov::binding_vfio
