// SPDX-License-Identifier: Apache-2.0
#include "host/publish/filter_reporter.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::publish {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

}  // namespace

class FilterReporter::Impl {
 public:
  Impl(FilterReporterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log)
      : settings_(std::move(settings)),
        cluster_(cluster),
        log_(log) {}

  void stop() {
    std::thread running;
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      running = std::exchange(thread_, {});
    }
    changed_.notify_all();
    if (running.joinable()) running.join();
  }

  void seen(std::vector<FilterState> filters) {
    const MutexLock lock(mutex_);
    seen_ = std::move(filters);
    look();
  }

  void applied(AppliedFilters filters) {
    const MutexLock lock(mutex_);
    applied_ = std::move(filters);
    look();
  }

 private:
  /// A filter whose status lacks something.
  struct Task {
    FilterState filter;
    Verdict verdict;
    Clock::time_point due;
    Backoff backoff;
    bool over = false;    ///< nothing more to do for the filter as it is now
    bool missed = false;  ///< the server did not find it once
  };

  [[nodiscard]] std::optional<Verdict> verdict_on(const FilterState& filter) const
      DRASRIOV_REQUIRES(mutex_) {
    return missing_verdict(filter, applied_.contains({filter.uid, filter.generation}),
                           settings_.node_name);
  }

  [[nodiscard]] bool lacks_something() const DRASRIOV_REQUIRES(mutex_) {
    for (const FilterState& filter : seen_) {
      if (verdict_on(filter)) return true;
    }
    return false;
  }

  /// On most nodes at most times there is nothing to tell, and no thread.
  void look() DRASRIOV_REQUIRES(mutex_) {
    if (thread_.joinable()) {
      changed_.notify_all();
    } else if (!stopping_ && lacks_something()) {
      thread_ = std::thread([this] { run(); });
    }
  }

  void run() {
    for (;;) {
      Task* task = nullptr;
      {
        const MutexLock lock(mutex_);
        for (;;) {
          if (stopping_) return;
          find_tasks();
          task = next_due();
          if (task != nullptr) break;
          changed_.wait_until(mutex_, next_wake());
        }
      }
      write(*task);
    }
  }

  /// Brings the tasks in line with what was seen and what is applied.
  void find_tasks() DRASRIOV_REQUIRES(mutex_) {
    std::map<std::string, Task> tasks;
    for (const FilterState& filter : seen_) {
      auto verdict = verdict_on(filter);
      if (!verdict) continue;
      const auto known = tasks_.find(filter.uid);
      if (known != tasks_.end() && known->second.filter == filter &&
          known->second.verdict.holds == verdict->holds) {
        tasks.insert(tasks_.extract(known));
        continue;
      }
      tasks.insert_or_assign(filter.uid,
                             Task{filter, *std::move(verdict), Clock::now() + random_wait(),
                                  Backoff(settings_.first_backoff, settings_.longest_backoff)});
    }
    tasks_ = std::move(tasks);
  }

  [[nodiscard]] Task* next_due() {
    const auto now = Clock::now();
    if (now < refused_until_) return nullptr;
    const auto due = std::ranges::find_if(
        tasks_, [&](const auto& entry) { return !entry.second.over && entry.second.due <= now; });
    return due == tasks_.end() ? nullptr : &due->second;
  }

  [[nodiscard]] Clock::time_point next_wake() const {
    auto wake = Clock::time_point::max();
    for (const auto& [uid, task] : tasks_) {
      if (!task.over) wake = std::min(wake, std::max(task.due, refused_until_));
    }
    return wake;
  }

  void write(Task& task) {
    const auto written =
        cluster_.apply_status(cluster::resource_filters(settings_.driver_name),
                              filter_status_object(settings_.driver_name, task.filter, task.verdict,
                                                   std::chrono::system_clock::now()),
                              settings_.driver_name, Deadline::after(settings_.call_deadline));
    // What was written comes back as a change of the object, and so does what another driver was faster with.
    task.over = true;
    if (written || written.error().code() == Code::kAborted) return;
    const Error& error = written.error();
    if (error.code() == Code::kCancelled) return;  // a stop
    const bool missing = error.code() == Code::kNotFound;
    if (missing && !std::exchange(task.missed, true)) {
      // Of a filter that was deleted the watch tells before the next attempt.
      task.over = false;
      task.due = Clock::now() + task.backoff.next();
    } else if (missing || error.code() == Code::kPermissionDenied) {
      refused(task, error);
    } else {
      failed(task, error);
    }
  }

  /// Without status in the definition or in the role. It may come, and changes no filter then.
  void refused(Task& task, const Error& error) {
    task.over = false;
    refused_until_ = Clock::now() + jittered(settings_.refused_pause);
    if (std::exchange(told_refusal_, true)) return;
    const Error told =
        error.with_context("status of SriovResourceFilter " + task.filter.to_string());
    log_.info(told.message() +
              " — hint: filters work without; for their status apply the chart's crds/ and its "
              "ClusterRole");
  }

  void failed(Task& task, const Error& error) {
    task.over = !error.retryable() && error.code() != Code::kUnauthenticated;
    task.due = Clock::now() + task.backoff.next();
    std::string text =
        error.with_context("status of SriovResourceFilter " + task.filter.to_string()).to_string();
    if (text == told_failure_) return;  // each attempt fails
    log_.warning(text);
    told_failure_ = std::move(text);
  }

  [[nodiscard]] milliseconds random_wait() {
    return milliseconds(
        std::uniform_int_distribution<milliseconds::rep>(0, settings_.spread.count())(random_));
  }

  const FilterReporterSettings settings_;
  cluster::ClusterApi& cluster_;
  telemetry::Log& log_;

  // Of the reporter's thread.
  std::map<std::string, Task> tasks_;  ///< by the filter's UID
  std::minstd_rand random_{std::random_device()()};
  Clock::time_point refused_until_ = Clock::time_point::min();
  bool told_refusal_ = false;
  std::string told_failure_;

  Mutex mutex_;
  CondVar changed_;
  std::thread thread_ DRASRIOV_GUARDED_BY(mutex_);
  std::vector<FilterState> seen_ DRASRIOV_GUARDED_BY(mutex_);
  AppliedFilters applied_ DRASRIOV_GUARDED_BY(mutex_);
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
};

FilterReporter::FilterReporter(FilterReporterSettings settings, cluster::ClusterApi& cluster,
                               telemetry::Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), cluster, log)) {}

FilterReporter::~FilterReporter() {
  impl_->stop();
}

void FilterReporter::stop() {
  impl_->stop();
}

void FilterReporter::seen(std::vector<FilterState> filters) {
  impl_->seen(std::move(filters));
}

void FilterReporter::applied(AppliedFilters filters) {
  impl_->applied(std::move(filters));
}

}  // namespace drasriov::publish
