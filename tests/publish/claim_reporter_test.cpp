// SPDX-License-Identifier: Apache-2.0
#include "host/publish/claim_reporter.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/publish/claim_objects.hpp"
#include "tests/publish/recording_api.hpp"

namespace drasriov::publish {
namespace {

using namespace std::chrono_literals;
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

TEST(ClaimObjects, WrittenStatusHoldsTheDriversOwnEntries) {
  const Json ours = {{"driver", "d.example.com"}, {"device", "a"}};
  const Json theirs = {{"driver", "other.example.com"}, {"device", "b"}};
  EXPECT_EQ((Json{{"status", {{"devices", {ours}}}}}),
            written_status({{"status", {{"devices", {theirs, ours}}}}}, "d.example.com"));
  EXPECT_EQ(Json(), written_status({{"status", {{"devices", {theirs}}}}}, "d.example.com"));
  EXPECT_EQ(Json(), written_status({{"metadata", Json::object()}}, "d.example.com"));
}

class ClaimReporterTest : public testing::Test {
 protected:
  void start() {
    reporter_ = std::make_unique<ClaimReporter>(settings_, api_, events_, log_,
                                                [](const claim::HeldSnapshot&) {});
    reporter_->start();
  }
  ClaimReporterSettings settings_{"d.example.com", 1s, 1ms, 2ms};
  RecordingApi api_;
  QuietLog log_;
  EventWriter events_{{.reporter = {"d.example.com", "n1"}}, api_, log_};
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

TEST_F(ClaimReporterTest, AStatusInFlightIsNotTriedAgainForAForgottenClaim) {
  api_.fail_next(Code::kUnavailable);
  start();
  api_.during_next([&] { reporter_->forgotten(kClaim); });
  reporter_->status(kClaim, {device(true)});
  ASSERT_TRUE(api_.sees({"apply by d.example.com c1 True -> UNAVAILABLE"}));
  reporter_->status({"ns", "c2", "uid-2"}, {device(true)});
  reporter_->stop(20s);  // ends when nothing waits
  EXPECT_TRUE(api_.sees(
      {"apply by d.example.com c1 True -> UNAVAILABLE", "apply by d.example.com c2 True"}));
}

TEST_F(ClaimReporterTest, AClaimThatIsForgottenWhileItIsReadIsNotWritten) {
  api_.store(Json{{"metadata", {{"uid", kClaim.uid}}}});
  start();
  api_.during_next([&] { reporter_->forgotten(kClaim); });
  reporter_->recovered(kClaim, {device(true)});
  ASSERT_TRUE(api_.sees({"get resourceclaims ns/c1"}));
  reporter_->stop(20s);
  EXPECT_TRUE(api_.sees({"get resourceclaims ns/c1"}));
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
  ClaimReporter second(settings_, gone, events_, log_, [](const claim::HeldSnapshot&) {});
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

/// The claim as the API server has it after an earlier process wrote `devices`.
Json stored_claim(const std::vector<claim::DeviceStatus>& devices, Time when) {
  Json object = claim_status_object(kClaim, devices, nullptr, when);
  object["status"]["devices"].push_back({{"driver", "other.example.com"}, {"device", "x"}});
  return object;
}

TEST_F(ClaimReporterTest, WhatAnEarlierProcessWroteStays) {
  api_.store(stored_claim({device(true)}, at(100)));
  start();
  reporter_->recovered(kClaim, {device(true)});
  ASSERT_TRUE(api_.sees({"get resourceclaims ns/c1"}));
  reporter_->status(kClaim, {device(true)});  // kubelet asked again
  reporter_->status(kClaim, {device(false)});
  EXPECT_TRUE(api_.sees({"get resourceclaims ns/c1", "apply by d.example.com c1 False"}));
}

TEST_F(ClaimReporterTest, WhatAnEarlierProcessCouldNotWriteIsWritten) {
  api_.store(stored_claim({}, at(100)));
  api_.fail_next(Code::kUnavailable);
  start();
  reporter_->recovered(kClaim, {device(true)});
  EXPECT_TRUE(api_.sees({"get resourceclaims ns/c1 -> UNAVAILABLE", "get resourceclaims ns/c1",
                         "apply by d.example.com c1 True"}));
}

TEST_F(ClaimReporterTest, AnotherClaimOfTheSameNameIsLeftAlone) {
  Json other = stored_claim({}, at(100));
  other["metadata"]["uid"] = "uid-2";
  api_.store(other);
  start();
  reporter_->recovered(kClaim, {device(true)});
  reporter_->stop(5s);
  EXPECT_TRUE(api_.sees({"get resourceclaims ns/c1"}));
}

TEST_F(ClaimReporterTest, EventsAreOnTheClaim) {
  events_.start();
  start();
  reporter_->event(kClaim, true, "PrepareFailed", "busy");
  reporter_->event({"", "", "uid-2"}, true, "RecordQuarantined", "nobody knows its name");
  EXPECT_TRUE(api_.sees({"create events busy"}));
  events_.stop(5s);
  EXPECT_TRUE(api_.sees({"create events busy"}));
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
