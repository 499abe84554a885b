// SPDX-License-Identifier: Apache-2.0
#include "host/publish/claim_reporter.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "host/base/thread_annotations.hpp"

namespace drasriov::publish {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

/// What makes two events the same.
using EventKey = std::tuple<std::string, std::string, std::string>;  // claim UID, reason, message

}  // namespace

class ClaimReporter::Impl {
 public:
  Impl(ClaimReporterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log,
       HeldChanged held_changed)
      : settings_(std::move(settings)),
        cluster_(cluster),
        log_(log),
        held_changed_(std::move(held_changed)) {}

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

  void status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) {
    {
      const MutexLock lock(mutex_);
      statuses_[claim.uid] = {claim, std::move(devices), Clock::time_point::min(), {}};
    }
    changed_.notify_all();
  }

  void forgotten(const claim::ClaimRef& claim) {
    const MutexLock lock(mutex_);
    statuses_.erase(claim.uid);
    forgotten_.push_back(claim.uid);
  }

  void event(const claim::ClaimRef& claim, bool warning, std::string reason, std::string message) {
    bool dropped = false;
    {
      const MutexLock lock(mutex_);
      dropped = events_.size() >= settings_.max_waiting_events;
      if (!dropped) {
        events_.push_back({claim, warning, std::move(reason), std::move(message),
                           std::chrono::system_clock::now()});
      }
    }
    if (dropped) {
      log_.warning("an event was dropped: more than " +
                       std::to_string(settings_.max_waiting_events) + " are waiting",
                   {{telemetry::key::kClaim, claim.to_string()}});
    }
    changed_.notify_all();
  }

  const HeldChanged& held_changed() const { return held_changed_; }

 private:
  struct PendingStatus {
    claim::ClaimRef claim;
    std::vector<claim::DeviceStatus> devices;
    Clock::time_point due;
    std::chrono::milliseconds backoff;
  };
  struct PendingEvent {
    claim::ClaimRef claim;
    bool warning = false;
    std::string reason;
    std::string message;
    Time at;
  };
  /// What was written about a claim last: to keep transition times and to write nothing twice.
  struct Written {
    std::vector<claim::DeviceStatus> devices;
    Json object;
  };
  /// Events of one key within the window.
  struct Series {
    PendingEvent event;
    Json stored;
    Time last;
    int count = 1;
    Clock::time_point ends;
  };

  void run() {
    for (;;) {
      std::optional<PendingStatus> status;
      std::optional<PendingEvent> event;
      {
        const MutexLock lock(mutex_);
        for (;;) {
          for (const auto& uid : std::exchange(forgotten_, {})) written_.erase(uid);
          const auto now = Clock::now();
          if (stop_at_ && (now >= *stop_at_ || (statuses_.empty() && events_.empty()))) return;
          const auto ready = std::ranges::find_if(
              statuses_, [&](const auto& entry) { return entry.second.due <= now; });
          if (ready != statuses_.end()) {
            status = std::move(ready->second);
            statuses_.erase(ready);
            break;
          }
          if (!events_.empty() && event_due_ <= now) {
            event = std::move(events_.front());
            events_.pop_front();
            break;
          }
          const auto wake = next_wake();
          if (wake <= now) break;
          changed_.wait_until(mutex_, wake);
        }
      }
      if (status) write_status(*std::move(status));
      if (event) write_event(*std::move(event));
      end_series();
    }
  }

  [[nodiscard]] Clock::time_point next_wake() const DRASRIOV_REQUIRES(mutex_) {
    auto wake = stop_at_.value_or(Clock::time_point::max());
    for (const auto& [uid, status] : statuses_) wake = std::min(wake, status.due);
    if (!events_.empty()) wake = std::min(wake, event_due_);
    for (const auto& [key, series] : series_) wake = std::min(wake, series.ends);
    return wake;
  }

  [[nodiscard]] Deadline deadline() const { return Deadline::after(settings_.call_deadline); }

  void write_status(PendingStatus status) {
    const auto written = written_.find(status.claim.uid);
    if (written != written_.end() && written->second.devices == status.devices) return;
    const Json previous = written == written_.end() ? Json() : written->second.object;
    Json object = claim_status_object(status.claim, status.devices, previous,
                                      std::chrono::system_clock::now());
    const auto applied = cluster_.apply_status(cluster::resource_claims(), object,
                                               settings_.reporter.controller, deadline());
    if (applied) {
      written_[status.claim.uid] = {std::move(status.devices), std::move(object)};
      return;
    }
    const Error& error = applied.error();
    // The claim is gone, or another one has its name now: there is nothing to report on.
    if (error.code() == Code::kNotFound || error.code() == Code::kAborted) return;
    log_.warning(error.with_context("claim status"),
                 {{telemetry::key::kClaim, status.claim.to_string()}});
    if (error.code() == Code::kInvalidArgument) return;  // the same again would be refused again
    status.backoff = grown(status.backoff);
    status.due = Clock::now() + jittered(status.backoff);
    const MutexLock lock(mutex_);
    statuses_.try_emplace(status.claim.uid, std::move(status));  // a newer one wins
  }

  void write_event(PendingEvent event) {
    const EventKey key{event.claim.uid, event.reason, event.message};
    if (const auto known = series_.find(key); known != series_.end()) {
      ++known->second.count;
      known->second.last = event.at;
      return;
    }
    auto stored =
        cluster_.create(cluster::events(),
                        claim_event_object(settings_.reporter, event.claim, event.warning,
                                           event.reason, event.message, event.at, event.at, 1),
                        deadline());
    if (stored) {
      event_backoff_ = std::chrono::milliseconds(0);
      const Time at = event.at;
      series_[key] = {std::move(event), *std::move(stored), at, 1,
                      Clock::now() + settings_.event_window};
      return;
    }
    if (!stored.error().retryable()) {
      log_.warning(stored.error().with_context("event"),
                   {{telemetry::key::kClaim, event.claim.to_string()}});
      return;
    }
    event_backoff_ = grown(event_backoff_);
    const MutexLock lock(mutex_);
    event_due_ = Clock::now() + jittered(event_backoff_);
    events_.push_front(std::move(event));
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
      if (series.count > 1) {
        Json object = std::move(series.stored);
        object["series"] = {{"count", series.count},
                            {"lastObservedTime", api_micro_time(series.last)}};
        if (const auto updated = cluster_.update(cluster::events(), object, deadline()); !updated) {
          log_.debug(updated.error().with_context("event series").message());
        }
      }
      it = series_.erase(it);
    }
  }

  [[nodiscard]] std::chrono::milliseconds grown(std::chrono::milliseconds backoff) const {
    return std::clamp(backoff * 2, settings_.first_backoff, settings_.longest_backoff);
  }
  [[nodiscard]] std::chrono::milliseconds jittered(std::chrono::milliseconds backoff) {
    std::uniform_int_distribution<std::int64_t> pick(backoff.count() / 2, backoff.count());
    return std::chrono::milliseconds(pick(random_));
  }

  const ClaimReporterSettings settings_;
  cluster::ClusterApi& cluster_;
  telemetry::Log& log_;
  const HeldChanged held_changed_;
  std::thread thread_;

  // Of the reporter's thread.
  std::map<std::string, Written> written_;
  std::map<EventKey, Series> series_;
  std::chrono::milliseconds event_backoff_{0};
  std::minstd_rand random_{std::random_device()()};

  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, PendingStatus> statuses_ DRASRIOV_GUARDED_BY(mutex_);  ///< by claim UID
  std::deque<PendingEvent> events_ DRASRIOV_GUARDED_BY(mutex_);
  std::vector<std::string> forgotten_ DRASRIOV_GUARDED_BY(mutex_);
  Clock::time_point event_due_ DRASRIOV_GUARDED_BY(mutex_) = Clock::time_point::min();
  std::optional<Clock::time_point> stop_at_ DRASRIOV_GUARDED_BY(mutex_);
};

ClaimReporter::ClaimReporter(ClaimReporterSettings settings, cluster::ClusterApi& cluster,
                             telemetry::Log& log, HeldChanged held_changed)
    : impl_(std::make_unique<Impl>(std::move(settings), cluster, log, std::move(held_changed))) {}

ClaimReporter::~ClaimReporter() {
  impl_->stop(std::chrono::milliseconds(0));
}

void ClaimReporter::start() {
  impl_->start();
}

void ClaimReporter::stop(std::chrono::milliseconds budget) {
  impl_->stop(budget);
}

void ClaimReporter::status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) {
  impl_->status(claim, std::move(devices));
}

void ClaimReporter::forgotten(const claim::ClaimRef& claim) {
  impl_->forgotten(claim);
}

void ClaimReporter::event(const claim::ClaimRef& claim, bool warning, std::string reason,
                          std::string message) {
  impl_->event(claim, warning, std::move(reason), std::move(message));
}

void ClaimReporter::held_changed(claim::HeldSnapshot held) {
  impl_->held_changed()(std::move(held));
}

}  // namespace drasriov::publish
