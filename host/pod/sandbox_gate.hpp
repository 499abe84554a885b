// SPDX-License-Identifier: Apache-2.0
//
// SandboxGate: hears the container runtime through runtime-hooks modules. It knows whether a runtime is connected and has
// told its sandboxes, which claims with a network step wait for, and it lets no pod run without its network: a sandbox or
// container of a pod that needs an interface attached is refused, because this version has no attach step yet. Pods
// without such a device pass at the cost of one lookup. Owned by app/; [any] thread, answers on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::pod {

class SandboxGate final : public module::RuntimeEvents {
 public:
  /// Whether a prepared claim of the pod has a network step. [any]
  using NeedsNetwork = std::function<bool(std::string_view pod_uid)>;

  /// Pods can be judged from now on: the claims' records have been read. Before it, every sandbox and container is refused:
  /// it may be one that must not start.
  void serve(NeedsNetwork needs_network) DRASRIOV_EXCLUDES(mutex_);

  /// Success while a runtime is connected and has told its live sandboxes.
  [[nodiscard]] Status runtime_ready() const DRASRIOV_EXCLUDES(mutex_);

  [[nodiscard]] std::uint64_t submit(module::RuntimeEvent event, Reply reply) override
      DRASRIOV_EXCLUDES(mutex_);
  /// Nothing to do: every event is answered before submit() returns.
  void cancel(std::uint64_t event_id) override;

 private:
  [[nodiscard]] Status judge(const module::RuntimeEvent& event) DRASRIOV_EXCLUDES(mutex_);
  [[nodiscard]] Status admit(const module::Pod& pod) const DRASRIOV_EXCLUDES(mutex_);

  mutable Mutex mutex_;
  std::uint64_t last_event_ DRASRIOV_GUARDED_BY(mutex_) = 0;
  std::set<std::string, std::less<>> synchronised_
      DRASRIOV_GUARDED_BY(mutex_);  ///< module instances
  NeedsNetwork needs_network_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::pod
