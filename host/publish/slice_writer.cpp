// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_writer.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "host/base/thread_annotations.hpp"
#include "host/publish/slice_planner.hpp"

namespace drasriov::publish {
namespace {

using Clock = std::chrono::steady_clock;
using cluster::Json;

std::string name_of(const Json& object) {
  return object.value(Json::json_pointer("/metadata/name"), std::string());
}

/// Resource versions of one API server are ordered numbers; 0 for one that is none, which counts as older than all.
std::uint64_t number_of(const std::string& version) {
  std::uint64_t number = 0;
  std::from_chars(version.data(), version.data() + version.size(), number);
  return number;
}

}  // namespace

class SliceWriter::Impl {
 public:
  Impl(SliceWriterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log,
       std::function<void()> published)
      : settings_(std::move(settings)),
        cluster_(cluster),
        log_(log),
        published_(std::move(published)) {}

  [[nodiscard]] cluster::Selector selector() const {
    return {"", {{"spec.driver", settings_.driver}, {"spec.nodeName", settings_.node}}};
  }

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  void stop() {
    if (!thread_.joinable()) return;
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void publish(std::vector<SliceEntry> entries) {
    {
      const MutexLock lock(mutex_);
      wanted_ = std::move(entries);
      due_ = Clock::now();
    }
    wake_.notify_all();
  }

  void replaced(const std::vector<Json>& objects) {
    std::map<std::string, ObservedSlice> found;
    for (const Json& object : objects) found.emplace(name_of(object), observe_slice(object));
    const MutexLock lock(mutex_);
    if (!listed_) return;  // the thread lists for itself before it writes
    const bool same = std::ranges::equal(found, observed_, [](const auto& a, const auto& b) {
      return a.first == b.first && a.second.resource_version == b.second.resource_version;
    });
    if (same) return;
    observed_ = std::move(found);
    foreign_change();
  }

  void changed(const Json& object) {
    const MutexLock lock(mutex_);
    if (!listed_) return;
    ObservedSlice slice = observe_slice(object);
    const auto known = observed_.find(slice.name);
    if (known != observed_.end() &&
        number_of(slice.resource_version) <= number_of(known->second.resource_version)) {
      return;  // our own write, or older than it
    }
    observed_[slice.name] = std::move(slice);
    foreign_change();
  }

  void removed(const Json& object) {
    const MutexLock lock(mutex_);
    if (!listed_ || observed_.erase(name_of(object)) == 0) return;
    node_uid_
        .reset();  // perhaps the Node was made anew and its slices collected: look again before creating
    foreign_change();
  }

 private:
  void foreign_change() DRASRIOV_REQUIRES(mutex_) {
    const auto now = Clock::now();
    if (!first_foreign_) first_foreign_ = now;
    const auto quiet_until =
        std::min(now + settings_.quiet, *first_foreign_ + settings_.longest_quiet);
    due_ = due_ && *due_ < now ? due_ : std::optional(quiet_until);
    wake_.notify_all();
  }

  void run() {
    for (;;) {
      {
        const MutexLock lock(mutex_);
        while (!stopping_ && (!wanted_ || !due_ || Clock::now() < *due_)) {
          wake_.wait_until(mutex_, wanted_ && due_ ? *due_ : Clock::time_point::max());
        }
        if (stopping_) return;
        due_.reset();
        first_foreign_.reset();
      }
      const Status done = synchronise();
      if (done) {
        backoff_ = std::chrono::milliseconds(0);
        last_error_.clear();
        published_();
      } else {
        report(done.error());
        retry_later(done.error());
      }
    }
  }

  /// One plan and its writes. An error leaves the rest undone and makes the next pass list first.
  [[nodiscard]] Status synchronise() {
    if (auto listed = list_once(); !listed) return listed;
    Pool pool{settings_.driver, settings_.node, {}, {}};
    std::vector<ObservedSlice> observed;
    std::optional<std::string> uid;
    {
      const MutexLock lock(mutex_);
      pool.entries = *wanted_;
      for (const auto& [name, slice] : observed_) observed.push_back(slice);
      uid = node_uid_;
    }
    if (!uid) {
      auto fresh = read_node_uid();
      if (!fresh) return std::move(fresh).error();
      uid = *std::move(fresh);
      const MutexLock lock(mutex_);
      node_uid_ = uid;
    }
    pool.node_uid = *uid;
    for (ObservedSlice& slice : observed) {
      // What the server made of a content that it stored without some fields counts as that content.
      if (const auto accepted = accepted_.find(slice.digest); accepted != accepted_.end())
        slice.digest = accepted->second;
    }
    const SlicePlan plan = plan_slices(pool, observed, placement_);
    placement_ = plan.placement;
    for (const SliceWrite& write : plan.writes) {
      if (auto written = apply(pool, plan, write); !written) {
        const MutexLock lock(mutex_);
        listed_ = false;
        return written;
      }
    }
    if (!plan.writes.empty()) {
      log_.info("published " + std::to_string(pool.entries.size()) + " devices in " +
                std::to_string(plan.slices.size()) + " slices, generation " +
                std::to_string(plan.generation) + ", " + std::to_string(plan.writes.size()) +
                " writes");
    }
    return {};
  }

  [[nodiscard]] Status list_once() {
    {
      const MutexLock lock(mutex_);
      if (listed_) return {};
    }
    auto list = cluster_.list(cluster::resource_slices(), selector(), deadline());
    if (!list) return std::move(list).error();
    const MutexLock lock(mutex_);
    observed_.clear();
    for (const Json& object : list->items)
      observed_.emplace(name_of(object), observe_slice(object));
    listed_ = true;
    return {};
  }

  [[nodiscard]] Result<std::string> read_node_uid() {
    const auto node = cluster_.get(cluster::nodes(), {"", settings_.node}, deadline());
    if (!node) return node.error().with_context("owner of the slices");
    return node->value(Json::json_pointer("/metadata/uid"), std::string());
  }

  [[nodiscard]] Status apply(const Pool& pool, const SlicePlan& plan, const SliceWrite& write) {
    log_.debug("slice " + (write.name.empty() ? std::to_string(write.index) : write.name) + ": " +
               write.reason);
    if (write.kind == SliceWrite::Kind::kDelete) {
      auto removed = cluster_.remove(cluster::resource_slices(), {"", write.name},
                                     {write.uid, write.resource_version}, deadline());
      if (!removed && removed.error().code() != Code::kNotFound) return removed;
      const MutexLock lock(mutex_);
      observed_.erase(write.name);
      return {};
    }
    std::optional<ObservedSlice> existing;
    if (write.kind == SliceWrite::Kind::kUpdate) {
      const MutexLock lock(mutex_);
      const auto known = observed_.find(write.name);
      if (known == observed_.end()) {
        return Error(Code::kAborted, "update slice " + write.name + ": it was deleted meanwhile");
      }
      existing = known->second;
    }
    const auto planned = std::ranges::find(plan.slices, write.index, &PlannedSlice::index);
    const Json object = slice_object(pool, plan, *planned, existing ? &*existing : nullptr);
    auto stored = existing ? cluster_.update(cluster::resource_slices(), object, deadline())
                           : cluster_.create(cluster::resource_slices(), object, deadline());
    if (!stored) return std::move(stored).error();
    ObservedSlice slice = observe_slice(*stored);
    if (slice.digest != planned->digest &&
        accepted_.emplace(slice.digest, planned->digest).second) {
      log_.warning("the API server stored slice " + slice.name +
                   " without some of its fields — hint: a feature gate of the API server is off; "
                   "list attributes need "
                   "DRAListTypeAttributes");
    }
    const MutexLock lock(mutex_);
    observed_[slice.name] = std::move(slice);
    return {};
  }

  void retry_later(const Error& error) {
    backoff_ = std::clamp(backoff_ * 2, settings_.first_backoff, settings_.longest_backoff);
    // What the server finds invalid it will find invalid again: only new devices or a foreign change help soon.
    const auto pause =
        error.code() == Code::kInvalidArgument ? settings_.longest_backoff : backoff_;
    std::uniform_int_distribution<std::int64_t> jitter(pause.count() / 2, pause.count());
    const auto at = Clock::now() + std::chrono::milliseconds(jitter(random_));
    const MutexLock lock(mutex_);
    due_ = due_ ? std::min(*due_, at) : at;
  }

  /// Once for each new text: a server that is down is one line, not one for each attempt.
  void report(const Error& error) {
    std::string text = error.with_context("publish slices").to_string();
    if (text == last_error_) return;
    // A conflict is settled by reading again.
    error.code() == Code::kAborted ? log_.debug(text) : log_.warning(text);
    last_error_ = std::move(text);
  }

  [[nodiscard]] Deadline deadline() const { return Deadline::after(settings_.call_deadline); }

  const SliceWriterSettings settings_;
  cluster::ClusterApi& cluster_;
  telemetry::Log& log_;
  const std::function<void()> published_;
  std::thread thread_;

  // Of the writer's thread.
  Placement placement_;
  std::map<std::string, std::string> accepted_;  ///< digest as stored → digest as sent
  std::chrono::milliseconds backoff_{0};
  std::string last_error_;
  std::minstd_rand random_{std::random_device()()};

  Mutex mutex_;
  CondVar wake_;
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
  std::optional<std::vector<SliceEntry>> wanted_ DRASRIOV_GUARDED_BY(mutex_);
  std::optional<Clock::time_point> due_ DRASRIOV_GUARDED_BY(mutex_);
  std::optional<Clock::time_point> first_foreign_ DRASRIOV_GUARDED_BY(mutex_);
  bool listed_ DRASRIOV_GUARDED_BY(mutex_) = false;  ///< observed_ is complete
  std::map<std::string, ObservedSlice> observed_ DRASRIOV_GUARDED_BY(mutex_);
  std::optional<std::string> node_uid_ DRASRIOV_GUARDED_BY(mutex_);
};

SliceWriter::SliceWriter(SliceWriterSettings settings, cluster::ClusterApi& cluster,
                         telemetry::Log& log, std::function<void()> published)
    : impl_(std::make_unique<Impl>(std::move(settings), cluster, log, std::move(published))) {}

SliceWriter::~SliceWriter() {
  impl_->stop();
}

cluster::Selector SliceWriter::selector() const {
  return impl_->selector();
}

void SliceWriter::start() {
  impl_->start();
}

void SliceWriter::stop() {
  impl_->stop();
}

void SliceWriter::publish(std::vector<SliceEntry> entries) {
  impl_->publish(std::move(entries));
}

void SliceWriter::replaced(const std::vector<Json>& objects) {
  impl_->replaced(objects);
}

void SliceWriter::changed(const Json& object) {
  impl_->changed(object);
}

void SliceWriter::removed(const Json& object) {
  impl_->removed(object);
}

void SliceWriter::failed(const Error& /*error*/) {
}  // the thread's own calls tell the same, where it matters

}  // namespace drasriov::publish
