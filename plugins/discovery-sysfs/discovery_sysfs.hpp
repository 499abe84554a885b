// SPDX-License-Identifier: Apache-2.0
//
// DiscoverySysfs: the module, capability discovery/1. Thin: it reads the configuration, wires the
// plain classes of this folder and speaks to the host. The host's control thread calls it; a
// watcher's thread and, on a live sysfs, one that waits for devlink live between start() and
// stop().
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/discovery.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eswitch.hpp"
#include "pci_scan.hpp"
#include "settings.hpp"
#include "watcher.hpp"

namespace drasriov::discovery_sysfs {

class DiscoverySysfs {
 public:
  static constexpr std::string_view config_schema = kConfigSchema;

  [[nodiscard]] static sdk::Result<std::unique_ptr<DiscoverySysfs>> create(
      sdk::Host host, std::string_view instance, const sdk::Config& config);

  /// Begins to listen, so that nothing is missed between the first scan and watch(). A machine that
  /// cannot be watched is no error here: watch() says so.
  [[nodiscard]] sdk::Status start();
  void stop();

  [[nodiscard]] sdk::Status scan(const sdk::Call& call, sdk::DeviceSink& sink);
  [[nodiscard]] sdk::Status watch(sdk::ChangeNotifier changed);

 private:
  DiscoverySysfs(sdk::Host host, Settings settings, std::string sys_root)
      : host_(host),
        settings_(settings),
        sys_root_(std::move(sys_root)) {}

  [[nodiscard]] sdk::Result<std::unique_ptr<EventSource>> open_source() const;
  /// The mode to publish for each PF of the snapshot, in order; what is doubtful becomes a problem.
  [[nodiscard]] std::vector<std::optional<EswitchMode>> eswitch_modes(const sdk::Call& call,
                                                                      const Snapshot& snapshot,
                                                                      sdk::DeviceSink& sink);

  sdk::Host host_;
  Settings settings_;
  std::string sys_root_;
  std::optional<sdk::Error> watch_error_;  // why there is no watcher
  std::unique_ptr<Watcher> watcher_;       // before eswitch_, whose thread pokes it
  std::unique_ptr<EswitchModes> eswitch_;  // null for a captured tree
};

}  // namespace drasriov::discovery_sysfs
