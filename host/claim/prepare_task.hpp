// SPDX-License-Identifier: Apache-2.0
//
// Prepares one claim, step by step. Internal to claim/. Runs on the WorkQueue, on one thread at a
// time; where it has to wait, for a token, for a time or for an undo, it returns and a closure
// continues it.
#pragma once

#include "host/claim/runner_context.hpp"

namespace drasriov::claim {

/// Stands in line for the claim at once; `done` is called exactly once, from a thread of the queue
/// (or of the caller when the queue has stopped).
void prepare_claim(RunnerContext& context, ClaimRef claim, Deadline deadline,
                   ClaimService::Prepared done);

}  // namespace drasriov::claim
