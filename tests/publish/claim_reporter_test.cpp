// SPDX-License-Identifier: Apache-2.0
#include "host/publish/claim_reporter.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <nlohmann/json.hpp>

#include "host/base/thread_annotations.hpp"

namespace drasriov::publish {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

const claim::ClaimRef kClaim{"ns", "c1", "uid-1"};

claim::DeviceStatus device(bool ready) {
  claim::DeviceStatus status;
  status.driver = "d.example.com";
  status.pool = "n1";
  status.device = "0000-08-00-2";
  status.config_json = R"({"driver":"vfio-pci"})";
  status.ready = ready;
  status.reason = ready ? "Prepared" : "PrepareFailed";
  return status;
}

constexpr Time at(int seconds) {
  return Time(std::chrono::seconds(seconds));
}

TEST(ClaimObjects, Times) {
  EXPECT_EQ("1970-01-01T00:00:01Z", api_time(Time(1999ms)));
  EXPECT_EQ("1970-01-01T00:00:01.000250Z", api_micro_time(Time(1000250us)));
}

TEST(ClaimObjects, StatusHoldsConfigConditionsAndNetworkOnly) {
  auto status = device(true);
  status.share_id = "8c6b2b1c-0000-4000-8000-000000000001";
  status.has_network = true;
  status.interface_name = "net1";
  status.ips = {"192.0.2.5/24"};
  status.hardware_address = "02:00:00:00:00:01";
  const Json object = claim_status_object(kClaim, {status, device(false)}, nullptr, at(100));
  const Json expected = Json::parse(R"({
    "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
    "metadata": {"namespace": "ns", "name": "c1", "uid": "uid-1"},
    "status": {"devices": [
      {"driver": "d.example.com", "pool": "n1", "device": "0000-08-00-2",
       "shareID": "8c6b2b1c-0000-4000-8000-000000000001", "data": {"driver": "vfio-pci"},
       "conditions": [
         {"type": "Ready", "status": "True", "reason": "Prepared", "message": "",
          "lastTransitionTime": "1970-01-01T00:01:40Z"},
         {"type": "NetworkReady", "status": "False", "reason": "Prepared", "message": "",
          "lastTransitionTime": "1970-01-01T00:01:40Z"}],
       "networkData": {"interfaceName": "net1", "ips": ["192.0.2.5/24"], "hardwareAddress": "02:00:00:00:00:01"}},
      {"driver": "d.example.com", "pool": "n1", "device": "0000-08-00-2", "data": {"driver": "vfio-pci"},
       "conditions": [{"type": "Ready", "status": "False", "reason": "PrepareFailed", "message": "",
                       "lastTransitionTime": "1970-01-01T00:01:40Z"}]}]}})");
  EXPECT_EQ(expected, object) << object.dump(1);
}

TEST(ClaimObjects, TransitionTimeMovesOnlyWithTheStatus) {
  const auto time_of = [](const Json& object) {
    return object["status"]["devices"][0]["conditions"][0]["lastTransitionTime"].get<std::string>();
  };
  const Json first = claim_status_object(kClaim, {device(true)}, nullptr, at(100));
  EXPECT_EQ(api_time(at(100)),
            time_of(claim_status_object(kClaim, {device(true)}, first, at(200))));
  EXPECT_EQ(api_time(at(200)),
            time_of(claim_status_object(kClaim, {device(false)}, first, at(200))));
}

TEST(ClaimObjects, EventTextIsCutBetweenCharacters) {
  const std::string note = std::string(1023, 'x') + "ü";
  const Json event = claim_event_object({"d.example.com", "n1"}, kClaim, true, "PrepareFailed",
                                        note, at(1), at(9), 3);
  EXPECT_EQ(std::string(1023, 'x'), event["note"]);
  EXPECT_EQ("Warning", event["type"]);
  EXPECT_EQ("uid-1", event["regarding"]["uid"]);
  EXPECT_EQ(3, event["series"]["count"]);
  EXPECT_EQ("1970-01-01T00:00:09.000000Z", event["series"]["lastObservedTime"]);
}

/// Keeps what was written; answers from a script of errors first.
class RecordingApi final : public cluster::ClusterApi {
 public:
  Result<Json> apply_status(const cluster::Resource& /*resource*/, const Json& object,
                            std::string_view manager, Deadline /*deadline*/) override {
    return write("apply by " + std::string(manager) + " " +
                     object["metadata"]["name"].get<std::string>() + " " +
                     object["status"]["devices"][0]["conditions"][0]["status"].get<std::string>(),
                 object);
  }
  Result<Json> create(const cluster::Resource& resource, const Json& object,
                      Deadline /*deadline*/) override {
    return write("create " + resource.plural + " " + object["note"].get<std::string>(), object);
  }
  Result<Json> update(const cluster::Resource& resource, const Json& object,
                      Deadline /*deadline*/) override {
    return write(
        "update " + resource.plural + " x" + std::to_string(object["series"]["count"].get<int>()),
        object);
  }
  Result<Json> get(const cluster::Resource&, const cluster::ObjectKey&, Deadline) override {
    return unused();
  }
  Result<cluster::ObjectList> list(const cluster::Resource&, const cluster::Selector&,
                                   Deadline) override {
    return unused();
  }
  Result<std::unique_ptr<cluster::Watch>> watch(const cluster::Resource&, const cluster::Selector&,
                                                std::string_view, cluster::WatchSink&) override {
    return unused();
  }
  Status remove(const cluster::Resource&, const cluster::ObjectKey&, const cluster::Preconditions&,
                Deadline) override {
    return unused();
  }

  void fail_next(Code code) {
    const MutexLock lock(mutex_);
    errors_.push_back(code);
  }
  using Calls = std::vector<std::string>;
  [[nodiscard]] testing::AssertionResult sees(const Calls& expected) {
    const auto until = std::chrono::steady_clock::now() + 30s;
    const MutexLock lock(mutex_);
    while (calls_ != expected) {
      if (!changed_.wait_until(mutex_, until))
        return testing::AssertionFailure() << testing::PrintToString(calls_);
    }
    return testing::AssertionSuccess();
  }

 private:
  static Error unused() { return {Code::kUnimplemented, "not part of this test"}; }
  Result<Json> write(std::string call, const Json& object) {
    const MutexLock lock(mutex_);
    changed_.notify_all();
    if (!errors_.empty()) {
      const Code code = errors_.front();
      errors_.pop_front();
      calls_.push_back(call + " -> " + std::string(code_name(code)));
      return Error(code, "scripted");
    }
    calls_.push_back(std::move(call));
    return object;
  }
  Mutex mutex_;
  CondVar changed_;
  Calls calls_ DRASRIOV_GUARDED_BY(mutex_);
  std::deque<Code> errors_ DRASRIOV_GUARDED_BY(mutex_);
};

class QuietLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level /*level*/) const noexcept override { return false; }
  void write(telemetry::Level, std::string_view, std::span<const telemetry::Field>,
             const std::source_location*) override {}
};

class ClaimReporterTest : public testing::Test {
 protected:
  void start() {
    reporter_ =
        std::make_unique<ClaimReporter>(settings_, api_, log_, [](const claim::HeldSnapshot&) {});
    reporter_->start();
  }
  ClaimReporterSettings settings_{{"d.example.com", "n1"}, 1s, 1ms, 2ms, 10min, 4};
  RecordingApi api_;
  QuietLog log_;
  std::unique_ptr<ClaimReporter> reporter_;
};

TEST_F(ClaimReporterTest, WritesEachStatusOnce) {
  start();
  reporter_->status(kClaim, {device(false)});
  ASSERT_TRUE(api_.sees({"apply by d.example.com c1 False"}));
  reporter_->status(kClaim, {device(false)});
  reporter_->status({"ns", "c2", "uid-2"}, {device(true)});
  ASSERT_TRUE(api_.sees({"apply by d.example.com c1 False", "apply by d.example.com c2 True"}));
}

TEST_F(ClaimReporterTest, ForgottenClaimsAreWrittenAnew) {
  start();
  reporter_->status(kClaim, {device(true)});
  ASSERT_TRUE(api_.sees({"apply by d.example.com c1 True"}));
  reporter_->forgotten(kClaim);
  reporter_->status(kClaim, {device(true)});
  EXPECT_TRUE(api_.sees({"apply by d.example.com c1 True", "apply by d.example.com c1 True"}));
}

TEST_F(ClaimReporterTest, RetriesWhatMayPassAndDropsWhatCannot) {
  for (const Code code : {Code::kUnavailable, Code::kResourceExhausted, Code::kPermissionDenied})
    api_.fail_next(code);
  start();
  reporter_->status(kClaim, {device(true)});
  ASSERT_TRUE(api_.sees({"apply by d.example.com c1 True -> UNAVAILABLE",
                         "apply by d.example.com c1 True -> RESOURCE_EXHAUSTED",
                         "apply by d.example.com c1 True -> PERMISSION_DENIED",
                         "apply by d.example.com c1 True"}));
  RecordingApi gone;
  for (const Code code : {Code::kNotFound, Code::kAborted, Code::kInvalidArgument})
    gone.fail_next(code);
  ClaimReporter second(settings_, gone, log_, [](const claim::HeldSnapshot&) {});
  second.start();
  second.status({"ns", "a", "u1"}, {device(true)});
  ASSERT_TRUE(gone.sees({"apply by d.example.com a True -> NOT_FOUND"}));
  second.status({"ns", "b", "u2"}, {device(true)});
  ASSERT_TRUE(gone.sees(
      {"apply by d.example.com a True -> NOT_FOUND", "apply by d.example.com b True -> ABORTED"}));
  second.status({"ns", "c", "u3"}, {device(true)});
  second.stop(5s);
  EXPECT_TRUE(gone.sees({"apply by d.example.com a True -> NOT_FOUND",
                         "apply by d.example.com b True -> ABORTED",
                         "apply by d.example.com c True -> INVALID_ARGUMENT"}));
}

TEST_F(ClaimReporterTest, EqualEventsBecomeASeries) {
  settings_.event_window = 500ms;
  start();
  for (int i = 0; i < 3; ++i) reporter_->event(kClaim, true, "PrepareFailed", "busy");
  EXPECT_TRUE(api_.sees({"create events busy", "update events x3"}));
}

TEST_F(ClaimReporterTest, EventsAreRetriedInOrderAndBounded) {
  settings_.first_backoff = settings_.longest_backoff = 20ms;
  api_.fail_next(Code::kUnavailable);
  reporter_ =
      std::make_unique<ClaimReporter>(settings_, api_, log_, [](const claim::HeldSnapshot&) {});
  for (const char* note : {"1", "2", "3", "4", "dropped"})
    reporter_->event(kClaim, true, "PrepareFailed", note);
  reporter_->start();
  reporter_->stop(5s);
  EXPECT_TRUE(api_.sees({"create events 1 -> UNAVAILABLE", "create events 1", "create events 2",
                         "create events 3", "create events 4"}));
}

TEST_F(ClaimReporterTest, StopDoesNotWaitForAClusterThatIsDown) {
  for (int i = 0; i < 1000; ++i) api_.fail_next(Code::kUnavailable);
  settings_.first_backoff = settings_.longest_backoff = 60s;
  start();
  reporter_->status(kClaim, {device(true)});
  ASSERT_TRUE(api_.sees({"apply by d.example.com c1 True -> UNAVAILABLE"}));
  const auto begin = std::chrono::steady_clock::now();
  reporter_->stop(20ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace drasriov::publish
