// SPDX-License-Identifier: Apache-2.0
//
// ClaimObject: what this driver reads of a ResourceClaim (resource.k8s.io/v1), decoded and checked.
// Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/vf_config.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

/// One of status.allocation.devices.results.
struct AllocatedDevice {
  std::string request;  ///< "main" or "main/sub"
  std::string pool;
  std::string device;
  bool admin_access = false;
  std::optional<std::string> share_id;
  friend bool operator==(const AllocatedDevice&, const AllocatedDevice&) = default;
};

/// One of status.allocation.devices.config.
struct ConfigEntry {
  std::vector<std::string> requests;  ///< empty = all
  VfConfigPatch patch;
};

struct ClaimObject {
  ClaimRef ref;
  std::vector<AllocatedDevice>
      devices;  ///< of this driver, in the order of the allocation, never empty
  std::vector<module::Consumer> consumers;  ///< status.reservedFor
  [[nodiscard]] std::optional<std::string> pod_uid()
      const;  ///< set when exactly one pod reserves the claim
};

/// Names that come from kubelet: checked before they are used in a request or a path.
[[nodiscard]] Status check_claim_ref(const ClaimRef& ref);

/// The part before "/": requests of the gRPC answer and of `config[].requests` name it.
[[nodiscard]] std::string_view base_request(std::string_view request);

/// Decodes the claim that the API returned for `ref`, without its configuration: what a prepared
/// claim is compared by. Errors: NOT_FOUND for another UID; FAILED_PRECONDITION when it is not
/// allocated or holds no device of this driver; INVALID_ARGUMENT with the path of a malformed
/// field.
[[nodiscard]] Result<ClaimObject> decode_claim(const nlohmann::json& object, const ClaimRef& ref,
                                               std::string_view driver_name);

/// The entries of this driver in order of precedence, a later one wins: class entries come before
/// claim entries whatever the order in the object. The scheduler repeats a claim entry once for
/// each request that it names, which merging absorbs. Errors: INVALID_ARGUMENT with the path of the
/// field, see decode_vf_config().
[[nodiscard]] Result<std::vector<ConfigEntry>> decode_configs(const nlohmann::json& object,
                                                              std::string_view driver_name,
                                                              const ModuleFields& module_fields);

}  // namespace drasriov::claim
