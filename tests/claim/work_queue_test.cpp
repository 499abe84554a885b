// SPDX-License-Identifier: Apache-2.0
//
// WorkQueue: tokens first come first served, nobody's thread waits, deadlines, stop.
#include "host/claim/work_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <mutex>
#include <set>

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using Reservation = WorkQueue::Reservation;

const WorkQueue::Granted kNotParked = [](Result<Reservation>) { ADD_FAILURE() << "was free"; };

/// Waits for what a parked reservation gets.
class Parked {
 public:
  WorkQueue::Granted callback() {
    return [promise = promise_](Result<Reservation> result) {
      promise->set_value(std::make_shared<Result<Reservation>>(std::move(result)));
    };
  }
  [[nodiscard]] bool waits() const { return future_.wait_for(0s) == std::future_status::timeout; }
  Result<Reservation>& get() {
    if (!result_) result_ = future_.get();
    return *result_;
  }

 private:
  using Shared = std::shared_ptr<Result<Reservation>>;
  std::shared_ptr<std::promise<Shared>> promise_ = std::make_shared<std::promise<Shared>>();
  std::future<Shared> future_ = promise_->get_future();
  Shared result_;
};

TEST(WorkQueue, RunsWhatIsPosted) {
  WorkQueue queue(2);
  std::promise<void> ran;
  ASSERT_TRUE(queue.post([&] { ran.set_value(); }));
  ran.get_future().get();
}

TEST(WorkQueue, RunsLaterWork) {
  WorkQueue queue(2);
  std::promise<WorkQueue::Clock::time_point> ran;
  const auto when = WorkQueue::Clock::now() + 20ms;
  ASSERT_TRUE(queue.post_at(when, [&] { ran.set_value(WorkQueue::Clock::now()); }));
  EXPECT_GE(ran.get_future().get(), when);
}

TEST(WorkQueue, FreeKeysAreGivenAtOnce) {
  WorkQueue queue(1);
  auto first = queue.reserve({"a", "b", "a"}, "first", Deadline::infinite(), kNotParked);
  ASSERT_TRUE(first);
  auto other = queue.reserve({"c"}, "other", Deadline::infinite(), kNotParked);
  ASSERT_TRUE(other);
  first->release();
  EXPECT_TRUE(queue.reserve({"b"}, "again", Deadline::infinite(), kNotParked));
}

TEST(WorkQueue, AKeyGoesToWhoAskedFirst) {
  WorkQueue queue(1);
  auto first = queue.reserve({"a"}, "first", Deadline::infinite(), kNotParked);
  Parked second;
  Parked third;
  EXPECT_FALSE(queue.reserve({"a"}, "second", Deadline::infinite(), second.callback()));
  EXPECT_FALSE(queue.reserve({"a"}, "third", Deadline::infinite(), third.callback()));
  first->release();
  ASSERT_TRUE(second.get());
  EXPECT_TRUE(third.waits());
  second.get()->release();
  EXPECT_TRUE(third.get());
}

TEST(WorkQueue, AllKeysOrNone) {
  WorkQueue queue(1);
  auto a = queue.reserve({"a"}, "holder of a", Deadline::infinite(), kNotParked);
  auto b = queue.reserve({"b"}, "holder of b", Deadline::infinite(), kNotParked);
  Parked both;
  EXPECT_FALSE(queue.reserve({"a", "b"}, "both", Deadline::infinite(), both.callback()));
  Parked after;
  b->release();
  EXPECT_FALSE(queue.reserve({"b"}, "after", Deadline::infinite(), after.callback()))
      << "b is promised";
  EXPECT_TRUE(both.waits());
  a->release();
  ASSERT_TRUE(both.get());
  EXPECT_TRUE(after.waits());
  both.get()->release();
  EXPECT_TRUE(after.get());
}

TEST(WorkQueue, WhoWaitsTooLongIsToldForWhat) {
  WorkQueue queue(1);
  auto holder = queue.reserve({device_key("0000-08-00-2")}, "prepare of claim ns/b",
                              Deadline::infinite(), kNotParked);
  Parked late;
  EXPECT_FALSE(queue.reserve({device_key("0000-08-00-1"), device_key("0000-08-00-2")},
                             "prepare of claim ns/a", Deadline::after(5ms), late.callback()));
  ASSERT_FALSE(late.get());
  EXPECT_EQ(late.get().error().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(late.get().error().message(),
            "the time was spent waiting for device 0000-08-00-2, busy with prepare of claim ns/b");
  EXPECT_TRUE(queue.reserve({device_key("0000-08-00-1")}, "x", Deadline::infinite(), kNotParked))
      << "it left all its lines";
}

TEST(WorkQueue, WhoGivesUpDoesNotHoldUpTheNext) {
  WorkQueue queue(1);
  auto a = queue.reserve({"a"}, "holder", Deadline::infinite(), kNotParked);
  Parked impatient;
  EXPECT_FALSE(queue.reserve({"a", "b"}, "impatient", Deadline::after(5ms), impatient.callback()));
  Parked next;
  EXPECT_FALSE(queue.reserve({"b"}, "next", Deadline::infinite(), next.callback()));
  EXPECT_FALSE(impatient.get());
  EXPECT_TRUE(next.get()) << "b was never given to the impatient one";
}

TEST(WorkQueue, NoThreadWaitsForAToken) {
  WorkQueue queue(1);
  auto held = queue.reserve({"a"}, "holder", Deadline::infinite(), kNotParked);
  std::vector<Parked> parked(50);
  for (auto& waiting : parked) {
    EXPECT_FALSE(queue.reserve({"a"}, "waiting", Deadline::infinite(), waiting.callback()));
  }
  std::promise<void> ran;
  ASSERT_TRUE(queue.post([&] { ran.set_value(); }));
  ran.get_future().get();  // the only thread is free
  held->release();
  for (auto& waiting : parked) {
    ASSERT_TRUE(waiting.get());
    waiting.get()->release();
  }
}

TEST(WorkQueue, StopAnswersWhoWaitsAndRunsWhatIsDue) {
  WorkQueue queue(2);
  auto held = queue.reserve({"a"}, "holder", Deadline::infinite(), kNotParked);
  Parked waiting;
  EXPECT_FALSE(queue.reserve({"a"}, "waiting", Deadline::after(1h), waiting.callback()));
  std::promise<bool> timer;
  ASSERT_TRUE(
      queue.post_at(WorkQueue::Clock::now() + 1h, [&] { timer.set_value(queue.stopping()); }));
  queue.stop();
  ASSERT_FALSE(waiting.get());
  EXPECT_EQ(waiting.get().error().message(), "the driver is stopping");
  EXPECT_EQ(waiting.get().error().code(), Code::kUnavailable);
  EXPECT_TRUE(timer.get_future().get());
  EXPECT_FALSE(queue.post([] { ADD_FAILURE() << "the queue has stopped"; }));
  EXPECT_FALSE(
      queue.post_at(WorkQueue::Clock::now(), [] { ADD_FAILURE() << "the queue has stopped"; }));
  queue.stop();
}

TEST(WorkQueue, WhatRunningWorkPostsAtStopIsRun) {
  WorkQueue queue(1);
  std::atomic<int> ran{0};
  std::latch started(1);
  std::promise<void> go;
  ASSERT_TRUE(queue.post([&, wait = std::make_shared<std::future<void>>(go.get_future())] {
    started.count_down();
    wait->get();
    EXPECT_TRUE(queue.post([&] { ++ran; }));
    EXPECT_TRUE(queue.post_at(WorkQueue::Clock::now() + 1h, [&] { ++ran; }));
  }));
  started.wait();
  std::thread stopper([&] { queue.stop(); });
  while (!queue.stopping()) std::this_thread::yield();
  go.set_value();
  stopper.join();
  EXPECT_EQ(ran, 2);
}

/// Many tasks over few keys: never two at once on one key, and everybody gets a turn.
TEST(WorkQueue, KeepsEveryKeyToOne) {
  constexpr int kTasks = 2000;
  constexpr int kKeys = 7;
  WorkQueue queue(4);
  std::array<std::atomic<int>, kKeys> inside{};
  std::atomic<int> violations{0};
  std::latch done(kTasks);
  const auto work = [&](int i) {
    const int first = i % kKeys;
    const int second = (i / kKeys) % kKeys;
    const std::set<int> mine = {first, second};
    for (const int key : mine)
      violations += inside[static_cast<std::size_t>(key)].fetch_add(1) != 0 ? 1 : 0;
    for (const int key : mine) inside[static_cast<std::size_t>(key)].fetch_sub(1);
  };
  for (int i = 0; i < kTasks; ++i) {
    std::vector<std::string> keys = {std::to_string(i % kKeys),
                                     std::to_string((i / kKeys) % kKeys)};
    auto at_once = queue.reserve(std::move(keys), "task", Deadline::infinite(),
                                 [&, i](Result<Reservation> granted) {
                                   ASSERT_TRUE(granted);
                                   work(i);
                                   granted->release();
                                   done.count_down();
                                 });
    if (!at_once) continue;
    auto shared = std::make_shared<Reservation>(std::move(*at_once));
    ASSERT_TRUE(queue.post([&, i, shared] {
      work(i);
      shared->release();
      done.count_down();
    }));
  }
  done.wait();
  EXPECT_EQ(violations, 0);
}

}  // namespace
}  // namespace drasriov::claim
