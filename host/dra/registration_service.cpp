// SPDX-License-Identifier: Apache-2.0
#include "host/dra/registration_service.hpp"

namespace drasriov::dra {
namespace {

grpc::ServerUnaryReactor* finish_ok(grpc::CallbackServerContext* context) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace

RegistrationService::RegistrationService(const std::string& driver_name,
                                         const std::string& dra_socket, OnResult result)
    : result_(std::move(result)) {
  info_.set_type("DRAPlugin");
  info_.set_name(driver_name);
  info_.set_endpoint(dra_socket);
  // Kubelet takes the first that it knows; the names are "<Go package>.<service>", not protobuf's.
  for (const char* service : {"v1.DRAPlugin", "v1beta1.DRAPlugin", "v1alpha1.DRAResourceHealth"}) {
    info_.add_supported_versions(service);
  }
}

grpc::ServerUnaryReactor* RegistrationService::GetInfo(
    grpc::CallbackServerContext* context, const pluginregistration::InfoRequest* /*request*/,
    pluginregistration::PluginInfo* response) {
  *response = info_;
  return finish_ok(context);
}

grpc::ServerUnaryReactor* RegistrationService::NotifyRegistrationStatus(
    grpc::CallbackServerContext* context, const pluginregistration::RegistrationStatus* request,
    pluginregistration::RegistrationStatusResponse* /*response*/) {
  result_(request->plugin_registered(), request->error());
  return finish_ok(context);
}

}  // namespace drasriov::dra
