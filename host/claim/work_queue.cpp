// SPDX-License-Identifier: Apache-2.0
#include "host/claim/work_queue.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace drasriov::claim {

WorkQueue::Reservation::Reservation(Reservation&& other) noexcept
    : queue_(std::exchange(other.queue_, nullptr)),
      ticket_(other.ticket_) {}

WorkQueue::Reservation& WorkQueue::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    release();
    queue_ = std::exchange(other.queue_, nullptr);
    ticket_ = other.ticket_;
  }
  return *this;
}

void WorkQueue::Reservation::release() noexcept {
  if (WorkQueue* queue = std::exchange(queue_, nullptr)) queue->release(ticket_);
}

WorkQueue::WorkQueue(unsigned threads) {
  assert(threads > 0);
  const MutexLock lock(stop_mutex_);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkQueue::~WorkQueue() {
  stop();
}

void WorkQueue::make_ready(Work work) {
  ready_.push_back(std::move(work));
  due_.notify_one();
}

bool WorkQueue::post(Work work) {
  const MutexLock lock(mutex_);
  // While something runs, its thread comes back for more: what running work posts at stop is still
  // run.
  if (stopping_ && running_ == 0) return false;
  make_ready(std::move(work));
  return true;
}

bool WorkQueue::post_at(Clock::time_point when, Work work) {
  const MutexLock lock(mutex_);
  if (stopping_) {
    if (running_ == 0) return false;
    make_ready(std::move(work));
    return true;
  }
  timers_.emplace(when, Timer{std::move(work), 0});
  due_.notify_one();
  return true;
}

std::optional<WorkQueue::Reservation> WorkQueue::reserve(std::vector<std::string> keys,
                                                         std::string purpose, Deadline deadline,
                                                         Granted granted) {
  std::ranges::sort(keys);
  keys.erase(std::ranges::unique(keys).begin(), keys.end());

  const MutexLock lock(mutex_);
  const std::uint64_t id = next_ticket_++;
  Ticket ticket{std::move(keys), std::move(purpose), 0, {}, {}};
  for (const std::string& key : ticket.keys) {
    auto& line = lines_[key];
    if (!line.empty()) ++ticket.blocked;
    line.push_back(id);
  }
  const auto entered = tickets_.emplace(id, std::move(ticket)).first;
  if (entered->second.blocked == 0) return Reservation(*this, id);

  entered->second.granted = std::move(granted);
  if (stopping_) {
    refuse(entered, Error(Code::kUnavailable, "the driver is stopping"));
  } else if (!deadline.is_infinite()) {
    entered->second.timer = timers_.emplace(deadline.when(), Timer{{}, id});
    due_.notify_one();
  }
  return std::nullopt;
}

void WorkQueue::leave_lines(Tickets::iterator ticket) {
  const std::uint64_t id = ticket->first;
  for (const std::string& key : ticket->second.keys) {
    const auto found = lines_.find(key);
    auto& line = found->second;
    const bool was_first = line.front() == id;
    line.erase(std::ranges::find(line, id));
    if (line.empty()) {
      lines_.erase(found);
    } else if (was_first) {
      const std::uint64_t heir = line.front();
      Ticket& next = tickets_.find(heir)->second;
      if (--next.blocked == 0) {
        forget_timer(next);
        make_ready([this, heir, granted = std::exchange(next.granted, {})] {
          granted(Reservation(*this, heir));
        });
      }
    }
  }
  tickets_.erase(ticket);
}

void WorkQueue::release(std::uint64_t ticket) {
  const MutexLock lock(mutex_);
  leave_lines(tickets_.find(ticket));
}

void WorkQueue::refuse(Tickets::iterator ticket, Error error) {
  make_ready(
      [granted = std::move(ticket->second.granted), error = std::move(error)] { granted(error); });
  leave_lines(ticket);
}

void WorkQueue::forget_timer(Ticket& ticket) {
  if (ticket.timer) timers_.erase(*ticket.timer);
  ticket.timer.reset();
}

void WorkQueue::fire(Timers::iterator timer) {
  if (timer->second.ticket == 0) {
    ready_.push_back(std::move(timer->second.work));
    timers_.erase(timer);
    return;
  }
  // A ticket that is granted has no timer any more, so this one still waits.
  const auto ticket = tickets_.find(timer->second.ticket);
  forget_timer(ticket->second);
  refuse(ticket, waited_for(ticket->second, ticket->first));
}

Error WorkQueue::waited_for(const Ticket& ticket, std::uint64_t id) const {
  for (const std::string& key : ticket.keys) {
    const auto& line = lines_.find(key)->second;
    if (line.front() != id) {
      return Error(Code::kDeadlineExceeded, "the time was spent waiting for " + key +
                                                ", busy with " +
                                                tickets_.find(line.front())->second.purpose);
    }
  }
  return Error(Code::kDeadlineExceeded, "the time was spent waiting");
}

bool WorkQueue::stopping() const {
  const MutexLock lock(mutex_);
  return stopping_;
}

std::optional<WorkQueue::Work> WorkQueue::next() {
  const MutexLock lock(mutex_);
  for (;;) {
    const auto now = Clock::now();
    while (!timers_.empty() && (stopping_ || timers_.begin()->first <= now)) fire(timers_.begin());
    if (!ready_.empty()) {
      Work work = std::move(ready_.front());
      ready_.pop_front();
      ++running_;
      if (!ready_.empty()) due_.notify_one();
      return work;
    }
    if (stopping_) return std::nullopt;
    if (timers_.empty()) {
      due_.wait(mutex_);
    } else {
      due_.wait_until(mutex_, timers_.begin()->first);
    }
  }
}

void WorkQueue::finished() {
  const MutexLock lock(mutex_);
  --running_;
}

void WorkQueue::run() {
  while (auto work = next()) {
    (*work)();
    work.reset();  // what it holds goes before the thread counts as idle
    finished();
  }
}

void WorkQueue::stop() {
  const MutexLock joining(stop_mutex_);
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    for (auto it = tickets_.begin(); it != tickets_.end();) {
      const auto ticket = it++;
      if (!ticket->second.granted) continue;
      forget_timer(ticket->second);
      refuse(ticket, Error(Code::kUnavailable, "the driver is stopping"));
    }
    due_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::string claim_key(std::string_view uid) {
  return std::string("claim ").append(uid);
}
std::string device_key(std::string_view name) {
  return std::string("device ").append(name);
}
std::string sandbox_key(std::string_view id) {
  return std::string("sandbox ").append(id);
}
std::string pod_key(std::string_view uid) {
  return std::string("the CDI document of pod ").append(uid);
}

}  // namespace drasriov::claim
