// SPDX-License-Identifier: Apache-2.0
//
// Puts a claim's devices back and forgets the claim: the second half of an unprepare, of a failed
// prepare and of recovery. Internal to claim/. Runs on the WorkQueue.
#pragma once

#include <functional>
#include <string>

#include "host/claim/runner_context.hpp"

namespace drasriov::claim {

/// Undoes `record`: binding modules in reverse, CDI documents, then the record itself. `done` is
/// called once, with success when nothing of the claim is left. Otherwise the record stays as
/// Undoing with the reason, its devices stay blocked, an event tells, and the runner comes again by
/// itself. The steps that `record` marks as undone are left out: a failed prepare so leaves out
/// what it never began. REQUIRES: the tokens of the claim and of the record's devices are held
/// until `done` returns.
void undo(RunnerContext& context, Record record, Deadline deadline,
          std::function<void(Status)> done);

/// Undoes the claim on the WorkQueue without anybody waiting: takes the tokens itself, does nothing
/// when the record is not Undoing or Preparing any more. `done` (may be empty) is called once after
/// the first attempt.
void undo_in_background(RunnerContext& context, const std::string& uid, std::function<void()> done);

/// Unprepares one claim for kubelet.
void unprepare_claim(RunnerContext& context, const ClaimRef& claim, Deadline deadline,
                     ClaimService::Unprepared done);

}  // namespace drasriov::claim
