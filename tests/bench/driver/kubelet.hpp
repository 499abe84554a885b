// SPDX-License-Identifier: Apache-2.0
//
// Kubelet's side of the driver's sockets, in this process. One connection each; one thread each.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <span>
#include <string>

#include "dra_proto/dra_v1.grpc.pb.h"
#include "driver_process.hpp"

namespace drasriov::bench {

/// A connection that is shared with nobody, and made by the first call.
[[nodiscard]] std::shared_ptr<grpc::Channel> connect(const std::string& socket);

/// Waits for the driver's registration socket and for its answer to GetInfo.
/// Throws std::runtime_error.
void get_info(const Machine& machine);
/// What kubelet says next; the Go driver publishes nothing before. Throws std::runtime_error.
void notify_registered(const Machine& machine);

/// The two DRA calls. Every method throws std::runtime_error on an error of the call or of a claim.
class Kubelet {
 public:
  explicit Kubelet(const std::string& socket);

  /// All claims in one call.
  void prepare(std::span<const BenchClaim> claims);
  void unprepare(std::span<const BenchClaim> claims);
  /// A call that does nothing: the cost of the transport.
  void nothing();

 private:
  std::unique_ptr<k8s::io::kubelet::pkg::apis::dra::v1::DRAPlugin::Stub> stub_;
};

}  // namespace drasriov::bench
