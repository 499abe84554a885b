// SPDX-License-Identifier: Apache-2.0
//
// Random histories of a pool. After every single write the readers' view is either incomplete or
// exactly the old or the new content; a single change writes one slice unless the number of slices
// changes; what exists is left alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "host/publish/slice_planner.hpp"
#include "tests/publish/fake_pool.hpp"

namespace drasriov::publish {
namespace {

class History {
 public:
  explicit History(std::uint32_t seed) : random_(seed) {}

  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_);
  }

  /// Adds, removes or alters one device.
  void change_one() {
    auto& entries = pool_.entries;
    const unsigned action = below(5);
    if (entries.empty() || action < 2) {
      const std::string name = test_name(below(600));
      const auto at = std::ranges::lower_bound(entries, name, {}, &SliceEntry::name);
      if (at != entries.end() && at->name == name) {
        *at = test_entry(name, std::to_string(below(1000)));
      } else {
        entries.insert(at, test_entry(name));
      }
      return;
    }
    const auto at = entries.begin() + below(static_cast<unsigned>(entries.size()));
    if (action < 4) {
      entries.erase(at);
    } else {
      *at = test_entry(at->name, std::to_string(below(1000)));
    }
  }

  Pool pool_ = test_pool(0);
  FakePool server_;
  Placement placement_;

 private:
  std::mt19937 random_;
};

/// Applies the first `count` writes; every view in between is old, new or incomplete.
void apply_and_watch(History& history, const SlicePlan& plan,
                     const std::map<std::string, std::string>& old_content, std::size_t count) {
  const auto new_content = contents_of(history.pool_);
  for (std::size_t i = 0; i < count; ++i) {
    history.server_.apply(history.pool_, plan, plan.writes[i]);
    const auto view = history.server_.believed();
    ASSERT_TRUE(!view || *view == old_content || *view == new_content)
        << "after write " << i << " of " << plan.writes.size();
  }
}

void converge(History& history, const std::map<std::string, std::string>& old_content) {
  const SlicePlan plan = plan_slices(history.pool_, history.server_.observed(), history.placement_);
  history.placement_ = plan.placement;
  apply_and_watch(history, plan, old_content, plan.writes.size());
  ASSERT_EQ(history.server_.believed(), contents_of(history.pool_));
  ASSERT_TRUE(plan_slices(history.pool_, history.server_.observed(), {}).writes.empty());
}

class Property : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(Property, OneChangeIsOneWriteAndEveryStepIsConsistent) {
  History history(GetParam());
  history.pool_ = test_pool(history.below(300));
  converge(history, {});
  unsigned single = 0;
  for (int step = 0; step < 150; ++step) {
    const auto old_content = contents_of(history.pool_);
    const auto before = history.server_.objects().size();
    const Placement old_placement = history.placement_;
    history.change_one();
    const SlicePlan plan =
        plan_slices(history.pool_, history.server_.observed(), history.placement_);
    if (plan.slices.size() == before) {
      ASSERT_LE(plan.writes.size(), 1U) << "step " << step;
      ++single;
    }
    for (const auto& [name, index] : plan.placement) {
      const auto was = old_placement.find(name);
      ASSERT_TRUE(was == old_placement.end() || was->second == index) << name << " moved";
    }
    ASSERT_NO_FATAL_FAILURE(converge(history, old_content));
  }
  EXPECT_GT(single, 100U);
}

TEST_P(Property, BurstsAndLostMemoryAreConsistentAtEveryStep) {
  History history(GetParam());
  for (int step = 0; step < 40; ++step) {
    const auto old_content = contents_of(history.pool_);
    const unsigned burst = 1 + history.below(200);
    for (unsigned i = 0; i < burst; ++i) history.change_one();
    if (history.below(3) == 0) history.placement_.clear();
    ASSERT_NO_FATAL_FAILURE(converge(history, old_content));
  }
}

// The process dies between two writes, others delete slices: the next plan leads to the target all
// the same.
TEST_P(Property, InterruptedTransitionsConverge) {
  History history(GetParam());
  history.pool_ = test_pool(200);
  converge(history, {});
  for (int step = 0; step < 60; ++step) {
    const auto old_content = contents_of(history.pool_);
    const unsigned burst = 1 + history.below(80);
    for (unsigned i = 0; i < burst; ++i) history.change_one();
    const SlicePlan plan =
        plan_slices(history.pool_, history.server_.observed(), history.placement_);
    const auto done = history.below(static_cast<unsigned>(plan.writes.size()) + 1);
    ASSERT_NO_FATAL_FAILURE(apply_and_watch(history, plan, old_content, done));
    history.placement_ = history.below(2) == 0 ? plan.placement : Placement();
    if (history.below(4) == 0 && !history.server_.objects().empty()) {
      auto victim = history.server_.objects().begin();
      std::advance(victim, history.below(static_cast<unsigned>(history.server_.objects().size())));
      history.server_.erase(victim->first);
    }
    const SlicePlan again =
        plan_slices(history.pool_, history.server_.observed(), history.placement_);
    history.placement_ = again.placement;
    history.server_.apply_all(history.pool_, again);
    ASSERT_EQ(history.server_.believed(), contents_of(history.pool_)) << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Property, ::testing::Range(std::uint32_t{1}, std::uint32_t{9}));

}  // namespace
}  // namespace drasriov::publish
