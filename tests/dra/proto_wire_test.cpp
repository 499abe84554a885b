// SPDX-License-Identifier: Apache-2.0
// The bytes that a real kubelet sends and expects: our .proto files are written by hand, so a wrong
// field number would build and fail only in a cluster.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "dra_proto/dra_health.grpc.pb.h"
#include "dra_proto/dra_v1.grpc.pb.h"
#include "dra_proto/dra_v1beta1.grpc.pb.h"
#include "dra_proto/health.grpc.pb.h"
#include "dra_proto/registration.grpc.pb.h"

namespace {

namespace v1 = k8s::io::kubelet::pkg::apis::dra::v1;
namespace v1beta1 = k8s::io::kubelet::pkg::apis::dra::v1beta1;

using std::string_view_literals::operator""sv;

// Both directions: what we write is `wire`, and reading `wire` gives what we wrote.
template <typename Message>
void expect_wire(const Message& message, std::string_view wire) {
  EXPECT_EQ(message.SerializeAsString(), wire);
  Message read;
  ASSERT_TRUE(read.ParseFromArray(wire.data(), static_cast<int>(wire.size())));
  EXPECT_EQ(read.SerializeAsString(), wire);
}

TEST(RegistrationWire, PluginInfo) {
  pluginregistration::PluginInfo info;
  info.set_type("DRAPlugin");
  info.set_name("d.example.com");
  info.set_endpoint("/tmp/a.sock");
  info.add_supported_versions("v1.DRAPlugin");
  expect_wire(info,
              "\x0a\x09"
              "DRAPlugin"
              "\x12\x0d"
              "d.example.com"
              "\x1a\x0b"
              "/tmp/a.sock"
              "\x22\x0c"
              "v1.DRAPlugin"sv);
}

TEST(RegistrationWire, StatusRegistered) {
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(true);
  expect_wire(status, "\x08\x01"sv);
}

TEST(RegistrationWire, StatusRefused) {
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(false);
  status.set_error("x");
  expect_wire(status, "\x12\x01x"sv);
}

template <typename Request>
void expect_claims_request() {
  Request request;
  auto& claim = *request.add_claims();
  claim.set_namespace_("ns");
  claim.set_uid("u1");
  claim.set_name("c1");
  expect_wire(request, "\x0a\x0c\x0a\x02ns\x12\x02u1\x1a\x02\x63\x31"sv);
}

TEST(DraWire, ClaimsOfEveryRequest) {
  expect_claims_request<v1::NodePrepareResourcesRequest>();
  expect_claims_request<v1::NodeUnprepareResourcesRequest>();
  expect_claims_request<v1beta1::NodePrepareResourcesRequest>();
  expect_claims_request<v1beta1::NodeUnprepareResourcesRequest>();
}

template <typename Response>
Response prepared() {
  Response response;
  auto& device = *(*response.mutable_claims())["u1"].add_devices();
  device.add_request_names("req");
  device.set_pool_name("p");
  device.set_device_name("vf");
  return response;
}

constexpr auto kPrepared = "\x0a\x14\x0a\x02u1\x12\x0e\x0a\x0c\x0a\x03req\x12\x01p\x1a\x02vf"sv;

TEST(DraWire, Prepared) {
  expect_wire(prepared<v1::NodePrepareResourcesResponse>(), kPrepared);
  expect_wire(prepared<v1beta1::NodePrepareResourcesResponse>(), kPrepared);
}

TEST(DraWire, CdiIds) {
  v1::Device device;
  device.add_cdi_device_ids("a/b=c");
  device.add_cdi_device_ids("d");
  expect_wire(device, "\x22\x05\x61/b=c\x22\x01\x64"sv);
}

// An absent share_id and an empty one differ; a kubelet of 1.34 must see neither.
TEST(DraWire, ShareIdIsOptional) {
  v1::Device device;
  EXPECT_FALSE(device.has_share_id());
  expect_wire(device, ""sv);
  device.set_share_id("");
  expect_wire(device, "\x2a\x00"sv);
  device.set_share_id("s");
  expect_wire(device, "\x2a\x01s"sv);

  v1beta1::Device old;
  ASSERT_TRUE(old.ParseFromString(device.SerializeAsString()));
  EXPECT_TRUE(old.request_names().empty());
  EXPECT_TRUE(old.cdi_device_ids().empty());
}

TEST(DraWire, ErrorsOfClaims) {
  v1::NodePrepareResourcesResponse prepare;
  (*prepare.mutable_claims())["u1"].set_error("no");
  expect_wire(prepare, "\x0a\x0a\x0a\x02u1\x12\x04\x12\x02no"sv);

  v1::NodeUnprepareResourcesResponse unprepare;
  (*unprepare.mutable_claims())["u1"].set_error("no");
  expect_wire(unprepare, "\x0a\x0a\x0a\x02u1\x12\x04\x0a\x02no"sv);
  (*unprepare.mutable_claims())["u1"].clear_error();
  expect_wire(unprepare, "\x0a\x06\x0a\x02u1\x12\x00"sv);
}

TEST(DraHealthWire, Devices) {
  v1alpha1::NodeWatchResourcesResponse response;
  auto& entry = *response.add_devices();
  entry.mutable_device()->set_pool_name("p");
  entry.mutable_device()->set_device_name("vf");
  entry.set_health(v1alpha1::UNHEALTHY);
  entry.set_last_updated_time(300);
  entry.set_health_check_timeout_seconds(90);
  entry.set_message("m");
  expect_wire(response,
              "\x0a\x13\x0a\x07\x0a\x01p\x12\x02vf\x10\x02\x18\xac\x02\x20\x5a\x2a\x01m"sv);
  EXPECT_EQ(v1alpha1::UNKNOWN, 0);
  EXPECT_EQ(v1alpha1::HEALTHY, 1);
}

TEST(HealthWire, CheckAndStatus) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("liveness");
  expect_wire(request,
              "\x0a\x08"
              "liveness"sv);

  using Response = grpc::health::v1::HealthCheckResponse;
  Response response;
  response.set_status(Response::SERVING);
  expect_wire(response, "\x08\x01"sv);
  response.set_status(Response::NOT_SERVING);
  expect_wire(response, "\x08\x02"sv);
  response.set_status(Response::SERVICE_UNKNOWN);
  expect_wire(response, "\x08\x03"sv);
}

// Kubelet calls these paths.
TEST(ServiceNames, AreThoseOfKubelet) {
  EXPECT_STREQ(pluginregistration::Registration::service_full_name(),
               "pluginregistration.Registration");
  EXPECT_STREQ(v1::DRAPlugin::service_full_name(), "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin");
  EXPECT_STREQ(v1beta1::DRAPlugin::service_full_name(),
               "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin");
  EXPECT_STREQ(v1alpha1::DRAResourceHealth::service_full_name(), "v1alpha1.DRAResourceHealth");
  EXPECT_STREQ(grpc::health::v1::Health::service_full_name(), "grpc.health.v1.Health");
}

}  // namespace
