// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/discovery.h>

#include <set>

#include "host/module/adapters.hpp"
#include "host/module/device_convert.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

/// What the sink of one scan() or enrich() receives; thrown away when the call fails.
struct Collector {
  const std::string& instance;
  Discovery::Scan scan = {};
  std::set<std::string, std::less<>> names = {};

  void add(const drasriov_device* device) {
    auto checked = device_from_abi(device);
    const std::string_view given =
        device != nullptr && DRASRIOV_COVERS(device, name) ? to_view(device->name) : "";
    const std::string object = given.empty() ? "device" : printable(given);
    if (!checked) {
      refuse(object, checked.error().to_string());
      return;
    }
    if (!names.insert(checked->device.name).second) {
      refuse(object, "it was reported twice in one scan");
      return;
    }
    for (const std::string& dropped : checked->dropped) {
      scan.problems.push_back(
          {object, "module " + instance + ": " + dropped + "; the device is published without it"});
    }
    checked->device.module = instance;
    scan.devices.push_back(std::move(checked->device));
  }

  void refuse(const std::string& object, const std::string& why) {
    scan.problems.push_back({object, "module " + instance + ": device refused: " + why});
  }

  [[nodiscard]] drasriov_discovery_sink sink() noexcept {
    return {
        .struct_size = sizeof(drasriov_discovery_sink),
        .context = this,
        .device =
            [](void* context, const drasriov_device* device) noexcept {
              static_cast<Collector*>(context)->add(device);
            },
        .problem =
            [](void* context, drasriov_string object, drasriov_string message) noexcept {
              static_cast<Collector*>(context)->scan.problems.push_back(
                  {printable(to_view(object)), printable(to_view(message))});
            },
    };
  }
};

/// Adds what `addition` has and `device` has not: earlier keys win.
void merge(device::Device& device, device::Device addition) {
  device.attributes.merge(addition.attributes);
  device.capacities.merge(addition.capacities);
  device.facts.merge(addition.facts);
}

class DiscoveryAdapter final : public Discovery {
 public:
  DiscoveryAdapter(InstanceCore& core, const drasriov_discovery_v1& table)
      : core_(core),
        table_(table) {}

  [[nodiscard]] const std::string& instance() const noexcept override { return core_.name; }

  [[nodiscard]] Result<Scan> scan(const Call& call) override {
    const ThreadTags::Control tag(core_.tags, "scan");
    Collector collector{core_.name};
    const drasriov_discovery_sink sink = collector.sink();
    auto status =
        invoke(core_, "scan", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return table_.scan(core_.module, abi_call, &sink, error);
        });
    if (!status) return std::move(status).error();
    return std::move(collector.scan);
  }

  [[nodiscard]] Status enrich(const Call& call, device::Device& device) override {
    if (!DRASRIOV_HAS(&table_, enrich)) return {};
    const ThreadTags::Control tag(core_.tags, "enrich");
    Collector collector{core_.name};
    const drasriov_discovery_sink sink = collector.sink();
    const DeviceView view(device);
    auto status =
        invoke(core_, "enrich", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return table_.enrich(core_.module, abi_call, view.get(), &sink, error);
        });
    if (!status) return status;

    for (const device::Problem& problem : collector.scan.problems) {
      core_.log().warning(problem.message, {{telemetry::key::kModule, core_.name},
                                            {telemetry::key::kDevice, problem.object}});
    }
    if (collector.scan.devices.empty()) return {};
    device::Device enriched = device;
    for (device::Device& addition : collector.scan.devices) {
      if (addition.name != device.name) {
        return Error(
            Code::kInternal,
            "module " + core_.name + ": enrich of device " + device.name + " reported device " +
                addition.name,
            "report it to the module's vendor: enrich may only add to the device that it is given");
      }
      merge(enriched, std::move(addition));
    }
    if (auto limits = check_device_limits(enriched); !limits) {
      return limits.error().with_context("module " + core_.name + ": enriched device " +
                                         device.name);
    }
    device = std::move(enriched);
    return {};
  }

  [[nodiscard]] Status watch(std::function<void()> changed) override {
    if (!DRASRIOV_HAS(&table_, watch)) {
      return Error(Code::kUnimplemented, "module " + core_.name + " cannot watch this machine");
    }
    const ThreadTags::Control tag(core_.tags, "watch");
    changed_ = std::move(changed);
    return invoke(core_, "watch", Call{}, [&](const drasriov_call*, drasriov_error* error) {
      return table_.watch(
          core_.module,
          [](void* context) noexcept { static_cast<DiscoveryAdapter*>(context)->changed_(); }, this,
          error);
    });
  }

 private:
  InstanceCore& core_;
  const drasriov_discovery_v1& table_;
  std::function<void()> changed_;  ///< set once, before the module can call it
};

}  // namespace

Result<std::unique_ptr<Discovery>> make_discovery(InstanceCore& core, const void* capability) {
  const auto* table = static_cast<const drasriov_discovery_v1*>(capability);
  DRASRIOV_REQUIRE_MEMBER(core, "discovery/1", table, scan);
  return std::unique_ptr<Discovery>(std::make_unique<DiscoveryAdapter>(core, *table));
}

}  // namespace drasriov::module
