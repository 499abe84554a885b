// SPDX-License-Identifier: Apache-2.0
//
// EventSource: where the watcher hears that devices may have changed: the kernel's uevents for a
// live sysfs (uevents.hpp), inotify for a captured tree (tree_events.hpp). Used by the watcher's
// thread alone once that runs.
#pragma once

namespace drasriov::discovery_sysfs {

/// What was waiting in a source.
struct Drained {
  bool relevant = false;  ///< something that a scan may see
  bool overflow = false;  ///< events were lost: anything may have changed
  int error = 0;          ///< errno: the source is dead and must not be polled again
};

class EventSource {
 public:
  virtual ~EventSource() = default;

  /// Readable when there is something to drain.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  /// Takes what is waiting. Never blocks.
  [[nodiscard]] virtual Drained drain() = 0;
  /// Called before a notice is given: what it leads to must not miss what happens from now on.
  virtual void prepare_notice() {}
};

}  // namespace drasriov::discovery_sysfs
