// SPDX-License-Identifier: Apache-2.0
//
// Puts the devices of a pod's claims into its sandbox. Internal to pod/.
#pragma once

#include <functional>
#include <memory>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/module/interfaces.hpp"
#include "host/pod/pod_context.hpp"

namespace drasriov::pod {

/// Who asked for an attach, which decides what a late or failed one leaves.
enum class Occasion {
  kSandboxStart,  ///< the runtime holds the sandbox back: an error takes it down, or refuses its containers
  kContainerStart,  ///< the runtime holds a container back; the sandbox lives on
  kMissed,  ///< nobody waits: the sandbox started while we were away; tried until it is attached or gone
};

/// An attach that somebody waits for, to call it off. [any]
class AttachHandle {
 public:
  virtual ~AttachHandle() = default;
  /// Nobody waits any more: what is being done ends as soon as it can, with an error. [any]
  virtual void cancel() = 0;
};

/// Attaches all claims of the pod that have a network step, one after the other. `reply` is called exactly once, at
/// `answer_by` at the latest: from the caller's thread, a thread of the queue, with success only if every such device is in
/// the sandbox. After an error for kSandboxStart what was begun is taken back, behind the answer. `reply` may be empty for
/// kMissed. REQUIRES: the journal knows a network claim of the pod.
std::weak_ptr<AttachHandle> attach_pod(const PodContext& context, Occasion occasion,
                                       const module::Sandbox& sandbox, Deadline answer_by,
                                       module::RuntimeEvents::Reply reply);

}  // namespace drasriov::pod
