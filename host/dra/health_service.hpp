// SPDX-License-Identifier: Apache-2.0
//
// grpc.health.v1.Health on a TCP port, for kubelet's probes:
//   "" and "liveness"  both sockets answer: GetInfo on the registration socket and an empty
//   NodePrepareResources on the
//                      DRA socket, by a real client, within a second
//   "readiness"        modules started and slices published once (the host says so)
//   anything else      NOT_FOUND
// Stopped and started independently of kubelet's sockets. gRPC threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "dra_proto/dra_v1.grpc.pb.h"
#include "dra_proto/health.grpc.pb.h"
#include "dra_proto/registration.grpc.pb.h"
#include "host/base/result.hpp"

namespace drasriov::dra {

class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  /// `ready` [note].
  HealthService(std::string registration_socket, std::string dra_socket,
                std::function<bool()> ready);

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;

 private:
  class Probe;

  const std::string registration_socket_;
  const std::string dra_socket_;
  const std::function<bool()> ready_;
};

/// The server of it.
class HealthServer {
 public:
  /// `port` 0 = any free one. UNAVAILABLE when it cannot be bound.
  [[nodiscard]] static Result<std::unique_ptr<HealthServer>> start(
      const std::string& address, int port, std::unique_ptr<HealthService> service);
  ~HealthServer();

  [[nodiscard]] int port() const noexcept { return port_; }

 private:
  HealthServer(std::unique_ptr<HealthService> service, std::unique_ptr<grpc::Server> server,
               int port);

  std::unique_ptr<HealthService> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_;
};

}  // namespace drasriov::dra
