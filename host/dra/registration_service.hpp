// SPDX-License-Identifier: Apache-2.0
//
// The registration service that kubelet calls on the registration socket
// (pluginregistration.Registration). GetInfo answers from a message built once: no lock, no
// allocation beyond gRPC's own. gRPC threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "dra_proto/registration.grpc.pb.h"

namespace drasriov::dra {

class RegistrationService final : public pluginregistration::Registration::CallbackService {
 public:
  /// `result` [note] hears what kubelet decided: whether it took us, and its error.
  using OnResult = std::function<void(bool registered, const std::string& error)>;

  RegistrationService(const std::string& driver_name, const std::string& dra_socket,
                      OnResult result);

  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const pluginregistration::InfoRequest* request,
                                    pluginregistration::PluginInfo* response) override;

  /// Always OK: a kubelet of 1.34 never tries again after an error (kubelet's plugin manager).
  grpc::ServerUnaryReactor* NotifyRegistrationStatus(
      grpc::CallbackServerContext* context, const pluginregistration::RegistrationStatus* request,
      pluginregistration::RegistrationStatusResponse* response) override;

 private:
  pluginregistration::PluginInfo info_;
  OnResult result_;
};

}  // namespace drasriov::dra
