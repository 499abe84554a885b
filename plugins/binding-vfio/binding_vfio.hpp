// SPDX-License-Identifier: Apache-2.0
//
// BindingVfio: the module, capability binding/1, owner of VfConfig.driver. Thin: it reads requests
// and speaks to the host; steps.hpp decides, Binder acts. Worker threads, never two for a device.
#pragma once

#include <drasriov/sdk/binding.hpp>
#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binder.hpp"
#include "settings.hpp"
#include "steps.hpp"

namespace drasriov::binding_vfio {

class BindingVfio {
 public:
  static constexpr std::string_view config_schema = kConfigSchema;
  static constexpr std::array<std::string_view, 1> claim_fields = {"driver"};

  [[nodiscard]] static sdk::Result<std::unique_ptr<BindingVfio>> create(sdk::Host host,
                                                                        std::string_view instance,
                                                                        const sdk::Config& config);
  BindingVfio(sdk::Host host, Settings settings, Machine machine)
      : host_(host),
        settings_(std::move(settings)),
        binder_(std::move(machine), settings_.timeout) {}

  [[nodiscard]] sdk::Result<std::string> snapshot(const sdk::Call& call,
                                                  const sdk::BindingRequest& request);
  [[nodiscard]] sdk::Status prepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                    std::string_view snapshot, sdk::PrepareSink& sink);
  [[nodiscard]] sdk::Status unprepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                      std::string_view snapshot, std::string_view state);
  [[nodiscard]] sdk::Result<std::string> adopt(const sdk::Call& call,
                                               const sdk::BindingRequest& request);

 private:
  [[nodiscard]] sdk::Result<PciDevice> device_of(const sdk::BindingRequest& request) const;
  [[nodiscard]] sdk::Result<std::vector<Step>> steps(const sdk::Call& call, const PciDevice& device,
                                                     const DeviceState& now,
                                                     const std::string& wanted);

  sdk::Host host_;
  Settings settings_;
  Binder binder_;
};

}  // namespace drasriov::binding_vfio
