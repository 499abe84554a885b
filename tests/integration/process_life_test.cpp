// SPDX-License-Identifier: Apache-2.0
//
// The process: start, stop, two at a time, sockets that kubelet removes, health probes.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

#include "dra_proto/health.grpc.pb.h"
#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

namespace fs = std::filesystem;

TEST(ProcessLife, StopTakesTheSocketsAwayAndLeavesNoTemporaries) {
  Machine machine;
  const auto driver = machine.start_driver();
  driver->signal(SIGTERM);
  EXPECT_EQ(driver->wait(), 0) << driver->errors();
  EXPECT_TRUE(Machine::files(machine.registry()).empty());
  // "modules": where netconf-cni keeps the results of attachments.
  EXPECT_EQ(Machine::files(machine.data()),
            (std::vector<std::string>{"claims", "modules", "owner.lock"}));
}

TEST(ProcessLife, TheHookIsThereWhileADriverRunsOrAClaimIsLeft) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  const fs::path hook = machine.data() / "dra-driver-sriov-hook";
  const auto stop = [](const auto& driver) {
    driver->signal(SIGTERM);
    EXPECT_EQ(driver->wait(), 0) << driver->errors();
  };
  auto driver = machine.start_driver();
  EXPECT_EQ(std::system((hook.native() + " --check").c_str()), 0);
  EXPECT_EQ(machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"], "");
  stop(driver);
  EXPECT_TRUE(fs::exists(hook)) << "a container of the claim may start meanwhile";
  driver = machine.start_driver();
  EXPECT_EQ(machine.kubelet("unprepare", {claim})["claims"][claim.uid]["error"], "");
  stop(driver);
  EXPECT_FALSE(fs::exists(hook));
}

TEST(ProcessLife, ASecondDriverStandsByAndTakesOverAfterAKill) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  const auto first = machine.start_driver();
  const Json answer = machine.kubelet("prepare", {claim})["claims"];
  const auto second = machine.spawn_driver();
  ASSERT_TRUE(
      eventually([&] { return second->errors().find("standing by") != std::string::npos; }));
  EXPECT_NE(second->errors().find("process " + std::to_string(first->pid())), std::string::npos);
  EXPECT_EQ(machine.kubelet("prepare", {claim})["claims"], answer) << "the first serves on";

  first->signal(SIGKILL);
  EXPECT_EQ(first->wait(), 128 + SIGKILL);
  ASSERT_TRUE(eventually([&] { return second->errors().find(" serves ") != std::string::npos; }));
  EXPECT_EQ(machine.kubelet("prepare", {claim})["claims"], answer);
  second->signal(SIGTERM);
  EXPECT_EQ(second->wait(), 0) << second->errors();
  EXPECT_TRUE(Machine::files(machine.registry()).empty()) << "the killed one's sockets too";
}

TEST(ProcessLife, RemovesWhatAKilledDriverLeftInTheClusterFolder) {
  Machine machine;
  const fs::path left = machine.cluster() / ".claim.yaml.AbC123.tmp";
  machine.put(left.filename().native(), "half");
  const auto driver = machine.start_driver();
  EXPECT_FALSE(fs::exists(left));
}

TEST(ProcessLife, WarnsWhenNoModuleFindsDevicesOrWritesCdiSpecs) {
  Machine machine;
  machine.configure("modules: []");
  const auto driver = machine.start_driver();
  const std::string log = driver->errors();
  EXPECT_NE(log.find("no enabled module offers discovery/1: no device is found, none is published "
                     "— hint: enable discovery-sysfs in modules of the configuration"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("no enabled module offers cdi/1: no claim will be prepared — hint: enable cdi "
                     "in modules of the configuration"),
            std::string::npos)
      << log;
}

TEST(ProcessLife, StandingByEndsWithSigterm) {
  Machine machine;
  const auto first = machine.start_driver();
  const auto second = machine.spawn_driver();
  ASSERT_TRUE(
      eventually([&] { return second->errors().find("standing by") != std::string::npos; }));
  second->signal(SIGTERM);
  EXPECT_EQ(second->wait(), 0) << second->errors();
  EXPECT_FALSE(machine.kubelet("register", {}).is_discarded());
}

TEST(ProcessLife, RegistersAgainWhenKubeletClearsItsDirectories) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  const auto driver = machine.start_driver();
  ASSERT_EQ(machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"], "");
  fs::remove(machine.registration_socket());
  fs::remove(machine.dra_socket());
  ASSERT_TRUE(eventually([&] {
    return fs::exists(machine.registration_socket()) && fs::exists(machine.dra_socket());
  }));
  EXPECT_EQ(machine.kubelet("unprepare", {claim})["claims"][claim.uid]["error"], "");
}

TEST(ProcessLife, AnswersProbes) {
  Machine machine;
  machine.configure("healthcheckPort: 0");
  const auto driver = machine.start_driver();
  constexpr std::string_view kLine = "gRPC health service on 127.0.0.1, port ";
  ASSERT_TRUE(eventually([&] { return driver->errors().find(" serves ") != std::string::npos; }));
  const std::string log = driver->errors();
  const auto at = log.find(kLine);
  ASSERT_NE(at, std::string::npos) << log;
  const std::string port = log.substr(at + kLine.size(), log.find('\n', at) - at - kLine.size());
  const auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel("127.0.0.1:" + port, grpc::InsecureChannelCredentials()));
  const auto serving = [&](const char* service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    return stub->Check(&context, request, &response).ok() &&
           response.status() == grpc::health::v1::HealthCheckResponse::SERVING;
  };
  EXPECT_TRUE(serving("liveness"));
  EXPECT_TRUE(serving(""));
  EXPECT_TRUE(eventually([&] { return serving("readiness"); }));
}

TEST(ProcessLife, WithoutItsNodeObjectItSaysWhatToCreate) {
  Machine machine;
  std::filesystem::remove(machine.cluster() / "node.yaml");
  const auto driver = machine.start_driver();
  const std::string message =
      "owner of the slices: get nodes worker-1: not found — hint: the driver needs the Node object "
      "of this machine: kubelet makes it when it registers, in a cluster folder it is a YAML file; "
      "or correct nodeName (NODE_NAME, --node-name)";
  EXPECT_TRUE(eventually([&] { return driver->errors().find(message) != std::string::npos; }))
      << driver->errors();
  machine.put("node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: worker-1, uid: u-1}\n");
  EXPECT_TRUE(eventually([&] { return machine.published_names().size() == 8; }))
      << "and publishes as soon as it is there";
}

TEST(ProcessLife, WritesItsStateWhenAsked) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  const auto driver = machine.start_driver();
  ASSERT_EQ(machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"], "");
  driver->signal(SIGUSR1);
  ASSERT_TRUE(eventually(
      [&] { return driver->errors().find("drasriov_devices_found 10") != std::string::npos; }));
  const std::string log = driver->errors();
  EXPECT_NE(log.find("builtin:cdi 0.1.0 is started module=\"cdi\""), std::string::npos);
  EXPECT_NE(log.find("device is held: Prepared device=\"0000-11-10-0\" claim=\"ns/one\""),
            std::string::npos);
}

}  // namespace
}  // namespace drasriov::integration
