// SPDX-License-Identifier: Apache-2.0
// The smallest server that speaks like the driver: registration over a unix socket, callback API.
// Run by `measure` to learn what gRPC itself costs, by way of linking. argv[1]: path of the socket.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <string>

#include "dra_proto/registration.grpc.pb.h"

namespace {

class Registration final : public pluginregistration::Registration::CallbackService {
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const pluginregistration::InfoRequest* /*request*/,
                                    pluginregistration::PluginInfo* response) override {
    response->set_type("DRAPlugin");
    response->set_name("sriovnetwork.openshift.io");
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: grpc_link_server SOCKET\n", stderr);
    return 2;
  }
  Registration service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + std::string(argv[1]), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
  return 0;
}
