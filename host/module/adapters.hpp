// SPDX-License-Identifier: Apache-2.0
//
// The five adapters: a module's capability table behind the interface of
// host/module/interfaces.hpp. Each make_ function checks the mandatory members of the table once.
// Owned by ModuleInstance, whose InstanceCore they borrow; threads as the interfaces say.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/module/instance_core.hpp"
#include "host/module/interfaces.hpp"
#include "host/module/json_schema.hpp"

namespace drasriov::module {

/// `capability` is the table that get_capability() gave for the interface's id.
/// FAILED_PRECONDITION, naming the member, when a mandatory one is missing.
[[nodiscard]] Result<std::unique_ptr<Discovery>> make_discovery(InstanceCore& core,
                                                                const void* capability);
[[nodiscard]] Result<std::unique_ptr<Binding>> make_binding(InstanceCore& core,
                                                            const void* capability,
                                                            std::vector<std::string> claim_fields,
                                                            const JsonSchema& claim_schema);
[[nodiscard]] Result<std::unique_ptr<Netconf>> make_netconf(InstanceCore& core,
                                                            const void* capability);
[[nodiscard]] Result<std::unique_ptr<RuntimeHooks>> make_runtime_hooks(InstanceCore& core,
                                                                       const void* capability);
[[nodiscard]] Result<std::unique_ptr<CdiWriter>> make_cdi_writer(InstanceCore& core,
                                                                 const void* capability);

/// The error for a mandatory member that is null or beyond struct_size.
[[nodiscard]] Error missing_member(const InstanceCore& core, const char* capability,
                                   const char* member);

}  // namespace drasriov::module

/// Returns missing_member() from the enclosing function unless `table` has `member`.
#define DRASRIOV_REQUIRE_MEMBER(core, capability, table, member) \
  if (!DRASRIOV_HAS(table, member)) return missing_member(core, capability, #member)
