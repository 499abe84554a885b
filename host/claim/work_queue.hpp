// SPDX-License-Identifier: Apache-2.0
//
// WorkQueue: a few threads, timers, and tokens by which work reserves claims, devices and pods.
// Work that has to wait for a token or for a time is parked as a closure: no thread waits with it,
// so that one slow device holds up nobody else. Owned by app/; claim/ and pod/ share one. Any
// thread.
//
// Tokens: a reservation takes all its keys at once or waits for all of them, first come first
// served on each key. That alone cannot deadlock; work that reserves again while it holds a
// reservation keeps to the order
//   claim < devices and sandboxes < pod
// (claim_key, device_key and sandbox_key, pod_key; one level in one reservation).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::claim {

class WorkQueue {
 public:
  using Work = std::function<void()>;
  using Clock = Deadline::Clock;

  /// Holds keys until it is destroyed or released. Movable; never outlives the queue.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    ~Reservation() { release(); }

    void release() noexcept;
    [[nodiscard]] bool held() const noexcept { return queue_ != nullptr; }

   private:
    friend class WorkQueue;
    Reservation(WorkQueue& queue, std::uint64_t ticket) : queue_(&queue), ticket_(ticket) {}
    WorkQueue* queue_ = nullptr;
    std::uint64_t ticket_ = 0;
  };
  using Granted = std::function<void(Result<Reservation>)>;

  explicit WorkQueue(unsigned threads);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Runs `work` on a thread of the queue. False when the queue has stopped: `work` was dropped.
  [[nodiscard]] bool post(Work work) DRASRIOV_EXCLUDES(mutex_);
  /// The same not before `when`; stop() makes it due at once. False as in post().
  [[nodiscard]] bool post_at(Clock::time_point when, Work work) DRASRIOV_EXCLUDES(mutex_);

  /// The keys at once when they are free; else nothing, and `granted` is called later on a thread
  /// of the queue: with the reservation, with DEADLINE_EXCEEDED saying who has the key, or with
  /// UNAVAILABLE at stop(). `purpose`, "prepare of claim ns/name", is what others are told while
  /// they wait for these keys.
  [[nodiscard]] std::optional<Reservation> reserve(std::vector<std::string> keys,
                                                   std::string purpose, Deadline deadline,
                                                   Granted granted) DRASRIOV_EXCLUDES(mutex_);

  [[nodiscard]] bool stopping() const DRASRIOV_EXCLUDES(mutex_);
  /// Runs what is due and what waits (which sees stopping() and ends), then joins the threads.
  /// Idempotent.
  void stop() DRASRIOV_EXCLUDES(mutex_, stop_mutex_);

 private:
  /// Work that becomes due, or the deadline of a ticket.
  struct Timer {
    Work work;
    std::uint64_t ticket = 0;
  };
  using Timers = std::multimap<Clock::time_point, Timer>;
  struct Ticket {
    std::vector<std::string> keys;
    std::string purpose;
    std::size_t blocked = 0;                ///< keys at whose head it is not
    Granted granted;                        ///< empty once granted
    std::optional<Timers::iterator> timer;  ///< its deadline; into timers_
  };
  using Tickets = std::map<std::uint64_t, Ticket>;

  void run();
  [[nodiscard]] std::optional<Work> next() DRASRIOV_EXCLUDES(mutex_);
  void finished() DRASRIOV_EXCLUDES(mutex_);
  void make_ready(Work work) DRASRIOV_REQUIRES(mutex_);
  void release(std::uint64_t ticket) DRASRIOV_EXCLUDES(mutex_);
  void fire(Timers::iterator timer) DRASRIOV_REQUIRES(mutex_);
  void forget_timer(Ticket& ticket) DRASRIOV_REQUIRES(mutex_);
  void refuse(Tickets::iterator ticket, Error error) DRASRIOV_REQUIRES(mutex_);
  void leave_lines(Tickets::iterator ticket) DRASRIOV_REQUIRES(mutex_);
  [[nodiscard]] Error waited_for(const Ticket& ticket, std::uint64_t id) const
      DRASRIOV_REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar due_;
  std::deque<Work> ready_ DRASRIOV_GUARDED_BY(mutex_);
  Timers timers_ DRASRIOV_GUARDED_BY(mutex_);
  Tickets tickets_ DRASRIOV_GUARDED_BY(mutex_);
  /// Who stands in line for each key; the first has it as soon as it is first everywhere.
  std::map<std::string, std::deque<std::uint64_t>, std::less<>> lines_ DRASRIOV_GUARDED_BY(mutex_);
  std::uint64_t next_ticket_ DRASRIOV_GUARDED_BY(mutex_) = 1;
  std::size_t running_ DRASRIOV_GUARDED_BY(mutex_) = 0;
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;

  Mutex stop_mutex_;  ///< taken before mutex_
  std::vector<std::thread> threads_ DRASRIOV_GUARDED_BY(stop_mutex_);
};

[[nodiscard]] std::string claim_key(std::string_view uid);
[[nodiscard]] std::string device_key(std::string_view name);
[[nodiscard]] std::string sandbox_key(std::string_view id);
[[nodiscard]] std::string pod_key(std::string_view uid);

}  // namespace drasriov::claim
