// SPDX-License-Identifier: Apache-2.0
#include "binding_vfio.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "device_nodes.hpp"

namespace drasriov::binding_vfio {
namespace {

/// VfConfig.driver, never empty: the host calls this module only for a claim that sets it.
sdk::Result<std::string> wanted_driver(const sdk::BindingRequest& request) {
  const auto config = sdk::Config::parse(request.config_json());
  if (!config) {
    return config.error();
  }
  const auto driver = config->string("driver");
  if (!driver) {
    return driver.error();
  }
  if (!*driver || (*driver)->empty()) {
    return sdk::Error(sdk::Code::kInvalidArgument, "VfConfig.driver is empty");
  }
  return **driver;
}

}  // namespace

sdk::Result<std::unique_ptr<BindingVfio>> BindingVfio::create(sdk::Host host,
                                                              std::string_view /*instance*/,
                                                              const sdk::Config& config) {
  auto settings = Settings::read(config);
  if (!settings) {
    return settings.error();
  }
  std::shared_ptr<kernel_modules::KernelModules> modules;
  if (host.sys_is_live()) {
    modules = std::make_shared<kernel_modules::Kmod>();
  } else {
    modules = std::make_shared<kernel_modules::NoKernel>();
  }
  return std::make_unique<BindingVfio>(
      host, *std::move(settings),
      Machine{host.root(sdk::Root::kSys), host.root(sdk::Root::kDev), host.root(sdk::Root::kProc),
              &write_existing_file, std::move(modules)});
}

sdk::Result<PciDevice> BindingVfio::device_of(const sdk::BindingRequest& request) const {
  const auto address = request.device().fact(DRASRIOV_FACT_PCI_ADDRESS);
  if (!address || !is_pci_address(*address)) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      std::string(request.device().name()) + " has no PCI address");
  }
  return PciDevice(binder_.machine().sys, std::string(*address));
}

sdk::Result<std::string> BindingVfio::snapshot(const sdk::Call& call,
                                               const sdk::BindingRequest& request) {
  const auto device = device_of(request);
  if (!device) {
    return device.error();
  }
  const auto wanted = wanted_driver(request);
  if (!wanted) {
    return wanted.error();
  }
  auto now = binder_.state(call, *device);
  if (!now) {
    return now.error();
  }
  // What would fail for sure fails here, where nothing has been touched.
  if (auto allowed = check_allowed(*wanted, settings_.allowed_drivers, now->driver); !allowed) {
    return allowed.error();
  }
  if (auto possible = check_iommu(*device, binder_.machine(), *wanted, settings_.iommu);
      !possible) {
    return possible.error();
  }
  return Snapshot{*std::move(now), device->incarnation()}.to_text();
}

sdk::Result<std::vector<Step>> BindingVfio::steps(const sdk::Call& call, const PciDevice& device,
                                                  const DeviceState& now,
                                                  const std::string& wanted) {
  if (wanted != kDefaultDriver) {
    return steps_to_driver(now, wanted);
  }
  if (device.probes_by_itself()) {
    return steps_to_default(now, {});
  }
  const auto named = binder_.claimed_by(call, device);
  if (!named) {
    return named.error();
  }
  auto steps = steps_to_default(now, *named);
  const bool probes =
      std::ranges::any_of(steps, [](const Step& step) { return step.kind == Step::Kind::kProbe; });
  if (probes && named->empty()) {
    return sdk::Error(sdk::Code::kFailedPrecondition,
                      device.address() +
                          ": its PF has sriov_drivers_autoprobe=0, so the kernel chooses no "
                          "driver, and no kernel module claims the device",
                      "name the driver in VfConfig.driver, or set sriov_drivers_autoprobe to 1");
  }
  return steps;
}

sdk::Status BindingVfio::prepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                 std::string_view snapshot_text, sdk::PrepareSink& sink) {
  const auto device = device_of(request);
  if (!device) {
    return device.error();
  }
  const auto wanted = wanted_driver(request);
  if (!wanted) {
    return wanted.error();
  }
  const auto snapshot = Snapshot::parse(snapshot_text);
  if (!snapshot) {
    return snapshot.error();
  }
  if (device->incarnation() != snapshot->incarnation) {
    return sdk::Error(sdk::Code::kAborted,
                      device->address() + " is another device since the claim was planned",
                      "virtual functions were removed and made anew; it is tried again");
  }
  const auto now = binder_.state(call, *device);
  if (!now) {
    return now.error();
  }
  const auto to_do = steps(call, *device, *now, *wanted);
  if (!to_do) {
    return to_do.error();
  }
  if (auto done = binder_.run(call, *device, *to_do); !done) {
    return done;
  }
  const std::string driver = device->driver();
  if (driver != now->driver) {
    host_.log(call).info(
        "driver bound",
        {{"device", request.device().name()}, {"driver", driver}, {"before", now->driver}});
  }
  const auto edits =
      container_edits(call, *device, request.device().name(), driver, settings_.iommu, binder_);
  if (!edits) {
    return edits.error();
  }
  if (!edits->empty()) {
    if (auto added = sink.add_edits(edits->json()); !added) {
      return added;
    }
  }
  const auto netdevs = device->children("net", "");
  sink.set_fact(DRASRIOV_FACT_DRIVER, driver);
  sink.set_fact(DRASRIOV_FACT_NETDEV, netdevs.empty() ? std::string() : netdevs.front());
  sink.set_fact(DRASRIOV_FACT_IOMMU_GROUP, device->iommu_group());
  return {};
}

sdk::Status BindingVfio::unprepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                   std::string_view snapshot_text, std::string_view /*state*/) {
  const auto device = device_of(request);
  if (!device) {
    return device.error();
  }
  const auto snapshot = Snapshot::parse(snapshot_text);
  if (!snapshot) {
    return snapshot.error();
  }
  const auto left = [&]() -> bool {
    return !device->exists() ||
           (!snapshot->incarnation.empty() && device->incarnation() != snapshot->incarnation);
  };
  if (left()) {
    host_.log(call).warning("the device is gone or another one: its driver is left as it is",
                            {{"device", request.device().name()}});
    return {};
  }
  const auto now = binder_.state(call, *device);
  const auto done = now ? binder_.run(call, *device, steps_back(*now, snapshot->before))
                        : sdk::Status(now.error());
  if (!done) {
    return left() ? sdk::Status() : done;
  }
  if (now->driver != snapshot->before.driver) {
    host_.log(call).info("driver put back", {{"device", request.device().name()},
                                             {"driver", snapshot->before.driver},
                                             {"before", now->driver}});
  }
  return {};
}

sdk::Result<std::string> BindingVfio::adopt(const sdk::Call& /*call*/,
                                            const sdk::BindingRequest& request) {
  // The Go driver leaves driver_override empty after it has put a driver back.
  Snapshot snapshot;
  snapshot.before.driver = request.device().fact(DRASRIOV_FACT_DRIVER).value_or("");
  return snapshot.to_text();
}

}  // namespace drasriov::binding_vfio
