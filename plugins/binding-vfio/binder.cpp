// SPDX-License-Identifier: Apache-2.0
#include "binder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <thread>

#include "holders.hpp"

namespace drasriov::binding_vfio {
namespace {

namespace fs = std::filesystem;
using Clock = Binder::Clock;

sdk::Error gone(const PciDevice& device) {
  return sdk::Error(sdk::Code::kNotFound, device.address() + " is gone",
                    "its virtual functions were removed while it was in use");
}

}  // namespace

int write_existing_file(const fs::path& file, const std::string& text) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0) {
    return errno;
  }
  // sysfs takes the text of one write as a whole or not at all.
  const ssize_t written = ::write(fd, text.data(), text.size());
  const int error = written < 0 ? errno : 0;
  ::close(fd);
  return error;
}

sdk::Status poll_until(const sdk::Call& call, Clock::time_point deadline,
                       const std::function<bool()>& condition) {
  constexpr Clock::duration kLongest = std::chrono::milliseconds(20);
  Clock::duration pause = std::chrono::microseconds(250);
  while (!condition()) {
    if (auto wanted = call.check(); !wanted) {
      return wanted;
    }
    const auto now = Clock::now();
    if (now >= deadline) {
      return sdk::Error(sdk::Code::kDeadlineExceeded, "it took too long");
    }
    std::this_thread::sleep_for(std::min(pause, deadline - now));
    pause = std::min(2 * pause, kLongest);
  }
  return {};
}

std::vector<fs::path> Binder::nodes(const PciDevice& device) const {
  std::vector<fs::path> nodes;
  for (const std::string& name : device.children("vfio-dev", "vfio")) {
    nodes.push_back(machine_.dev / "vfio/devices" / name);
  }
  for (const std::string& name : device.children("uio", "uio")) {
    nodes.push_back(machine_.dev / name);
  }
  const auto members = device.group_members();
  const bool shared = std::ranges::any_of(members, [&](const GroupMember& member) {
    return member.address != device.address() && is_vfio(member.driver);
  });
  if (const std::string group = device.iommu_group(); !group.empty() && !shared) {
    nodes.push_back(machine_.dev / "vfio" / group);
    nodes.push_back(machine_.dev / "vfio" / ("noiommu-" + group));
  }
  return nodes;
}

sdk::Error Binder::busy(const PciDevice& device, std::string_view action) const {
  return sdk::Error(sdk::Code::kUnavailable,
                    std::string(action) + " " + device.address() + ": device held open by " +
                        describe(find_holders(machine_.proc, nodes(device))),
                    "the kernel gives the device free when that process closes it or ends");
}

sdk::Result<DeviceState> Binder::state(const sdk::Call& call, const PciDevice& device) {
  auto override = std::make_shared<std::optional<std::string>>();
  if (!calls_.run(device.address(), deadline(call),
                  [device, override] { *override = device.override(); })) {
    return busy(device, "read the driver of");
  }
  if (!override->has_value()) {
    if (!device.exists()) {
      return gone(device);
    }
    return sdk::Error(sdk::Code::kFailedPrecondition,
                      device.address() + ": driver_override cannot be read");
  }
  return DeviceState{device.driver(), **std::move(override)};
}

sdk::Status Binder::run(const sdk::Call& call, const PciDevice& device,
                        const std::vector<Step>& steps) {
  const Clock::time_point end = deadline(call);
  for (const Step& step : steps) {
    if (auto wanted = call.check(); !wanted) {
      return wanted;
    }
    if (auto done = run_step(call, device, step, end); !done) {
      return device.exists() ? done : gone(device);
    }
  }
  return {};
}

sdk::Status Binder::run_step(const sdk::Call& call, const PciDevice& device, const Step& step,
                             Clock::time_point deadline) {
  switch (step.kind) {
    case Step::Kind::kLoadDriver: return load_driver(device, step.driver, deadline);
    case Step::Kind::kLoadClaiming: return load_claiming(device, deadline);
    case Step::Kind::kCheckFree: {
      const auto holders = find_holders(machine_.proc, nodes(device));
      return holders.empty() ? sdk::Status() : busy(device, "unbind");
    }
    case Step::Kind::kSetOverride: {
      // A write of nothing would be no write: only a line clears it.
      const int error =
          write(device, device.path() / "driver_override", step.driver + "\n", deadline);
      if (error == ETIMEDOUT) {
        return busy(device, "set driver_override of");
      }
      return error == 0 ? sdk::Status()
                        : sdk::errno_error(error, "set driver_override of " + device.address() +
                                                      " to \"" + step.driver + "\"");
    }
    case Step::Kind::kUnbind: return unbind(call, device, deadline);
    case Step::Kind::kProbe: return probe(call, device, step.driver, deadline);
  }
  return {};
}

int Binder::write(const PciDevice& device, const fs::path& file, std::string text,
                  Clock::time_point deadline) {
  auto error = std::make_shared<int>(0);
  const bool done = calls_.run(device.address(), deadline,
                               [error, file, text = std::move(text), write = machine_.write_file] {
                                 *error = write(file, text);
                               });
  return done ? *error : ETIMEDOUT;
}

sdk::Status Binder::load(const std::string& module, Clock::time_point deadline) {
  auto loaded = std::make_shared<sdk::Status>();
  if (!calls_.run("module " + module, deadline, [loaded, module, modules = machine_.modules] {
        *loaded = modules->load(module);
      })) {
    return sdk::Error(sdk::Code::kDeadlineExceeded,
                      "load kernel module " + module + ": the kernel is still at it");
  }
  return *loaded;
}

sdk::Status Binder::load_driver(const PciDevice& device, const std::string& driver,
                                Clock::time_point deadline) {
  const fs::path directory = machine_.sys / "bus/pci/drivers" / driver;
  std::error_code none;
  if (fs::exists(directory, none)) {
    return {};
  }
  if (auto loaded = load(driver, deadline); !loaded) {
    return loaded.error().with_context("bind " + device.address() + " to " + driver);
  }
  if (!fs::exists(directory, none)) {
    return sdk::Error(sdk::Code::kNotFound,
                      "bind " + device.address() + " to " + driver +
                          ": the kernel has no PCI driver of this name, though a module " + driver +
                          " is loaded");
  }
  return {};
}

sdk::Status Binder::load_claiming(const PciDevice& device, Clock::time_point deadline) {
  const auto modules = machine_.modules->claiming(device.modalias());
  if (!modules) {
    return modules.error().with_context(device.address());
  }
  for (const std::string& module : *modules) {
    if (auto loaded = load(module, deadline); !loaded) {
      return loaded.error().with_context(device.address());
    }
  }
  return {};
}

sdk::Result<std::string> Binder::claimed_by(const sdk::Call& call, const PciDevice& device) {
  constexpr std::string_view kPci = "pci:";
  const Clock::time_point end = deadline(call);
  const auto modules = machine_.modules->claiming(device.modalias());
  if (!modules) {
    return modules.error().with_context(device.address());
  }
  for (const std::string& module : *modules) {
    if (auto loaded = load(module, end); !loaded) {
      return loaded.error().with_context(device.address());
    }
    // What a module registers is in its own directory: pci:igbvf.
    std::error_code none;
    for (const auto& entry :
         fs::directory_iterator(machine_.sys / "module" / module / "drivers", none)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(kPci)) {
        return name.substr(kPci.size());
      }
    }
  }
  return std::string();
}

sdk::Status Binder::unbind(const sdk::Call& call, const PciDevice& device,
                           Clock::time_point deadline) {
  const std::string driver = device.driver();
  if (driver.empty()) {
    return {};
  }
  const int error = write(device, machine_.sys / "bus/pci/drivers" / driver / "unbind",
                          device.address(), deadline);
  if (error == ETIMEDOUT) {
    return busy(device, "unbind");
  }
  // ENODEV: it is not bound to this driver any more, which is what we want.
  if (error != 0 && !(error == ENODEV && device.driver().empty())) {
    return sdk::errno_error(error, "unbind " + device.address() + " from " + driver);
  }
  if (!poll_until(call, deadline, [&] { return device.driver().empty() || !device.exists(); })) {
    return busy(device, "unbind");
  }
  return {};
}

sdk::Status Binder::probe(const sdk::Call& call, const PciDevice& device, const std::string& driver,
                          Clock::time_point deadline) {
  const std::string action =
      "bind " + device.address() + " to " + (driver.empty() ? "the kernel's choice" : driver);
  const int error =
      write(device, machine_.sys / "bus/pci/drivers_probe", device.address(), deadline);
  if (error == ETIMEDOUT) {
    return sdk::Error(sdk::Code::kDeadlineExceeded, action + ": the kernel is still at it");
  }
  if (error != 0) {
    return sdk::errno_error(error, action, "the kernel's log (dmesg) has the reason");
  }
  const auto bound = [&] {
    const std::string now = device.driver();
    return driver.empty() ? !now.empty() : now == driver;
  };
  if (const auto waited = poll_until(call, deadline, [&] { return bound() || !device.exists(); });
      !waited && waited.error().code() == sdk::Code::kCancelled) {
    return waited;
  }
  if (bound()) {
    return {};
  }
  const std::string now = device.driver();
  return sdk::Error(sdk::Code::kFailedPrecondition,
                    action + ": the driver did not take the device" +
                        (now.empty() ? std::string() : ", " + now + " has it"),
                    "the kernel's log (dmesg) has the reason, for example a device that this "
                    "driver does not know");
}

}  // namespace drasriov::binding_vfio
