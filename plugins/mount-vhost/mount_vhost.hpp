// SPDX-License-Identifier: Apache-2.0
//
// MountVhost: the module, capability binding/1, owner of VfConfig.addVhostMount. Worker threads,
// never two for a device.
#pragma once

#include <drasriov/sdk/binding.hpp>
#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_modules.hpp"
#include "settings.hpp"
#include "timed_calls.hpp"

namespace drasriov::mount_vhost {

class MountVhost {
 public:
  static constexpr std::string_view config_schema = kConfigSchema;
  static constexpr std::array<std::string_view, 1> claim_fields = {"addVhostMount"};

  [[nodiscard]] static sdk::Result<std::unique_ptr<MountVhost>> create(sdk::Host host,
                                                                       std::string_view instance,
                                                                       const sdk::Config& config);
  MountVhost(sdk::Host host, Settings settings,
             std::shared_ptr<kernel_modules::KernelModules> modules)
      : host_(host),
        settings_(std::move(settings)),
        modules_(std::move(modules)) {}

  [[nodiscard]] sdk::Result<std::string> snapshot(const sdk::Call& call,
                                                  const sdk::BindingRequest& request);
  [[nodiscard]] sdk::Status prepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                    std::string_view snapshot, sdk::PrepareSink& sink);
  [[nodiscard]] sdk::Status unprepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                      std::string_view snapshot, std::string_view state);

 private:
  [[nodiscard]] sdk::Status load(const sdk::Call& call, const std::string& module);

  sdk::Host host_;
  Settings settings_;
  std::shared_ptr<kernel_modules::KernelModules> modules_;
  kernel_modules::TimedCalls calls_;
};

}  // namespace drasriov::mount_vhost
