// SPDX-License-Identifier: Apache-2.0
//
// Finds the pods that share a claim with a network and came after its prepare: kubelet does not prepare it again for them, so
// no record names them. Internal to pod/.
#pragma once

#include <string>

#include "host/pod/pod_context.hpp"

namespace drasriov::pod {

/// For a claim that a sandbox has left: soon, if it is neither attached nor unprepared by then, the API is asked who may use
/// it. A pod that is new goes into the record, so that its next sandbox or container is attached, and a sandbox that it has
/// already is attached at once. Tried with backoff while the API does not answer. One look-up for a claim at a time. Returns at
/// once. [any]
void look_for_joined(const PodContext& context, const std::string& claim_uid);

}  // namespace drasriov::pod
