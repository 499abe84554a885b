// SPDX-License-Identifier: Apache-2.0
//
// VfState: the module, capability binding/1, first in the chain: it sees a VF before other modules
// change it, and after they have put it back. Changes nothing itself in prepare. Worker threads,
// never two for a device.
#pragma once

#include <drasriov/sdk/binding.hpp>
#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rtnetlink.hpp"
#include "settings.hpp"
#include "snapshot.hpp"
#include "vf_sysfs.hpp"

namespace drasriov::vf_state {

class VfState {
 public:
  static constexpr std::string_view config_schema = kConfigSchema;

  [[nodiscard]] static sdk::Result<std::unique_ptr<VfState>> create(sdk::Host host,
                                                                    std::string_view instance,
                                                                    const sdk::Config& config);
  VfState(sdk::Host host, Settings settings, std::unique_ptr<Links> links)
      : host_(host),
        settings_(settings),
        links_(std::move(links)),
        sys_(host.root(sdk::Root::kSys)) {}

  [[nodiscard]] bool handles(const sdk::BindingRequest& request);
  [[nodiscard]] sdk::Result<std::string> snapshot(const sdk::Call& call,
                                                  const sdk::BindingRequest& request);
  [[nodiscard]] sdk::Status prepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                    std::string_view snapshot, sdk::PrepareSink& sink);
  [[nodiscard]] sdk::Status settle(const sdk::Call& call, const sdk::BindingRequest& request,
                                   std::string_view snapshot);
  [[nodiscard]] sdk::Status unprepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                      std::string_view snapshot, std::string_view state);

 private:
  /// A VF as request names it.
  struct Vf {
    std::string address;
    std::uint32_t index;
    std::string pf_netdev;  ///< empty = its PF has none
    VfSysfs sysfs;
  };
  [[nodiscard]] sdk::Result<Vf> vf_of(const sdk::BindingRequest& request) const;

  [[nodiscard]] sdk::Status restore(const sdk::Call& call, const sdk::BindingRequest& request,
                                    std::string_view snapshot_text);
  /// Waits until the interface is in the host, or its device gone.
  [[nodiscard]] sdk::Status await_netdev(const sdk::Call& call, const Vf& vf,
                                         const std::string& name);
  [[nodiscard]] sdk::Status restore_settings(const sdk::Call& call, const Vf& vf,
                                             const Snapshot& snapshot);
  /// REQUIRES: snapshot.netdev
  [[nodiscard]] sdk::Status restore_netdev(const sdk::Call& call, const Vf& vf,
                                           const Snapshot& snapshot);

  sdk::Host host_;
  Settings settings_;
  std::unique_ptr<Links> links_;
  std::filesystem::path sys_;
};

}  // namespace drasriov::vf_state
