// SPDX-License-Identifier: Apache-2.0
//
// TreeEvents: changes of a captured sysfs tree by inotify, for tests and for the demo, which add
// and remove devices by hand. (Live sysfs raises no inotify events for devices.) Watched:
// bus/pci/devices, bus/pci/drivers and each driver in it, class/net, and the directory of every
// network function that is no VF: the virtfn links appear there.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <memory>
#include <string>

#include "descriptor.hpp"
#include "event_source.hpp"

namespace drasriov::discovery_sysfs {

class TreeEvents final : public EventSource {
 public:
  /// sys_root: absolute. An error when bus/pci/devices cannot be watched.
  [[nodiscard]] static sdk::Result<std::unique_ptr<TreeEvents>> open(std::string sys_root);

  [[nodiscard]] int descriptor() const noexcept override { return inotify_.get(); }
  [[nodiscard]] Drained drain() override;
  /// Watches the directories that have come since; those of before keep their watch.
  void prepare_notice() override;

 private:
  TreeEvents(std::string sys_root, Descriptor inotify)
      : sys_root_(std::move(sys_root)),
        inotify_(std::move(inotify)) {}

  /// errno, 0 when the directory is watched.
  int watch(const std::string& path);
  void watch_children();

  std::string sys_root_;
  Descriptor inotify_;
};

}  // namespace drasriov::discovery_sysfs
