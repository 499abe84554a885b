// SPDX-License-Identifier: Apache-2.0
//
// What the DRA endpoint asks of claims, and what claims tell the rest of the host. Abstract;
// ClaimRunner implements the first, publish/ the second. [any] thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/device/device.hpp"

namespace drasriov::claim {

/// A ResourceClaim as kubelet names it.
struct ClaimRef {
  std::string namespace_;
  std::string name;
  std::string uid;
  [[nodiscard]] std::string to_string() const { return namespace_ + "/" + name; }
  friend bool operator==(const ClaimRef&, const ClaimRef&) = default;
};

/// One device of NodePrepareResources' answer (DRA gRPC v1, message Device).
struct PreparedDevice {
  std::vector<std::string> request_names;  ///< base names, without "/subrequest"
  std::string pool_name;
  std::string device_name;
  std::vector<std::string> cdi_device_ids;
  std::optional<std::string> share_id;
  friend bool operator==(const PreparedDevice&, const PreparedDevice&) = default;
};

/// Prepares and unprepares claims. Both return at once; `done` is called exactly once from a
/// worker, or from the caller's thread when the answer is already known. The error's text is what a
/// user reads in the pod's event.
class ClaimService {
 public:
  virtual ~ClaimService() = default;
  using Prepared = std::function<void(Result<std::vector<PreparedDevice>>)>;
  using Unprepared = std::function<void(Status)>;
  virtual void prepare(ClaimRef claim, Deadline deadline, Prepared done) = 0;
  /// Success for a claim that is not known.
  virtual void unprepare(ClaimRef claim, Deadline deadline, Unprepared done) = 0;
};

/// A device that a claim holds, from the durable intent until the end of Unprepare.
struct HeldDevice {
  ClaimRef claim;
  std::string state;  ///< "Preparing", "Prepared", "Undoing", "Quarantined"
  device::Device
      published;  ///< as it was when the claim took it: what slices show until it is free again
};

/// By device name; no value is null. Immutable snapshot; see ClaimEvents::held_changed. The values
/// are shared between successive snapshots, so that a change costs a node for each held device and
/// copies no attributes.
using HeldDevices = std::map<std::string, std::shared_ptr<const HeldDevice>, std::less<>>;
using HeldSnapshot = std::shared_ptr<const HeldDevices>;

/// One entry of ResourceClaim.status.devices (resource.k8s.io/v1 AllocatedDeviceStatus).
struct DeviceStatus {
  std::string driver;
  std::string pool;
  std::string device;
  std::optional<std::string> share_id;
  std::string
      config_json;  ///< effective VfConfig, goes into `data`; nothing else (no secrets of CNI)
  bool ready = false;
  std::string reason;  ///< CamelCase
  std::string message;
  bool has_network = false;  ///< the plan has a network step: NetworkReady is reported too
  bool network_ready = false;
  std::string interface_name;
  std::vector<std::string> ips;  ///< canonical CIDR
  std::string hardware_address;
  friend bool operator==(const DeviceStatus&, const DeviceStatus&) = default;
};

/// Told off the answer's path. Implementations queue and return; never called under a lock of
/// claim/.
class ClaimEvents {
 public:
  virtual ~ClaimEvents() = default;
  /// All entries of our driver for the claim.
  virtual void status(const ClaimRef& claim, std::vector<DeviceStatus> devices) = 0;
  /// The same of a claim that an earlier process prepared, and perhaps reported.
  virtual void recovered(const ClaimRef& claim, std::vector<DeviceStatus> devices) = 0;
  /// The claim is gone here: nothing more to write about it.
  virtual void forgotten(const ClaimRef& claim) = 0;
  /// A Warning (or Normal) for people, on the claim. `reason` is CamelCase and stable.
  virtual void event(const ClaimRef& claim, bool warning, std::string reason,
                     std::string message) = 0;
  virtual void held_changed(HeldSnapshot held) = 0;
};

}  // namespace drasriov::claim
