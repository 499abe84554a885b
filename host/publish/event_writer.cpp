// SPDX-License-Identifier: Apache-2.0
#include "host/publish/event_writer.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::publish {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

}  // namespace

class EventWriter::Impl {
 public:
  Impl(EventWriterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log)
      : settings_(std::move(settings)),
        cluster_(cluster),
        log_(log) {}

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  void stop(std::chrono::milliseconds budget) {
    if (!thread_.joinable()) return;
    {
      const MutexLock lock(mutex_);
      stop_at_ = Clock::now() + budget;
    }
    changed_.notify_all();
    thread_.join();
  }

  void write(Event event) {
    {
      const MutexLock lock(mutex_);
      if (waiting_.size() < settings_.max_waiting) {
        waiting_.push_back({std::move(event), std::chrono::system_clock::now()});
        changed_.notify_all();
        return;
      }
    }
    log_.warning("an event on " + event.regarding.to_string() + " was dropped: more than " +
                 std::to_string(settings_.max_waiting) + " are waiting");
  }

 private:
  struct Waiting {
    Event event;
    Time at;
  };
  /// Equal events within the window.
  struct Series {
    Json stored;
    Time last;
    int count = 1;
    Clock::time_point ends;
  };

  void run() {
    bool stopping = false;
    for (;;) {
      std::optional<Waiting> next;
      std::optional<Clock::time_point> stop_by;
      {
        const MutexLock lock(mutex_);
        for (;;) {
          const auto now = Clock::now();
          // What failed before the stop is tried once more, however long it would have waited.
          if (stop_at_ && !std::exchange(stopping, true)) due_ = now;
          if (stop_at_ && (now >= *stop_at_ || waiting_.empty())) {
            stop_by = stop_at_;
            break;
          }
          if (!waiting_.empty() && due_ <= now) {
            next = std::move(waiting_.front());
            waiting_.pop_front();
            break;
          }
          const auto wake = next_wake();
          if (wake <= now) break;
          changed_.wait_until(mutex_, wake);
        }
      }
      if (stop_by) return end_all_series(Deadline::at(*stop_by));
      if (next) create(*std::move(next));
      end_series();
    }
  }

  [[nodiscard]] Clock::time_point next_wake() const DRASRIOV_REQUIRES(mutex_) {
    auto wake = stop_at_.value_or(Clock::time_point::max());
    if (!waiting_.empty()) wake = std::min(wake, due_);
    for (const auto& [event, series] : series_) wake = std::min(wake, series.ends);
    return wake;
  }

  [[nodiscard]] Deadline deadline() const { return Deadline::after(settings_.call_deadline); }

  void create(Waiting waiting) {
    if (const auto known = series_.find(waiting.event); known != series_.end()) {
      ++known->second.count;
      known->second.last = waiting.at;
      return;
    }
    auto stored = cluster_.create(
        cluster::events(),
        event_object(settings_.reporter, waiting.event, waiting.at, waiting.at, 1), deadline());
    if (stored) {
      backoff_.reset();
      const Time at = waiting.at;
      series_[std::move(waiting.event)] = {*std::move(stored), at, 1,
                                           Clock::now() + settings_.window};
      return;
    }
    // CANCELLED: a stop has cut the call short; how long it goes on is said by stop().
    if (!stored.error().retryable() && stored.error().code() != Code::kCancelled) {
      log_.warning(stored.error().with_context("event on " + waiting.event.regarding.to_string()));
      return;
    }
    const MutexLock lock(mutex_);
    due_ = Clock::now() + backoff_.next();
    waiting_.push_front(std::move(waiting));
  }

  /// Writes the counts of the series whose window is over.
  void end_series() {
    const auto now = Clock::now();
    for (auto it = series_.begin(); it != series_.end();) {
      Series& series = it->second;
      if (now < series.ends) {
        ++it;
        continue;
      }
      write_count(series, deadline());
      it = series_.erase(it);
    }
  }

  /// At a stop, as far as the time goes.
  void end_all_series(Deadline end) {
    for (auto& [event, series] : series_) {
      if (end.expired()) break;
      write_count(series, Deadline::earliest(deadline(), end));
    }
    series_.clear();
  }

  void write_count(Series& series, Deadline deadline) {
    if (series.count == 1) return;
    Json object = std::move(series.stored);
    object["series"] = {{"count", series.count}, {"lastObservedTime", api_micro_time(series.last)}};
    if (const auto updated = cluster_.update(cluster::events(), object, deadline); !updated) {
      log_.debug(updated.error().with_context("event series").message());
    }
  }

  const EventWriterSettings settings_;
  cluster::ClusterApi& cluster_;
  telemetry::Log& log_;
  std::thread thread_;

  // Of the writer's thread.
  std::map<Event, Series> series_;
  Backoff backoff_{settings_.first_backoff, settings_.longest_backoff};

  Mutex mutex_;
  CondVar changed_;
  std::deque<Waiting> waiting_ DRASRIOV_GUARDED_BY(mutex_);
  Clock::time_point due_ DRASRIOV_GUARDED_BY(mutex_) = Clock::time_point::min();
  std::optional<Clock::time_point> stop_at_ DRASRIOV_GUARDED_BY(mutex_);
};

EventWriter::EventWriter(EventWriterSettings settings, cluster::ClusterApi& cluster,
                         telemetry::Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), cluster, log)) {}

EventWriter::~EventWriter() {
  impl_->stop(std::chrono::milliseconds(0));
}

void EventWriter::start() {
  impl_->start();
}

void EventWriter::stop(std::chrono::milliseconds budget) {
  impl_->stop(budget);
}

void EventWriter::write(Event event) {
  impl_->write(std::move(event));
}

}  // namespace drasriov::publish
