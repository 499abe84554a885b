// SPDX-License-Identifier: Apache-2.0
//
// What the observers make of API objects, told by hand as the reflector tells them.
#include "host/app/followers.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/fake_discovery.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::app {
namespace {

using cluster::Json;

Json filter_object(const char* name, const char* resource) {
  return {
      {"apiVersion", "sriovnetwork.openshift.io/v1alpha1"},
      {"kind", "SriovResourceFilter"},
      {"metadata", {{"name", name}, {"namespace", "ns"}, {"uid", std::string("uid-of-") + name}}},
      {"spec", {{"configs", {{{"resourceName", resource}}}}}}};
}

class FollowersTest : public testing::Test {
 protected:
  FollowersTest() {
    settings_.debounce = std::chrono::milliseconds(0);
    modules_ = {&discovery_};
    control_.emplace(settings_, modules_, log_, metrics_, [this](const NodeView& view) {
      const MutexLock lock(mutex_);
      auto& names = names_.emplace();
      for (const auto& applied : view.filters.applied)
        names.push_back(applied.name + "=" + applied.configs.at(0).resource_name);
      changed_.notify_all();
    });
    control_->set_held(std::make_shared<const claim::HeldDevices>());
    EXPECT_TRUE(control_->start());
  }

  FilterFollower filter_follower() {
    return {*control_,
            {log_, metrics_, [this](publish::Event event) { events_.push_back(std::move(event)); },
             [this](std::vector<publish::FilterState> filters) { states_ = std::move(filters); }},
            "sriovnetwork.openshift.io",
            "worker-1"};
  }

  /// Whether the control thread comes to apply exactly these.
  bool applied(const std::vector<std::string>& names) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const MutexLock lock(mutex_);
    while (names_ != names) {
      if (!changed_.wait_until(mutex_, until)) return false;
    }
    return true;
  }

  ControlSettings settings_;
  FakeDiscovery discovery_{"fake"};
  std::vector<module::Discovery*> modules_;
  telemetry::KeptLog log_;
  telemetry::Metrics metrics_{log_};
  Mutex mutex_;
  CondVar changed_;
  std::optional<std::vector<std::string>> names_
      DRASRIOV_GUARDED_BY(mutex_);  ///< of the last output
  std::optional<Control> control_;
  std::vector<publish::Event> events_;        ///< of the follower, told on the test's thread
  std::vector<publish::FilterState> states_;  ///< told last
};

TEST_F(FollowersTest, FiltersComeChangeAndGo) {
  control_->set_node_labels({});
  FilterFollower follower = filter_follower();
  follower.replaced({filter_object("a", "one"), filter_object("b", "two")});
  EXPECT_TRUE(applied({"a=one", "b=two"}));
  follower.changed(filter_object("a", "three"));
  EXPECT_TRUE(applied({"a=three", "b=two"}));
  follower.removed(filter_object("b", "two"));
  EXPECT_TRUE(applied({"a=three"}));
  follower.replaced({filter_object("c", "four")});
  EXPECT_TRUE(applied({"c=four"}));
}

TEST_F(FollowersTest, TheStateOfAllFiltersIsTold) {
  FilterFollower follower = filter_follower();
  Json first = filter_object("a", "one");
  first["metadata"]["generation"] = 3;
  first["metadata"]["resourceVersion"] = "17";
  Json bad = filter_object("bad", "two");
  bad["spec"]["confgs"] = 1;
  follower.replaced({first, bad});
  ASSERT_EQ(states_.size(), 2U);
  EXPECT_EQ(states_[0], (publish::FilterState{"ns", "a", "uid-of-a", "17", 3, "", {}}));
  EXPECT_NE(states_[1].error.find("confgs"), std::string::npos) << states_[1].error;
  first["status"]["conditions"] = {
      {{"type", "Accepted"}, {"status", "True"}, {"observedGeneration", 3}}};
  follower.changed(first);
  ASSERT_EQ(states_.size(), 2U);
  EXPECT_EQ(states_[0].accepted, (publish::Accepted{true, 3, ""}));
  follower.changed(filter_object("bad", "two"));
  EXPECT_EQ(states_.at(1).error, "") << "mended";
  follower.removed(first);
  ASSERT_EQ(states_.size(), 1U);
  EXPECT_EQ(states_[0].name, "bad");
  follower.failed(Error(Code::kNotFound, "list sriovresourcefilters: not served"));
  EXPECT_TRUE(states_.empty());
}

TEST_F(FollowersTest, AFilterThatCannotBeReadIsLeftOutAndNamed) {
  control_->set_node_labels({});
  FilterFollower follower = filter_follower();
  Json bad = filter_object("bad", "one");
  bad["spec"]["confgs"] = 1;
  follower.replaced({bad, filter_object("good", "two")});
  EXPECT_TRUE(applied({"good=two"}));
  EXPECT_TRUE(log_.contains("ns/bad")) << log_.lines().size();
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_EQ(events_[0].reason, "InvalidFilter");
  EXPECT_EQ(events_[0].regarding,
            (publish::Subject{"sriovnetwork.openshift.io/v1alpha1", "SriovResourceFilter", "ns",
                              "bad", "uid-of-bad"}));
  EXPECT_NE(events_[0].note.find("confgs"), std::string::npos) << events_[0].note;
  const auto invalid = control_->view()->filters.invalid;  // what `explain` tells
  ASSERT_EQ(invalid.size(), 1U);
  EXPECT_EQ(invalid[0].object, "ns/bad");
  EXPECT_EQ(invalid[0].reason, events_[0].note);
  follower.changed(filter_object("bad", "three"));
  EXPECT_TRUE(applied({"bad=three", "good=two"}));
  EXPECT_TRUE(control_->view()->filters.invalid.empty());
}

TEST_F(FollowersTest, AChangeThatCannotBeReadLeavesTheFilterInForce) {
  control_->set_node_labels({});
  FilterFollower follower = filter_follower();
  follower.replaced({filter_object("a", "one")});
  EXPECT_TRUE(applied({"a=one"}));
  Json bad = filter_object("a", "two");
  bad["spec"]["configs"][0]["resourceName"] = 7;
  follower.changed(bad);
  follower.changed(filter_object("b", "three"));
  EXPECT_TRUE(applied({"a=one", "b=three"}));
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_NE(events_[0].note.find("in force as it was before"), std::string::npos);
  follower.replaced({bad});  // and a list brings the same
  EXPECT_TRUE(applied({"a=one"}));
  bad["metadata"]["uid"] = "another";  // deleted and made anew: there is no before
  follower.replaced({bad});
  EXPECT_TRUE(applied({}));
}

TEST_F(FollowersTest, WithoutTheRightToReadThemThereAreNoFilters) {
  control_->set_node_labels({});
  FilterFollower follower = filter_follower();
  const Error forbidden(Code::kPermissionDenied, "list sriovresourcefilters: HTTP 403");
  follower.failed(forbidden);
  EXPECT_TRUE(applied({})) << "devices are of use without names";
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_EQ(events_[0].reason, "FiltersNotFollowed");
  EXPECT_EQ(events_[0].regarding, publish::node_subject("worker-1"));
  EXPECT_NE(metrics_.text().find("drasriov_filters_followed 0"), std::string::npos);
  follower.replaced({filter_object("a", "one")});
  EXPECT_TRUE(applied({"a=one"}));
  EXPECT_NE(metrics_.text().find("drasriov_filters_followed 1"), std::string::npos);
  follower.failed(forbidden);
  follower.changed(filter_object("b", "two"));
  EXPECT_TRUE(applied({"a=one", "b=two"})) << "what was known stays";
}

TEST_F(FollowersTest, AnOutageThatTheWatchSurvivesIsOverWhenItResumes) {
  FilterFollower filters = filter_follower();
  NodeFollower node(*control_, log_, "worker-1");
  filters.replaced({});
  const Error away(Code::kUnavailable, "watch: connection refused");
  for (int outage = 1; outage <= 2; ++outage) {
    for (int attempt = 0; attempt < 3; ++attempt) {
      filters.failed(away);
      node.failed(away);
    }
    EXPECT_NE(metrics_.text().find("drasriov_filters_followed 0"), std::string::npos);
    EXPECT_EQ(log_.lines().size(), 2U * outage) << "each outage is said, each attempt is not";
    filters.resumed();
    node.resumed();
    EXPECT_NE(metrics_.text().find("drasriov_filters_followed 1"), std::string::npos);
  }
}

TEST_F(FollowersTest, WithoutTheCrdThereAreNoFilters) {
  control_->set_node_labels({});
  FilterFollower follower = filter_follower();
  for (int i = 0; i < 3; ++i)
    follower.failed(Error(Code::kNotFound, "list sriovresourcefilters: not served"));
  EXPECT_TRUE(applied({}));
  EXPECT_EQ(log_.lines().size(), 1U) << "each attempt fails, one line is enough";
  EXPECT_EQ(events_.size(), 1U);
}

TEST_F(FollowersTest, TheNodesLabelsDecideAndAMissingNodeIsSaid) {
  FilterFollower filters = filter_follower();
  Json selective = filter_object("a", "one");
  selective["spec"]["nodeSelector"] = {{"zone", "x"}};
  filters.replaced({selective});
  NodeFollower node(*control_, log_, "worker-1");
  node.replaced({});
  EXPECT_TRUE(applied({}));
  EXPECT_TRUE(log_.contains("node worker-1: no such Node object"));
  node.changed({{"metadata", {{"name", "worker-1"}, {"labels", {{"zone", "x"}}}}}});
  EXPECT_TRUE(applied({"a=one"}));
}

}  // namespace
}  // namespace drasriov::app
