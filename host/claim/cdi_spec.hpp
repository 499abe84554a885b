// SPDX-License-Identifier: Apache-2.0
//
// The CDI documents of a claim and of a pod: what a container gets (docs: environment variables,
// device nodes). Pure functions of values; the same input gives the same bytes, on which the cdi
// module's "nothing to write" rests. Any thread.
//
// Two documents, because a runtime replaces an environment variable of the same name when it
// applies a later device:
//   claim  <claim uid>: one device "<claim uid>-<device>" for each prepared VF
//   pod    <pod uid>:   one device "<pod uid>" with the list of all PCI addresses over the pod's
//   claims
// kubelet asks once per claim and hands every consumer all ids, so a claim that is not reserved for
// exactly one pod has no pod document: the list, over that claim, is a further device "<claim uid>"
// of the claim's document.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::claim {

struct CdiDeviceInput {
  std::string device_name;          ///< DNS label, "0000-08-00-2"
  std::string pci_address;          ///< "0000:08:00.2"
  std::string net_attach_def_name;  ///< as in the effective VfConfig, may be empty
  /// CDI containerEdits of the binding modules, in call order.
  std::vector<std::string> edits_json;
};

/// What the runtime runs, once for each container that is given a device of the claim, before it starts.
struct CdiHookInput {
  std::string path;            ///< absolute
  std::string claim;           ///< namespace/name
  std::string data_directory;  ///< the driver's
};

struct CdiClaimInput {
  std::string claim_uid;
  std::optional<std::string> pod_uid;   ///< set when the claim is reserved for exactly one pod
  std::vector<CdiDeviceInput> devices;  ///< in the order of the allocation
  std::optional<CdiHookInput> hook;     ///< of a claim with a network step
};

/// "<driver name>/vf": vendor and class of every device of this driver.
[[nodiscard]] std::string cdi_kind(std::string_view driver_name);

/// What NodePrepareResources answers for one device: its own qualified name, then that of the list.
[[nodiscard]] std::vector<std::string> cdi_device_ids(std::string_view driver_name,
                                                      const CdiClaimInput& claim,
                                                      std::string_view device_name);

/// The claim's document as JSON, with the lowest cdiVersion that its contents allow (older runtimes
/// refuse a whole file of a newer version). Edits of several modules are merged: equal entries
/// once, in call order. Errors: INVALID_ARGUMENT for edits that are not a CDI containerEdits
/// object, names that are no names, no device, a path that is not UTF-8; FAILED_PRECONDITION when two modules give one
/// variable, node or mount different contents.
[[nodiscard]] Result<std::string> claim_spec(std::string_view driver_name,
                                             const CdiClaimInput& claim);

/// The pod's document over all claims that are reserved for this pod alone, ordered by claim UID
/// whatever the order given. Errors: INVALID_ARGUMENT for no claim, or one that is not reserved for
/// exactly this pod.
[[nodiscard]] Result<std::string> pod_spec(std::string_view driver_name, std::string_view pod_uid,
                                           const std::vector<CdiClaimInput>& claims_of_the_pod);

}  // namespace drasriov::claim
