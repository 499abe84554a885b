// SPDX-License-Identifier: Apache-2.0
//
// LiveSandboxes: the pod sandboxes that the container runtimes have told of, by id. Owned by SandboxGate; any thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::pod {

class LiveSandboxes {
 public:
  /// The runtime behind the module instance `source` is connected, and these are all its sandboxes.
  void synchronised(const std::string& source, std::vector<module::Sandbox> sandboxes)
      DRASRIOV_EXCLUDES(mutex_);
  /// It is not connected any more. Its sandboxes stay: they run on.
  void disconnected(std::string_view source) DRASRIOV_EXCLUDES(mutex_);
  void started(const std::string& source, const module::Sandbox& sandbox) DRASRIOV_EXCLUDES(mutex_);
  void stopped(std::string_view sandbox_id) DRASRIOV_EXCLUDES(mutex_);

  [[nodiscard]] bool any_synchronised() const DRASRIOV_EXCLUDES(mutex_);
  [[nodiscard]] bool contains(std::string_view sandbox_id) const DRASRIOV_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<module::Sandbox> all() const DRASRIOV_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string source;
    module::Sandbox sandbox;
  };
  mutable Mutex mutex_;
  std::map<std::string, Entry, std::less<>> sandboxes_ DRASRIOV_GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> synchronised_ DRASRIOV_GUARDED_BY(mutex_);  ///< sources
};

}  // namespace drasriov::pod
