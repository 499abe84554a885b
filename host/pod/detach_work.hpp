// SPDX-License-Identifier: Apache-2.0
//
// Takes a claim's devices out of a sandbox. Internal to pod/.
#pragma once

#include <functional>
#include <string>

#include "host/base/result.hpp"
#include "host/pod/pod_context.hpp"

namespace drasriov::pod {

/// Asked with the claim's tokens held: whether the record is to be detached.
using Wanted = std::function<bool(const claim::Record&)>;

/// Detaches the claim if it has attachments and `wanted` says so. What cannot be taken back is tried again with backoff
/// until it is, or until an unprepare does it. `done` (may be empty) is called once, after the first attempt, from a thread
/// of the queue or, when the driver is stopping, from the caller's.
void detach_claim(const PodContext& context, const std::string& claim_uid, Wanted wanted,
                  std::function<void(const Status&)> done);

/// For work that could not take back what it began: the same, later.
void detach_later(const PodContext& context, const std::string& claim_uid);

/// Whether something of the record was on its way in or out when nobody worked on it any more.
[[nodiscard]] bool is_unfinished(const claim::Record& record);

}  // namespace drasriov::pod
