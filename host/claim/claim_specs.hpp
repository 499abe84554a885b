// SPDX-License-Identifier: Apache-2.0
//
// Keeps the CDI documents of a claim and of its pod in step with the journal. Internal to claim/.
// [worker]: the caller holds the claim's token and, when the record has a pod_uid, the pod's.
#pragma once

#include <string>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/claim/cdi_spec.hpp"
#include "host/claim/record.hpp"
#include "host/claim/runner_context.hpp"

namespace drasriov::claim {

/// What the documents of the record say, but for the hook, which the ids of its devices do not depend on.
[[nodiscard]] CdiClaimInput cdi_input(const Record& record);

/// Writes the claim's document, and the pod's over this claim and the pod's prepared ones.
[[nodiscard]] Status write_specs(RunnerContext& context, const module::Call& call,
                                 const Record& record);

/// Removes the claim's document, and the claim from the pod's, which goes with its last claim.
[[nodiscard]] Status remove_specs(RunnerContext& context, const module::Call& call,
                                  const Record& record);

}  // namespace drasriov::claim
