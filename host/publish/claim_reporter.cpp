// SPDX-License-Identifier: Apache-2.0
#include "host/publish/claim_reporter.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/publish/claim_objects.hpp"

namespace drasriov::publish {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

}  // namespace

class ClaimReporter::Impl {
 public:
  Impl(ClaimReporterSettings settings, cluster::ClusterApi& cluster, EventWriter& events,
       telemetry::Log& log, HeldChanged held_changed)
      : settings_(std::move(settings)),
        cluster_(cluster),
        events_(events),
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

  void status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices,
              bool recovered) {
    {
      const MutexLock lock(mutex_);
      const auto waiting = statuses_.find(claim.uid);
      recovered = recovered || (waiting != statuses_.end() && waiting->second.recovered);
      statuses_.insert_or_assign(
          claim.uid, PendingStatus{claim, std::move(devices), recovered, Clock::time_point::min(),
                                   Backoff(settings_.first_backoff, settings_.longest_backoff)});
    }
    changed_.notify_all();
  }

  void forgotten(const claim::ClaimRef& claim) {
    const MutexLock lock(mutex_);
    statuses_.erase(claim.uid);
    forgotten_.push_back(claim.uid);
  }

  void event(const claim::ClaimRef& claim, bool warning, std::string reason, std::string message) {
    if (claim.name.empty()) return;  // a damaged record: nothing that the API server knows
    events_.write(
        {claim_subject(claim), "Prepare", warning, std::move(reason), std::move(message)});
  }

  const HeldChanged& held_changed() const { return held_changed_; }

 private:
  struct PendingStatus {
    claim::ClaimRef claim;
    std::vector<claim::DeviceStatus> devices;
    bool recovered = false;  ///< an earlier process may have written it
    Clock::time_point due;
    Backoff backoff;
  };
  /// What was written about a claim last: to keep transition times and to write nothing twice.
  struct Written {
    std::vector<claim::DeviceStatus> devices;
    Json object;
  };
  void run() {
    for (;;) {
      std::optional<PendingStatus> status;
      {
        const MutexLock lock(mutex_);
        for (;;) {
          for (const auto& uid : std::exchange(forgotten_, {})) written_.erase(uid);
          const auto now = Clock::now();
          if (stop_at_ && (now >= *stop_at_ || statuses_.empty())) return;
          const auto ready = std::ranges::find_if(
              statuses_, [&](const auto& entry) { return entry.second.due <= now; });
          if (ready != statuses_.end()) {
            status = std::move(ready->second);
            statuses_.erase(ready);
            break;
          }
          changed_.wait_until(mutex_, next_wake());
        }
      }
      write_status(*std::move(status));
    }
  }

  [[nodiscard]] Clock::time_point next_wake() const DRASRIOV_REQUIRES(mutex_) {
    auto wake = stop_at_.value_or(Clock::time_point::max());
    for (const auto& [uid, status] : statuses_) wake = std::min(wake, status.due);
    return wake;
  }

  [[nodiscard]] Deadline deadline() const { return Deadline::after(settings_.call_deadline); }

  void write_status(PendingStatus status) {
    const auto written = written_.find(status.claim.uid);
    if (written != written_.end() && written->second.devices == status.devices) return;
    Json previous = written == written_.end() ? Json() : written->second.object;
    if (written == written_.end() && status.recovered) {
      auto found = written_before(status.claim);
      if (!found) return give_up_or_retry(std::move(status), found.error());
      previous = *std::move(found);
    }
    {
      const MutexLock lock(mutex_);
      if (was_forgotten(status.claim.uid)) return;
    }
    Json object = claim_status_object(status.claim, status.devices, previous,
                                      std::chrono::system_clock::now());
    if (previous.is_object() && previous["status"] == object["status"]) {
      written_[status.claim.uid] = {std::move(status.devices), std::move(object)};
      return;
    }
    const auto applied =
        cluster_.apply_status(cluster::resource_claims(), object, settings_.driver, deadline());
    if (!applied) return give_up_or_retry(std::move(status), applied.error());
    written_[status.claim.uid] = {std::move(status.devices), std::move(object)};
  }

  /// What an earlier process wrote about the claim, or null. NOT_FOUND: another claim has its name.
  [[nodiscard]] Result<Json> written_before(const claim::ClaimRef& claim) {
    auto object =
        cluster_.get(cluster::resource_claims(), {claim.namespace_, claim.name}, deadline());
    if (!object) return std::move(object).error();
    if (object->value(Json::json_pointer("/metadata/uid"), std::string()) != claim.uid) {
      return Error(Code::kNotFound, "the claim has another UID now");
    }
    return written_status(*object, settings_.driver);
  }

  void give_up_or_retry(PendingStatus status, const Error& error) {
    // The claim is gone, or another one has its name now: there is nothing to report on.
    if (error.code() == Code::kNotFound || error.code() == Code::kAborted) return;
    log_.warning(error.with_context("claim status"),
                 {{telemetry::key::kClaim, status.claim.to_string()}});
    if (error.code() == Code::kInvalidArgument) return;  // the same again would be refused again
    status.due = Clock::now() + status.backoff.next();
    const MutexLock lock(mutex_);
    if (was_forgotten(status.claim.uid)) return;
    statuses_.try_emplace(status.claim.uid, std::move(status));  // a newer one wins
  }

  /// Whether the claim was forgotten since its status that is being written left the queue.
  [[nodiscard]] bool was_forgotten(const std::string& uid) const DRASRIOV_REQUIRES(mutex_) {
    return std::ranges::find(forgotten_, uid) != forgotten_.end();
  }

  const ClaimReporterSettings settings_;
  cluster::ClusterApi& cluster_;
  EventWriter& events_;
  telemetry::Log& log_;
  const HeldChanged held_changed_;
  std::thread thread_;

  // Of the reporter's thread.
  std::map<std::string, Written> written_;

  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, PendingStatus> statuses_ DRASRIOV_GUARDED_BY(mutex_);  ///< by claim UID
  std::vector<std::string> forgotten_ DRASRIOV_GUARDED_BY(mutex_);
  std::optional<Clock::time_point> stop_at_ DRASRIOV_GUARDED_BY(mutex_);
};

ClaimReporter::ClaimReporter(ClaimReporterSettings settings, cluster::ClusterApi& cluster,
                             EventWriter& events, telemetry::Log& log, HeldChanged held_changed)
    : impl_(std::make_unique<Impl>(std::move(settings), cluster, events, log,
                                   std::move(held_changed))) {}

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
  impl_->status(claim, std::move(devices), false);
}

void ClaimReporter::recovered(const claim::ClaimRef& claim,
                              std::vector<claim::DeviceStatus> devices) {
  impl_->status(claim, std::move(devices), true);
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
