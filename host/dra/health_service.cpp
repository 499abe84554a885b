// SPDX-License-Identifier: Apache-2.0
#include "host/dra/health_service.hpp"

#include <atomic>
#include <chrono>
#include <utility>

namespace drasriov::dra {
namespace {

using grpc::health::v1::HealthCheckResponse;
namespace api = k8s::io::kubelet::pkg::apis::dra::v1;

constexpr std::chrono::seconds kProbeBudget{1};

/// A connection of its own, not one that may have been open since before somebody removed the socket.
std::shared_ptr<grpc::Channel> connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

/// The two calls of one liveness check; answers the reactor when both are back and deletes itself.
class HealthService::Probe {
 public:
  static void run(HealthService& service, grpc::ServerUnaryReactor* reactor,
                  HealthCheckResponse* response) {
    // NOLINTNEXTLINE: ends in finish_one(), after the second callback
    auto* probe = new Probe(service, reactor, response);
    const auto deadline = std::chrono::system_clock::now() + kProbeBudget;
    probe->registration_context_.set_deadline(deadline);
    probe->dra_context_.set_deadline(deadline);
    probe->registration_->async()->GetInfo(
        &probe->registration_context_, &probe->info_request_, &probe->info_,
        [probe](const grpc::Status& status) { probe->finish_one(status); });
    probe->dra_->async()->NodePrepareResources(
        &probe->dra_context_, &probe->prepare_request_, &probe->prepare_,
        [probe](const grpc::Status& status) { probe->finish_one(status); });
  }

 private:
  Probe(const HealthService& service, grpc::ServerUnaryReactor* reactor,
        HealthCheckResponse* response)
      : reactor_(reactor),
        response_(response),
        registration_(
            pluginregistration::Registration::NewStub(connect(service.registration_socket_))),
        dra_(api::DRAPlugin::NewStub(connect(service.dra_socket_))) {}

  void finish_one(const grpc::Status& status) {
    if (!status.ok()) serving_ = false;
    if (--open_ != 0) return;
    response_->set_status(serving_ ? HealthCheckResponse::SERVING
                                   : HealthCheckResponse::NOT_SERVING);
    reactor_->Finish(grpc::Status::OK);
    delete this;  // NOLINT: see run()
  }

  grpc::ServerUnaryReactor* const reactor_;
  HealthCheckResponse* const response_;
  const std::unique_ptr<pluginregistration::Registration::Stub> registration_;
  const std::unique_ptr<api::DRAPlugin::Stub> dra_;
  std::atomic<int> open_{2};
  std::atomic<bool> serving_{true};
  grpc::ClientContext registration_context_;
  grpc::ClientContext dra_context_;
  pluginregistration::InfoRequest info_request_;
  pluginregistration::PluginInfo info_;
  api::NodePrepareResourcesRequest prepare_request_;
  api::NodePrepareResourcesResponse prepare_;
};

HealthService::HealthService(std::string registration_socket, std::string dra_socket,
                             std::function<bool()> ready)
    : registration_socket_(std::move(registration_socket)),
      dra_socket_(std::move(dra_socket)),
      ready_(std::move(ready)) {}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const grpc::health::v1::HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const std::string& service = request->service();
  if (service.empty() || service == "liveness") {
    Probe::run(*this, reactor, response);
  } else if (service == "readiness") {
    response->set_status(ready_() ? HealthCheckResponse::SERVING
                                  : HealthCheckResponse::NOT_SERVING);
    reactor->Finish(grpc::Status::OK);
  } else {
    reactor->Finish(grpc::Status(grpc::StatusCode::NOT_FOUND,
                                 "unknown service: ask for \"\", \"liveness\" or \"readiness\""));
  }
  return reactor;
}

Result<std::unique_ptr<HealthServer>> HealthServer::start(const std::string& address, int port,
                                                          std::unique_ptr<HealthService> service) {
  const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  const std::string target = host + ":" + std::to_string(port);
  grpc::ServerBuilder builder;
  // Two drivers sharing a port by SO_REUSEPORT would answer each other's probes.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int bound = 0;
  builder.AddListeningPort(target, grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(service.get());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || bound == 0) {
    return Error(
        Code::kUnavailable, "health service: cannot listen on " + target,
        "another program has the port: set healthcheck-port to a free one, 0 (any) or -1 (off)");
  }
  return std::unique_ptr<HealthServer>(
      new HealthServer(std::move(service), std::move(server), bound));
}

HealthServer::HealthServer(std::unique_ptr<HealthService> service,
                           std::unique_ptr<grpc::Server> server, int port)
    : service_(std::move(service)),
      server_(std::move(server)),
      port_(port) {}

HealthServer::~HealthServer() {
  server_->Shutdown(std::chrono::system_clock::now() + kProbeBudget);
  server_->Wait();
}

}  // namespace drasriov::dra
