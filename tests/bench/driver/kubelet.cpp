// SPDX-License-Identifier: Apache-2.0
#include "kubelet.hpp"

#include <grpcpp/grpcpp.h>

#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "dra_proto/registration.grpc.pb.h"

namespace drasriov::bench {
namespace {

namespace dra = k8s::io::kubelet::pkg::apis::dra::v1;

template <typename Request>
Request request_for(std::span<const BenchClaim> claims) {
  Request request;
  for (const BenchClaim& claim : claims) {
    auto& entry = *request.add_claims();
    entry.set_namespace_(claim.namespace_);
    entry.set_name(claim.name);
    entry.set_uid(claim.uid);
  }
  return request;
}

void check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error("rpc: " + status.error_message());
}

template <typename Response>
const auto& answer_of(const Response& response, const BenchClaim& claim, const char* call) {
  const auto entry = response.claims().find(claim.uid);
  if (entry == response.claims().end())
    throw std::runtime_error(std::string(call) + " " + claim.name + ": no answer");
  if (!entry->second.error().empty())
    throw std::runtime_error(std::string(call) + " " + claim.name + ": " + entry->second.error());
  return entry->second;
}

}  // namespace

std::shared_ptr<grpc::Channel> connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

void get_info(const Machine& machine) {
  const std::string socket = machine.registration_socket();
  const auto stub = pluginregistration::Registration::NewStub(connect(socket));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (::access(socket.c_str(), F_OK) != 0) {
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("timed out waiting for " + socket);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  pluginregistration::PluginInfo info;
  check(stub->GetInfo(&context, {}, &info));
  if (info.endpoint() != machine.dra_socket())
    throw std::runtime_error("GetInfo names " + info.endpoint());
}

void notify_registered(const Machine& machine) {
  const auto stub =
      pluginregistration::Registration::NewStub(connect(machine.registration_socket()));
  grpc::ClientContext context;
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(true);
  pluginregistration::RegistrationStatusResponse response;
  check(stub->NotifyRegistrationStatus(&context, status, &response));
}

Kubelet::Kubelet(const std::string& socket) : stub_(dra::DRAPlugin::NewStub(connect(socket))) {}

void Kubelet::prepare(std::span<const BenchClaim> claims) {
  grpc::ClientContext context;
  dra::NodePrepareResourcesResponse response;
  check(stub_->NodePrepareResources(&context, request_for<dra::NodePrepareResourcesRequest>(claims),
                                    &response));
  for (const BenchClaim& claim : claims) {
    if (answer_of(response, claim, "prepare").devices_size() != 1)
      throw std::runtime_error("prepare " + claim.name + ": not one device");
  }
}

void Kubelet::unprepare(std::span<const BenchClaim> claims) {
  grpc::ClientContext context;
  dra::NodeUnprepareResourcesResponse response;
  check(stub_->NodeUnprepareResources(
      &context, request_for<dra::NodeUnprepareResourcesRequest>(claims), &response));
  for (const BenchClaim& claim : claims) (void)answer_of(response, claim, "unprepare");
}

void Kubelet::nothing() {
  grpc::ClientContext context;
  dra::NodePrepareResourcesResponse response;
  check(stub_->NodePrepareResources(&context, {}, &response));
}

}  // namespace drasriov::bench
