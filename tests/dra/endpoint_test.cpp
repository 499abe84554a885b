// SPDX-License-Identifier: Apache-2.0
//
// The endpoint over its real sockets, with kubelet's part played by gRPC clients.
#include "host/dra/endpoint.hpp"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "dra_proto/dra_health.grpc.pb.h"
#include "dra_proto/dra_v1.grpc.pb.h"
#include "dra_proto/dra_v1beta1.grpc.pb.h"
#include "dra_proto/health.grpc.pb.h"
#include "dra_proto/registration.grpc.pb.h"
#include "host/dra/dra_service.hpp"
#include "host/dra/health_service.hpp"
#include "tests/dra/fake_claims.hpp"

namespace drasriov::dra {
namespace {

namespace fs = std::filesystem;
namespace v1 = k8s::io::kubelet::pkg::apis::dra::v1;
namespace v1beta1 = k8s::io::kubelet::pkg::apis::dra::v1beta1;
using namespace std::chrono_literals;

constexpr const char* kDriver = "sriovnetwork.openshift.io";
constexpr auto kPatience = 20s;

class KeptLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level /*level*/) const noexcept override { return true; }
  void write(telemetry::Level /*level*/, std::string_view message,
             std::span<const telemetry::Field> /*fields*/,
             const std::source_location* /*where*/) override {
    const MutexLock lock(mutex_);
    lines_.append(message).append("\n");
  }
  [[nodiscard]] bool has(const std::string& text) {
    const MutexLock lock(mutex_);
    return lines_.find(text) != std::string::npos;
  }

 private:
  Mutex mutex_;
  std::string lines_ DRASRIOV_GUARDED_BY(mutex_);
};

std::shared_ptr<grpc::Channel> connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() {
    std::string name = "/tmp/drasriov-dra.XXXXXX";
    root_ = ::mkdtemp(name.data());
    settings_ = {kDriver, root_ / "plugins" / kDriver, root_ / "registry", 10s, 10s};
    fs::create_directories(settings_.registrar_directory);
  }
  ~EndpointTest() override {
    endpoint_.reset();
    fs::remove_all(root_);
  }

  void start() {
    endpoint_.emplace(settings_, claims_, log_);
    const auto started = endpoint_->start();
    ASSERT_TRUE(started) << started.error().to_string();
  }

  [[nodiscard]] fs::path registration_path() const {
    return root_ / "registry" / (std::string(kDriver) + "-reg.sock");
  }
  [[nodiscard]] fs::path dra_path() const { return settings_.data_directory / "dra.sock"; }

  [[nodiscard]] Result<pluginregistration::PluginInfo> get_info() const {
    const auto stub =
        pluginregistration::Registration::NewStub(connect("unix:" + registration_path().native()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 1s);  // kubelet's own
    pluginregistration::PluginInfo info;
    const auto status = stub->GetInfo(&context, {}, &info);
    if (!status.ok()) return Error(Code::kUnavailable, status.error_message());
    return info;
  }

  [[nodiscard]] grpc::Status notify(bool registered, const std::string& error) const {
    const auto stub =
        pluginregistration::Registration::NewStub(connect("unix:" + registration_path().native()));
    grpc::ClientContext context;
    pluginregistration::RegistrationStatus request;
    request.set_plugin_registered(registered);
    request.set_error(error);
    pluginregistration::RegistrationStatusResponse response;
    return stub->NotifyRegistrationStatus(&context, request, &response);
  }

  template <typename Request>
  static void add_claim(Request& request, const std::string& uid) {
    auto& claim = *request.add_claims();
    claim.set_namespace_("ns");
    claim.set_name("c-" + uid);
    claim.set_uid(uid);
  }

  [[nodiscard]] v1::NodePrepareResourcesResponse prepare(const std::vector<std::string>& uids) {
    const auto stub = v1::DRAPlugin::NewStub(connect("unix:" + dra_path().native()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 45s);
    v1::NodePrepareResourcesRequest request;
    for (const auto& uid : uids) add_claim(request, uid);
    v1::NodePrepareResourcesResponse response;
    const auto status = stub->NodePrepareResources(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  fs::path root_;
  EndpointSettings settings_;
  FakeClaims claims_;
  KeptLog log_;
  std::optional<Endpoint> endpoint_;
};

claim::PreparedDevice device(const std::string& name) {
  return {{"vf"}, "node", name, {"v/c=uid-" + name, "v/c=pod"}, std::nullopt};
}

TEST_F(EndpointTest, TellsKubeletWhoItIs) {
  start();
  const auto info = get_info();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ("DRAPlugin", info->type());
  EXPECT_EQ(kDriver, info->name());
  EXPECT_EQ(dra_path().native(), info->endpoint());
  EXPECT_EQ(
      std::vector<std::string>({"v1.DRAPlugin", "v1beta1.DRAPlugin", "v1alpha1.DRAResourceHealth"}),
      std::vector<std::string>(info->supported_versions().begin(),
                               info->supported_versions().end()));
  EXPECT_FALSE(endpoint_->registered());
  EXPECT_TRUE(notify(true, "").ok());
  EXPECT_TRUE(endpoint_->registered());
}

TEST_F(EndpointTest, AnswersEachClaimOfACallByItself) {
  auto shared = device("0000-08-00-2");
  shared.share_id = "8c6b2b1c-0000-4000-8000-000000000001";
  claims_.prepares["u1"] = [&](Deadline) { return std::vector{shared, device("0000-08-00-3")}; };
  claims_.prepares["u2"] = [](Deadline) -> Result<std::vector<claim::PreparedDevice>> {
    return Error(Code::kNotFound, "claim ns/c-u2: no device", "publish it");
  };
  start();
  const auto response = prepare({"u1", "u2", "u1", "u3"});
  ASSERT_EQ(3, response.claims_size());
  const auto& first = response.claims().at("u1");
  EXPECT_EQ("", first.error());
  ASSERT_EQ(2, first.devices_size());
  EXPECT_EQ("vf", first.devices(0).request_names(0));
  EXPECT_EQ("node", first.devices(0).pool_name());
  EXPECT_EQ("0000-08-00-2", first.devices(0).device_name());
  EXPECT_EQ("v/c=pod", first.devices(0).cdi_device_ids(1));
  EXPECT_EQ(*shared.share_id, first.devices(0).share_id());
  EXPECT_FALSE(first.devices(1).has_share_id());
  EXPECT_EQ("claim ns/c-u2: no device — hint: publish it", response.claims().at("u2").error());
  EXPECT_TRUE(eventually([&] { return log_.has("claim not prepared after "); }));
  EXPECT_TRUE(log_.has("claim prepared after "));
  EXPECT_EQ("", response.claims().at("u3").error());
  EXPECT_EQ(3U, claims_.calls().size()) << "a claim that is named twice is prepared once";
}

TEST_F(EndpointTest, ServesV1Beta1AndUnprepare) {
  claims_.prepares["u1"] = [](Deadline) { return std::vector{device("0000-08-00-2")}; };
  claims_.unprepares["u1"] = [](Deadline) -> Status { return Error(Code::kUnavailable, "busy"); };
  start();
  const auto stub = v1beta1::DRAPlugin::NewStub(connect("unix:" + dra_path().native()));
  {
    grpc::ClientContext context;
    v1beta1::NodePrepareResourcesRequest request;
    add_claim(request, "u1");
    v1beta1::NodePrepareResourcesResponse response;
    ASSERT_TRUE(stub->NodePrepareResources(&context, request, &response).ok());
    EXPECT_EQ("0000-08-00-2", response.claims().at("u1").devices(0).device_name());
  }
  grpc::ClientContext context;
  v1beta1::NodeUnprepareResourcesRequest request;
  add_claim(request, "u1");
  add_claim(request, "u2");
  v1beta1::NodeUnprepareResourcesResponse response;
  ASSERT_TRUE(stub->NodeUnprepareResources(&context, request, &response).ok());
  EXPECT_EQ("busy", response.claims().at("u1").error());
  EXPECT_EQ("", response.claims().at("u2").error());
}

TEST_F(EndpointTest, RefusesAMalformedReferenceBeforeItReachesTheClaims) {
  start();
  const auto response = prepare({"../../etc/passwd"});
  EXPECT_NE(std::string::npos, response.claims().at("../../etc/passwd").error().find("malformed"));
  EXPECT_TRUE(claims_.calls().empty());
}

TEST_F(EndpointTest, DeadlineIsTheCallsButNeverLaterThanTheBudget) {
  std::promise<Deadline> seen;
  claims_.prepares["u1"] = [&](Deadline deadline) {
    seen.set_value(deadline);
    return std::vector<claim::PreparedDevice>{};
  };
  start();
  (void)prepare({"u1"});  // asks with kubelet's 45 s
  const auto left = seen.get_future().get().remaining();
  EXPECT_LE(left, kCallBudget);
  EXPECT_GT(left, 30s);
}

TEST_F(EndpointTest, RemovedSocketsComeBackWithoutInterruptingACall) {
  std::promise<void> entered;
  std::promise<void> leave;
  claims_.prepares["u1"] = [&](Deadline) {
    entered.set_value();
    leave.get_future().wait();
    return std::vector{device("0000-08-00-2")};
  };
  start();
  auto running = std::async(std::launch::async, [&] { return prepare({"u1"}); });
  entered.get_future().wait();
  fs::remove(registration_path());
  fs::remove(dra_path());
  EXPECT_TRUE(eventually([&] { return get_info().ok() && fs::exists(dra_path()); }));
  EXPECT_EQ(1, prepare({"u2"}).claims_size());
  leave.set_value();
  EXPECT_EQ(1, running.get().claims().at("u1").devices_size());
}

TEST_F(EndpointTest, ServesAgainWhenKubeletMadeItsDirectoriesAnew) {
  start();
  for (const char* directory : {"registry", "plugins"}) {
    // The endpoint may put a socket back while its directory is being emptied.
    EXPECT_TRUE(eventually([&] {
      std::error_code not_empty;
      fs::remove_all(root_ / directory, not_empty);
      return !not_empty;
    }));
  }
  fs::create_directories(root_ / "registry");
  // The one socket may be looked at before its directory goes, the other after it has come.
  EXPECT_TRUE(eventually([&] { return get_info().ok() && fs::exists(dra_path()); }));
  EXPECT_EQ(1, prepare({"u1"}).claims_size());
}

TEST_F(EndpointTest, WaitsForARegistrarDirectoryThatIsNotThereYet) {
  fs::remove_all(root_ / "registry");
  start();
  EXPECT_TRUE(log_.has("waiting for kubelet to create it"));
  EXPECT_FALSE(fs::exists(root_ / "registry"));
  fs::create_directories(root_ / "registry");
  EXPECT_TRUE(eventually([&] { return get_info().ok(); }));
}

TEST_F(EndpointTest, ADirectoryThatTakesNoSocketIsNamedWithTheCause) {
  settings_.registrar_directory =
      "/proc";  // as one that is mounted read-only: root may not write either
  endpoint_.emplace(settings_, claims_, log_);
  testing::internal::CaptureStderr();
  const auto started = endpoint_->start();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "gRPC is not asked";
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message(),
            "socket /proc/" + std::string(kDriver) +
                "-reg.sock: listen beside it in /proc: " + std::strerror(ENOENT));
  EXPECT_NE(started.error().hint().find("write permission"), std::string::npos);
}

TEST_F(EndpointTest, ServesBeforeKubeletIsTold) {
  fs::remove_all(root_ / "registry");
  claims_.prepares["u1"] = [](Deadline) { return std::vector{device("0000-08-00-2")}; };
  start();
  EXPECT_FALSE(fs::exists(registration_path()));
  EXPECT_EQ(1, prepare({"u1"}).claims().at("u1").devices_size());
}

TEST_F(EndpointTest, RegistersAgainAfterARefusal) {
  settings_.refused_backoff = 30ms;
  start();
  const auto identity = [&] {
    struct stat info {};
    return ::stat(registration_path().c_str(), &info) == 0 ? info.st_ctim.tv_nsec : 0;
  };
  const auto before = identity();
  EXPECT_TRUE(notify(false, "no such version").ok())
      << "an error would stop kubelet 1.34 from ever trying again";
  EXPECT_TRUE(log_.has("kubelet refused the driver sriovnetwork.openshift.io: no such version"));
  EXPECT_FALSE(endpoint_->registered());
  // A new link to the socket: its change time moves, and kubelet's watch sees the name go and come.
  EXPECT_TRUE(eventually([&] { return identity() != 0 && identity() != before; }));
  EXPECT_TRUE(get_info());
}

TEST_F(EndpointTest, RefusesToReplaceALiveDriver) {
  start();
  Endpoint second(settings_, claims_, log_);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(Code::kAlreadyExists, started.error().code());
  second.stop(0ms);
  EXPECT_TRUE(get_info()) << "the second driver took the first one's socket away";
}

TEST_F(EndpointTest, StopFinishesRunningCallsAndLeavesNoFile) {
  std::promise<void> entered;
  std::promise<void> leave;
  claims_.prepares["u1"] = [&](Deadline) {
    entered.set_value();
    leave.get_future().wait();
    return std::vector{device("0000-08-00-2")};
  };
  start();
  auto running = std::async(std::launch::async, [&] { return prepare({"u1"}); });
  entered.get_future().wait();
  auto stopping = std::async(std::launch::async, [&] { endpoint_->stop(10s); });
  EXPECT_TRUE(eventually([&] { return !fs::exists(registration_path()); }));
  EXPECT_EQ(std::future_status::timeout, stopping.wait_for(0s))
      << "stop() did not wait for the running call";
  leave.set_value();
  stopping.get();
  EXPECT_EQ(1, running.get().claims().at("u1").devices_size());
  EXPECT_TRUE(fs::is_empty(root_ / "registry"));
  EXPECT_TRUE(fs::is_empty(settings_.data_directory));
}

class HealthStream {
 public:
  explicit HealthStream(const std::string& path)
      : stub_(v1alpha1::DRAResourceHealth::NewStub(connect("unix:" + path))) {
    context_.set_deadline(std::chrono::system_clock::now() + kPatience);
    reader_ = stub_->NodeWatchResources(&context_, {});
  }
  ~HealthStream() {
    context_.TryCancel();
    (void)reader_->Finish();
  }
  std::optional<v1alpha1::NodeWatchResourcesResponse> next() {
    v1alpha1::NodeWatchResourcesResponse message;
    if (!reader_->Read(&message)) return std::nullopt;
    return message;
  }

 private:
  std::unique_ptr<v1alpha1::DRAResourceHealth::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1alpha1::NodeWatchResourcesResponse>> reader_;
};

TEST_F(EndpointTest, HealthStreamSendsTheListAtOnceOnChangeAndAgain) {
  settings_.health_repeat = 50ms;
  start();
  endpoint_->publish_health({{"node", "0000-08-00-2", true, ""}});
  HealthStream stream(dra_path().native());
  HealthStream second(dra_path().native());
  auto message = stream.next();
  ASSERT_TRUE(message);
  ASSERT_EQ(1, message->devices_size());
  EXPECT_EQ("0000-08-00-2", message->devices(0).device().device_name());
  EXPECT_EQ(v1alpha1::HEALTHY, message->devices(0).health());
  EXPECT_TRUE(stream.next()) << "the list was not repeated";
  endpoint_->publish_health({{"node", "0000-08-00-2", false, "unplugged"}});
  do {
    message = stream.next();
    ASSERT_TRUE(message);
  } while (message->devices(0).health() != v1alpha1::UNHEALTHY);
  EXPECT_EQ("unplugged", message->devices(0).message());
  EXPECT_TRUE(second.next());
  endpoint_->stop(5s);  // must not wait for the streams' end by themselves
  while (stream.next()) {
  }
}

grpc::health::v1::HealthCheckResponse::ServingStatus check(int port, const std::string& service,
                                                           grpc::Status& status) {
  const auto stub = grpc::health::v1::Health::NewStub(connect("127.0.0.1:" + std::to_string(port)));
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  status = stub->Check(&context, request, &response);
  return response.status();
}

TEST_F(EndpointTest, HealthServiceAsksBothSockets) {
  start();
  std::atomic<bool> ready{false};
  auto server = HealthServer::start(
      "127.0.0.1", 0,
      std::make_unique<HealthService>(endpoint_->registration_socket(), endpoint_->dra_socket(),
                                      [&] { return ready.load(); }));
  ASSERT_TRUE(server) << server.error().to_string();
  const int port = (*server)->port();
  using grpc::health::v1::HealthCheckResponse;
  grpc::Status status;
  EXPECT_EQ(HealthCheckResponse::SERVING, check(port, "", status));
  EXPECT_EQ(HealthCheckResponse::SERVING, check(port, "liveness", status));
  EXPECT_EQ(HealthCheckResponse::NOT_SERVING, check(port, "readiness", status));
  ready = true;
  EXPECT_EQ(HealthCheckResponse::SERVING, check(port, "readiness", status));
  (void)check(port, "nonsense", status);
  EXPECT_EQ(grpc::StatusCode::NOT_FOUND, status.error_code());

  const auto taken = HealthServer::start(
      "127.0.0.1", port,
      std::make_unique<HealthService>(endpoint_->registration_socket(), endpoint_->dra_socket(),
                                      [] { return true; }));
  ASSERT_FALSE(taken);
  EXPECT_NE(std::string::npos, taken.error().hint().find("healthcheck-port"));

  endpoint_->stop(0ms);
  EXPECT_EQ(HealthCheckResponse::NOT_SERVING, check(port, "liveness", status));
}

TEST_F(EndpointTest, LivenessConnectsAnewEachTime) {
  start();
  auto server = HealthServer::start(
      "127.0.0.1", 0,
      std::make_unique<HealthService>(endpoint_->registration_socket(), dra_path().native() + ".2",
                                      [] { return true; }));
  ASSERT_TRUE(server) << server.error().to_string();
  const int port = (*server)->port();
  using grpc::health::v1::HealthCheckResponse;
  grpc::Status status;
  fs::create_hard_link(dra_path(), dra_path().native() + ".2");
  EXPECT_EQ(HealthCheckResponse::SERVING, check(port, "liveness", status));
  fs::remove(dra_path().native() + ".2");
  EXPECT_EQ(HealthCheckResponse::NOT_SERVING, check(port, "liveness", status))
      << "answered by a connection from before the socket was removed";
}

}  // namespace
}  // namespace drasriov::dra
