// SPDX-License-Identifier: Apache-2.0
//
// What is told of filters, and that one of many drivers tells it. With real API servers: tests/chart/test_filters.py,
// tests/e2e/test_filters.py.
#include "host/publish/filter_reporter.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/publish/recording_api.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::publish {
namespace {

using namespace std::chrono_literals;

constexpr const char* kObject = R"({
  "apiVersion": "d.example.com/v1alpha1", "kind": "SriovResourceFilter",
  "metadata": {"namespace": "ns", "name": "f", "uid": "u1", "resourceVersion": "9", "generation": 2},
  "spec": {},
  "status": {"conditions": [
    {"type": "Other", "status": "True", "observedGeneration": 2},
    {"type": "Accepted", "status": "False", "observedGeneration": 1, "reason": "Invalid", "message": "m",
     "lastTransitionTime": "2026-01-02T03:04:05Z"}]}})";

FilterState filter() {
  FilterState state = filter_state(Json::parse(kObject));
  state.accepted.reset();
  return state;
}

/// The filter after somebody has told that it is accepted, or is not.
FilterState told(bool holds) {
  FilterState state = filter();
  state.resource_version = "10";
  state.accepted = Accepted{holds, 2, "2026-01-02T03:04:05Z"};
  return state;
}

TEST(FilterStatus, IsReadFromTheObject) {
  FilterState expected{"ns", "f", "u1", "9", 2, "", Accepted{false, 1, "2026-01-02T03:04:05Z"}};
  EXPECT_EQ(filter_state(Json::parse(kObject)), expected);
  for (
      const char* odd :
      {R"({})", R"({"metadata": 1, "status": []})", R"({"status": {"conditions": {"type": 1}}})",
       R"({"metadata": {"uid": 1, "generation": "2"}, "status": {"conditions": [1, null, {"type": 1}]}})"}) {
    EXPECT_EQ(filter_state(Json::parse(odd)), FilterState()) << odd;
  }
}

TEST(FilterStatus, TheFirstThatKnowsTellsIt) {
  const auto verdict = missing_verdict(filter(), true, "node-1");
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->holds);
  EXPECT_EQ(verdict->reason, "Applied");
  EXPECT_EQ(verdict->message, "applied first on node node-1");
  EXPECT_FALSE(missing_verdict(filter(), false, "node-1")) << "nothing is known of other nodes";
  EXPECT_FALSE(missing_verdict(told(true), true, "node-1")) << "it is told";

  FilterState changed = told(true);
  changed.generation = 3;
  EXPECT_TRUE(missing_verdict(changed, true, "node-1")) << "of the spec before only";
}

TEST(FilterStatus, WhatCannotBeReadIsInvalidUnlessSomebodyCan) {
  FilterState invalid = filter();
  invalid.error = "spec.confgs: unknown key";
  const auto verdict = missing_verdict(invalid, false, "node-1");
  ASSERT_TRUE(verdict);
  EXPECT_FALSE(verdict->holds);
  EXPECT_EQ(verdict->reason, "Invalid");
  EXPECT_EQ(verdict->message, "spec.confgs: unknown key");
  for (const bool holds : {true, false}) {
    FilterState known = told(holds);
    known.error = invalid.error;
    EXPECT_FALSE(missing_verdict(known, false, "node-1")) << holds;
  }
  EXPECT_TRUE(missing_verdict(told(false), true, "node-1"))
      << "an older driver could not read it, this one applies it";
}

TEST(FilterStatus, OfAFolderWithoutGenerationsNothingIsTold) {
  FilterState plain = filter();
  plain.generation = 0;
  EXPECT_FALSE(missing_verdict(plain, true, "node-1"));
  FilterState unversioned = filter();
  unversioned.resource_version.clear();
  EXPECT_FALSE(missing_verdict(unversioned, true, "node-1"));
}

TEST(FilterStatus, TheObjectThatIsApplied) {
  const Verdict verdict{true, "Applied", "m"};
  const Time now(100s);
  const Json expected = Json::parse(R"({
    "apiVersion": "d.example.com/v1alpha1", "kind": "SriovResourceFilter",
    "metadata": {"namespace": "ns", "name": "f", "uid": "u1", "resourceVersion": "9"},
    "status": {"conditions": [
      {"type": "Accepted", "status": "True", "observedGeneration": 2, "reason": "Applied", "message": "m",
       "lastTransitionTime": "1970-01-01T00:01:40Z"}]}})");
  EXPECT_EQ(filter_status_object("d.example.com", filter(), verdict, now), expected);
  const auto transition = [&](const FilterState& before) {
    return filter_status_object("d.example.com", before, verdict,
                                now)["status"]["conditions"][0]["lastTransitionTime"];
  };
  EXPECT_EQ(transition(told(true)), "2026-01-02T03:04:05Z") << "it has held since then";
  EXPECT_EQ(transition(told(false)), "1970-01-01T00:01:40Z");
}

/// tests/fixtures/api/1.34/filter-status.json: what a real API server took, and what the object was then.
TEST(FilterStatus, AsARealServerTookIt) {
  std::ifstream file(std::string(DRASRIOV_FIXTURES_DIR) + "/api/1.34/filter-status.json");
  const Json exchange = Json::parse(file)["exchanges"].at(0);
  const Json request = Json::parse(exchange["request"]["body"].get<std::string>());
  FilterState before = filter_state(request);
  before.generation = 1;
  before.accepted.reset();
  const auto verdict = missing_verdict(before, true, "127.0.0.1");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(filter_status_object("sriovnetwork.openshift.io", before, *verdict, Time(1767366245s)),
            request);

  EXPECT_EQ(exchange["response"]["status"], 200);
  const FilterState after =
      filter_state(Json::parse(exchange["response"]["body"].get<std::string>()));
  EXPECT_EQ(after.accepted, (Accepted{true, 1, "2026-01-02T15:04:05Z"}));
  EXPECT_EQ(after.generation, 1);
  EXPECT_NE(after.resource_version, before.resource_version);
  EXPECT_FALSE(missing_verdict(after, true, "127.0.0.1"));
}

class FilterReporterTest : public ::testing::Test {
 protected:
  void start(std::chrono::milliseconds spread = 0ms) {
    FilterReporterSettings settings;
    settings.driver_name = "d.example.com";
    settings.node_name = "node-1";
    settings.spread = spread;
    settings.first_backoff = 1ms;
    settings.longest_backoff = 2ms;
    settings.refused_pause = refused_pause_;
    reporter_.emplace(settings, api_, log_);
  }
  std::chrono::milliseconds refused_pause_ = 1ms;
  RecordingApi api_;
  telemetry::KeptLog log_;
  std::optional<FilterReporter> reporter_;
  const FilterReporter::AppliedFilters applied_{{"u1", 2}};
};

TEST_F(FilterReporterTest, WritesWhatIsMissingOnce) {
  start();
  reporter_->seen({filter()});
  reporter_->applied({{"u1", 1}, {"other", 2}});  // not as it is now
  reporter_->applied(applied_);
  EXPECT_TRUE(api_.sees({"apply by d.example.com f True"}));
  EXPECT_EQ(api_.applied()["metadata"]["resourceVersion"], "9");
  // Until the change comes back, what is seen again is the same; then nothing is missing.
  reporter_->seen({filter()});
  reporter_->seen({told(true)});
  FilterState other = filter();
  other.name = "g";
  other.uid = "u2";
  reporter_->seen({told(true), other});
  reporter_->applied({{"u1", 2}, {"u2", 2}});
  EXPECT_TRUE(api_.sees({"apply by d.example.com f True", "apply by d.example.com g True"}));
}

TEST_F(FilterReporterTest, WaitsAndDoesNothingWhenAnotherWasFaster) {
  start(24h);
  reporter_->applied(applied_);
  reporter_->seen({filter()});
  reporter_->seen({told(true)});
  reporter_->stop();
  EXPECT_TRUE(api_.sees({}));
}

TEST_F(FilterReporterTest, AConflictIsNoFailureAndTheChangeDecides) {
  start();
  api_.fail_next(Code::kAborted);
  reporter_->applied(applied_);
  reporter_->seen({filter()});
  EXPECT_TRUE(api_.sees({"apply by d.example.com f True -> ABORTED"}));
  // Not a status but an annotation was what changed.
  FilterState changed = filter();
  changed.resource_version = "10";
  reporter_->seen({changed});
  EXPECT_TRUE(
      api_.sees({"apply by d.example.com f True -> ABORTED", "apply by d.example.com f True"}));
  EXPECT_EQ(api_.applied()["metadata"]["resourceVersion"], "10");
  EXPECT_TRUE(log_.lines().empty());
}

TEST_F(FilterReporterTest, AServerThatIsAwayIsAskedAgain) {
  start();
  api_.fail_next(Code::kUnavailable);
  api_.fail_next(Code::kResourceExhausted);
  reporter_->applied(applied_);
  reporter_->seen({filter()});
  EXPECT_TRUE(api_.sees({"apply by d.example.com f True -> UNAVAILABLE",
                         "apply by d.example.com f True -> RESOURCE_EXHAUSTED",
                         "apply by d.example.com f True"}));
  EXPECT_EQ(log_.lines().size(), 1U) << "each attempt fails, one line is enough";
}

TEST_F(FilterReporterTest, ADefinitionOrARoleWithoutStatusIsSaidOnce) {
  refused_pause_ = 24h;
  start();
  api_.fail_next(Code::kNotFound);
  api_.fail_next(Code::kNotFound);
  reporter_->applied({{"u1", 2}, {"u2", 2}});
  reporter_->seen({filter()});
  const RecordingApi::Calls one = {"apply by d.example.com f True -> NOT_FOUND",
                                   "apply by d.example.com f True -> NOT_FOUND"};
  EXPECT_TRUE(api_.sees(one));
  FilterState changed = filter();
  changed.resource_version = "10";
  FilterState other = filter();
  other.name = "g";
  other.uid = "u2";
  reporter_->seen({changed, other});
  reporter_->stop();
  EXPECT_TRUE(api_.sees(one)) << "another would fare no better";
  EXPECT_EQ(log_.lines().size(), 1U);
  EXPECT_TRUE(log_.contains("status of SriovResourceFilter ns/f"));
}

TEST_F(FilterReporterTest, WhenDefinitionAndRoleComeSoDoesTheStatus) {
  start();
  api_.fail_next(Code::kNotFound);
  api_.fail_next(Code::kNotFound);
  api_.fail_next(Code::kPermissionDenied);
  reporter_->applied(applied_);
  reporter_->seen({filter()});
  EXPECT_TRUE(api_.sees(
      {"apply by d.example.com f True -> NOT_FOUND", "apply by d.example.com f True -> NOT_FOUND",
       "apply by d.example.com f True -> PERMISSION_DENIED", "apply by d.example.com f True"}));
  EXPECT_EQ(log_.lines().size(), 1U);
}

TEST_F(FilterReporterTest, AFilterThatIsDeletedDuringTheWriteIsNoRefusal) {
  refused_pause_ = 24h;
  start();
  FilterState other = filter();
  other.name = "g";
  other.uid = "u2";
  api_.during_next([&] { reporter_->seen({other}); });
  api_.fail_next(Code::kNotFound);
  reporter_->applied({{"u1", 2}, {"u2", 2}});
  reporter_->seen({filter()});
  EXPECT_TRUE(
      api_.sees({"apply by d.example.com f True -> NOT_FOUND", "apply by d.example.com g True"}));
  EXPECT_TRUE(log_.lines().empty());
}

TEST_F(FilterReporterTest, AFilterThatIsGoneIsLeftAlone) {
  start(24h);
  reporter_->applied(applied_);
  reporter_->seen({filter()});
  reporter_->seen({});
  reporter_->stop();
  EXPECT_TRUE(api_.sees({}));
}

}  // namespace
}  // namespace drasriov::publish
