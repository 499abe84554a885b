// SPDX-License-Identifier: Apache-2.0
//
// The DRA services of kubelet (k8s.io/kubelet/pkg/apis/dra, v1 and v1beta1), one template for both:
// the messages differ only in share_id. Every claim of a call is handed to ClaimService at once and
// answered by itself; the call ends with the last of them. A fault of a claim is in its answer's
// `error`, never a transport error: kubelet would blame the others too. gRPC threads and claim
// workers.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "dra_proto/dra_v1.grpc.pb.h"
#include "dra_proto/dra_v1beta1.grpc.pb.h"
#include "host/claim/claim_service.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::dra {

/// Kubelet waits 45 s for a call; what we do ends before it, so that the answer still arrives.
inline constexpr std::chrono::seconds kCallBudget{40};

/// The package of one API version.
struct ApiV1 {
  using Service = k8s::io::kubelet::pkg::apis::dra::v1::DRAPlugin::CallbackService;
  using PrepareRequest = k8s::io::kubelet::pkg::apis::dra::v1::NodePrepareResourcesRequest;
  using PrepareResponse = k8s::io::kubelet::pkg::apis::dra::v1::NodePrepareResourcesResponse;
  using UnprepareRequest = k8s::io::kubelet::pkg::apis::dra::v1::NodeUnprepareResourcesRequest;
  using UnprepareResponse = k8s::io::kubelet::pkg::apis::dra::v1::NodeUnprepareResourcesResponse;
  static constexpr bool kHasShareId = true;
};

struct ApiV1Beta1 {
  using Service = k8s::io::kubelet::pkg::apis::dra::v1beta1::DRAPlugin::CallbackService;
  using PrepareRequest = k8s::io::kubelet::pkg::apis::dra::v1beta1::NodePrepareResourcesRequest;
  using PrepareResponse = k8s::io::kubelet::pkg::apis::dra::v1beta1::NodePrepareResourcesResponse;
  using UnprepareRequest = k8s::io::kubelet::pkg::apis::dra::v1beta1::NodeUnprepareResourcesRequest;
  using UnprepareResponse =
      k8s::io::kubelet::pkg::apis::dra::v1beta1::NodeUnprepareResourcesResponse;
  static constexpr bool kHasShareId = false;
};

template <typename Api>
class DraService final : public Api::Service {
 public:
  /// Both outlive the server's shutdown.
  DraService(claim::ClaimService& claims, telemetry::Log& log) : claims_(claims), log_(log) {}

  grpc::ServerUnaryReactor* NodePrepareResources(grpc::CallbackServerContext* context,
                                                 const typename Api::PrepareRequest* request,
                                                 typename Api::PrepareResponse* response) override;
  grpc::ServerUnaryReactor* NodeUnprepareResources(
      grpc::CallbackServerContext* context, const typename Api::UnprepareRequest* request,
      typename Api::UnprepareResponse* response) override;

 private:
  claim::ClaimService& claims_;
  telemetry::Log& log_;
};

extern template class DraService<ApiV1>;
extern template class DraService<ApiV1Beta1>;

}  // namespace drasriov::dra
