// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint: the Go driver's `checkpoint.json`, decoded and checked. Pure functions; any thread.
//
// The file is what kubelet's checkpointmanager package writes for the type
//   {"checksum": N, "v1": {"preparedClaimsByPodUID": {<pod UID>: {<claim UID>: [<device>, …]}}}}
// without white space, members in this order. Both known generations of that driver (API group
// sriovnetwork.openshift.io of 2025, sriovnetwork.k8snetworkplumbingwg.io of 2026) write "v1"; the
// later one has more members for each device, which mean nothing for undoing it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/vf_config.hpp"

namespace drasriov::claim {

/// A file larger than this is no checkpoint: 2,048 devices take about 6 MiB.
inline constexpr std::size_t kMaxCheckpointBytes = 64U << 20U;

/// One device as the Go driver prepared it. All names have been checked.
struct CheckpointDevice {
  std::string request;
  std::string pool;
  std::string device;
  std::optional<std::string> share_id;
  std::vector<std::string> cdi_device_ids;
  std::string pci_address;
  VfConfig config;              ///< driver "" = the driver was left as it was
  std::string interface_name;   ///< empty where Multus attaches
  std::string netconf_json;     ///< CNI configuration with deviceID; empty where Multus attaches
  std::string original_driver;  ///< before config.driver was bound; "" = none, or not changed
  std::string edits_json;       ///< CDI containerEdits
};

struct CheckpointClaim {
  ClaimRef claim;
  std::string pod_uid;
  std::vector<CheckpointDevice> devices;  ///< in the order of the allocation, never empty
};

/// A claim that is in the file but cannot be honoured.
struct RefusedClaim {
  ClaimRef claim;  ///< namespace and name are empty when they could not be read
  std::string reason;
};

struct Checkpoint {
  std::vector<CheckpointClaim> claims;
  std::vector<RefusedClaim> refused;
};

/// Errors: DATA_LOSS when it is not what the Go driver wrote (cut short, changed, checksum);
/// UNIMPLEMENTED for a version that is not known, with what to do.
[[nodiscard]] Result<Checkpoint> decode_checkpoint(std::string_view text);

/// The checksum of kubelet's checkpointmanager over the JSON text with "checksum":0.
[[nodiscard]] std::uint32_t checkpoint_checksum(std::string_view text) noexcept;

}  // namespace drasriov::claim
