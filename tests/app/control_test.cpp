// SPDX-License-Identifier: Apache-2.0
#include "host/app/control.hpp"

#include <gtest/gtest.h>

#include "tests/app/fake_discovery.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::app {
namespace {

using namespace std::chrono_literals;

/// Keeps what the control thread gave out.
class Outputs {
 public:
  void take(const NodeView& view) {
    const MutexLock lock(mutex_);
    views_.push_back(view);
    changed_.notify_all();
  }
  /// The first output that satisfies the condition; nullopt when none comes.
  std::optional<NodeView> wait_for(const std::function<bool(const NodeView&)>& condition) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    const MutexLock lock(mutex_);
    for (std::size_t next = 0;;) {
      for (; next < views_.size(); ++next) {
        if (condition(views_[next])) return views_[next];
      }
      if (!changed_.wait_until(mutex_, until)) return std::nullopt;
    }
  }
  std::size_t count() {
    const MutexLock lock(mutex_);
    return views_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<NodeView> views_ DRASRIOV_GUARDED_BY(mutex_);
};

class ControlTest : public testing::Test {
 protected:
  ControlTest() { settings_.debounce = 20ms; }

  Control& make() {
    modules_ = {&discovery_};
    control_.emplace(settings_, modules_, log_, metrics_,
                     [this](const NodeView& view) { outputs_.take(view); });
    control_->set_held(std::make_shared<const claim::HeldDevices>());
    return *control_;
  }

  /// As the cluster tells an empty one.
  void tell_cluster() {
    control_->set_filters({});
    control_->set_node_labels({});
  }

  ControlSettings settings_;
  FakeDiscovery discovery_{"fake"};
  std::vector<module::Discovery*> modules_;
  telemetry::KeptLog log_;
  telemetry::Metrics metrics_{log_};
  Outputs outputs_;
  std::optional<Control> control_;
};

std::function<bool(const NodeView&)> devices(std::size_t count) {
  return [count](const NodeView& view) { return view.inventory->devices().size() == count; };
}

TEST_F(ControlTest, TheThreadBeginsWithAScan) {
  discovery_.answer({{vf("a"), vf("b")}, {}});
  Control& control = make();
  EXPECT_EQ(control.inventory()->version(), 0U);
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  EXPECT_EQ(control.inventory()->devices().size(), 2U);
  EXPECT_EQ(outputs_.count(), 0U);
  tell_cluster();
  EXPECT_TRUE(outputs_.wait_for(devices(2)));
}

TEST_F(ControlTest, AFirstScanThatFailsIsNotWaitedForLonger) {
  discovery_.fail(Error(Code::kUnavailable, "sysfs is gone"));
  Control& control = make();
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  EXPECT_EQ(control.inventory()->version(), 0U);
}

TEST_F(ControlTest, ARescanThatFindsTheSameChangesNothing) {
  discovery_.answer({{vf("a")}, {}});
  Control& control = make();
  tell_cluster();
  ASSERT_TRUE(control.start());
  ASSERT_TRUE(outputs_.wait_for(devices(1)));
  const auto first = control.inventory();
  control.rescan();
  discovery_.wait_for_scans(2);
  discovery_.answer({{vf("a"), vf("b")}, {}});
  control.rescan();
  ASSERT_TRUE(outputs_.wait_for(devices(2)));
  EXPECT_EQ(control.inventory()->version(), first->version() + 1);
  EXPECT_EQ(outputs_.count(), 2U);
}

TEST_F(ControlTest, AFailedScanKeepsTheDevicesAndIsTriedAgain) {
  settings_.scan_retry = 5ms;
  discovery_.answer({{vf("a")}, {}});
  Control& control = make();
  tell_cluster();
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  discovery_.fail(Error(Code::kUnavailable, "sysfs is gone"));
  control.rescan();
  while (!log_.contains("sysfs is gone")) std::this_thread::yield();
  EXPECT_EQ(control.inventory()->devices().size(), 1U);
  discovery_.answer({{vf("a"), vf("b")}, {}});  // nobody calls rescan()
  EXPECT_TRUE(outputs_.wait_for(devices(2)));
  EXPECT_TRUE(
      log_.contains("the devices stay as they were last seen: discovery by fake: sysfs is gone"));
}

policy::ResourceFilter filter_for(const char* label_value) {
  policy::ResourceFilter filter;
  filter.namespace_ = "ns";
  filter.name = "f";
  filter.node_selector = {{"zone", label_value}};
  return filter;
}

TEST_F(ControlTest, FiltersApplyByTheNodesLabels) {
  Control& control = make();
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  control.set_filters({filter_for("a")});
  control.set_node_labels({{"zone", "b"}});
  ASSERT_TRUE(
      outputs_.wait_for([](const NodeView& view) { return view.filters.unselected.size() == 1; }));
  control.set_node_labels({{"zone", "a"}});
  EXPECT_TRUE(
      outputs_.wait_for([](const NodeView& view) { return view.filters.applied.size() == 1; }));
}

TEST_F(ControlTest, ABurstOfChangesIsOneOutput) {
  settings_.debounce = 1s;
  Control& control = make();
  tell_cluster();
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  ASSERT_TRUE(outputs_.wait_for(devices(0)));
  for (int i = 0; i < 50; ++i) control.set_filters({filter_for("a")});
  claim::HeldDevices held;
  held["a"] = std::make_shared<const claim::HeldDevice>();
  control.set_held(std::make_shared<const claim::HeldDevices>(held));
  ASSERT_TRUE(outputs_.wait_for([](const NodeView& view) { return view.held->size() == 1; }));
  EXPECT_EQ(outputs_.count(), 2U);
}

TEST_F(ControlTest, AClaimThatLeavesItsDeviceAsItIsIsNoOutputButKnown) {
  settings_.debounce = 0ms;
  discovery_.answer({{vf("a"), vf("b")}, {}});
  Control& control = make();
  tell_cluster();
  ASSERT_TRUE(control.start());
  ASSERT_TRUE(outputs_.wait_for(devices(2)));
  claim::HeldDevices held;
  held["a"] = std::make_shared<const claim::HeldDevice>(
      claim::HeldDevice{{"ns", "claim", "uid"}, "Prepared", *control.inventory()->find("a")});
  control.set_held(std::make_shared<const claim::HeldDevices>(held));
  while (control.view()->held->empty()) std::this_thread::yield();
  while (metrics_.text().find("drasriov_devices_held 1\n") == std::string::npos)
    std::this_thread::yield();
  held["b"] = std::make_shared<const claim::HeldDevice>(
      claim::HeldDevice{{"ns", "other", "uid-2"}, "Undoing", *control.inventory()->find("b")});
  control.set_held(std::make_shared<const claim::HeldDevices>(held));
  ASSERT_TRUE(outputs_.wait_for([](const NodeView& view) { return view.held->size() == 2; }));
  EXPECT_EQ(outputs_.count(), 2U) << "none for the first claim";
}

TEST_F(ControlTest, TheSameLabelsAreNoChange) {
  Control& control = make();
  control.set_filters({});
  control.set_node_labels({{"zone", "a"}});
  ASSERT_TRUE(control.start());
  ASSERT_TRUE(outputs_.wait_for([](const NodeView&) { return true; }));
  control.set_node_labels({{"zone", "a"}});
  discovery_.answer({{vf("a")}, {}});
  control.rescan();
  ASSERT_TRUE(outputs_.wait_for(devices(1)));
  control.stop();
  EXPECT_LE(outputs_.count(), 3U) << "start, the labels of before it, the scan";
}

TEST_F(ControlTest, NothingGoesOutBeforeFiltersAndLabelsAreKnown) {
  settings_.debounce = 0ms;
  discovery_.answer({{vf("a")}, {}});
  Control& control = make();
  control.set_filters({filter_for("a")});
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  discovery_.answer({{vf("a"), vf("b")}, {}});
  control.rescan();
  while (control.inventory()->devices().size() != 2) std::this_thread::yield();
  control.set_node_labels({{"zone", "a"}});
  const auto first = outputs_.wait_for([](const NodeView&) { return true; });
  ASSERT_TRUE(first);
  EXPECT_EQ(first->filters.applied.size(), 1U);
  EXPECT_EQ(first->inventory->devices().size(), 2U);
}

TEST_F(ControlTest, NothingGoesOutBeforeTheHeldDevicesAreKnown) {
  modules_ = {&discovery_};
  Control control(settings_, modules_, log_, metrics_,
                  [this](const NodeView& view) { outputs_.take(view); });
  control.set_filters({});
  control.set_node_labels({});
  ASSERT_TRUE(control.start());
  control.rescan();
  discovery_.wait_for_scans(2);
  claim::HeldDevices held;
  held["a"] = std::make_shared<const claim::HeldDevice>();
  control.set_held(std::make_shared<const claim::HeldDevices>(held));
  const auto first = outputs_.wait_for([](const NodeView&) { return true; });
  ASSERT_TRUE(first);
  EXPECT_EQ(first->held->size(), 1U);
}

TEST_F(ControlTest, AProblemIsLoggedOnce) {
  discovery_.answer({{}, {{"0000:08:00.2", "no vendor file"}}});
  Control& control = make();
  ASSERT_TRUE(control.start());
  control.wait_for_first_scan();
  control.rescan();
  discovery_.wait_for_scans(2);
  control.stop();
  std::size_t lines = 0;
  for (const auto& line : log_.lines())
    lines += line.text.starts_with("0000:08:00.2: no vendor file") ? 1U : 0U;
  EXPECT_EQ(lines, 1U);
}

}  // namespace
}  // namespace drasriov::app
