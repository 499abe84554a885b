// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_writer.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/publish/slice_planner.hpp"

namespace drasriov::publish {
namespace {

using Clock = std::chrono::steady_clock;
using cluster::Json;

/// How many deletions are remembered before the slices are listed anew instead.
constexpr std::size_t kMostDeletions = 1024;

std::string name_of(const Json& object) {
  return object.value(Json::json_pointer("/metadata/name"), std::string());
}

std::string version_of(const Json& object) {
  return object.value(Json::json_pointer("/metadata/resourceVersion"), std::string());
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

  [[nodiscard]] SliceState state() const {
    const MutexLock lock(mutex_);
    return state_;
  }

  void replaced(const std::vector<Json>& objects) {
    const MutexLock lock(mutex_);
    if (!listed_) {
      // Before our first write no list can be too old.
      if (wrote_) return;
      observed_.clear();
      deletions_.clear();
      for (const Json& object : objects) (void)merge(observe_slice(object));
      listed_ = true;
      return;
    }
    const auto is_known = [this](const Json& object) DRASRIOV_REQUIRES(mutex_) {
      const auto known = observed_.find(name_of(object));
      return known != observed_.end() && known->second.resource_version == version_of(object);
    };
    if (objects.size() == observed_.size() && std::ranges::all_of(objects, is_known)) return;
    // This list may be older than our latest writes, and it does not say so. The thread makes its
    // own, between its writes.
    listed_ = false;
    foreign_change();
  }

  void changed(const Json& object) {
    {
      // Most events tell of our own writes, whose answers have been taken in already.
      const MutexLock lock(mutex_);
      if (!listed_ || !is_news(name_of(object), number_of(version_of(object)))) return;
    }
    ObservedSlice slice = observe_slice(object);
    const MutexLock lock(mutex_);
    if (listed_ && merge(std::move(slice))) foreign_change();
  }

  void removed(const Json& object) {
    const std::string name = name_of(object);
    const std::uint64_t version = number_of(version_of(object));
    const MutexLock lock(mutex_);
    if (!listed_) return;
    std::uint64_t& deletion = deletions_[name];
    deletion = std::max(deletion, version);
    if (deletions_.size() > kMostDeletions) listed_ = false;
    const auto known = observed_.find(name);
    if (known == observed_.end() || number_of(known->second.resource_version) > version) return;
    observed_.erase(known);
    slice_vanished();
  }

 private:
  [[nodiscard]] bool is_news(const std::string& name, std::uint64_t version) const
      DRASRIOV_REQUIRES(mutex_) {
    const auto deleted = deletions_.find(name);
    if (deleted != deletions_.end() && version <= deleted->second) return false;
    const auto known = observed_.find(name);
    return known == observed_.end() || version > number_of(known->second.resource_version);
  }

  /// Takes in what is newer than what is known, whatever the order in which answers and watch
  /// events arrive. False: it is old news.
  bool merge(ObservedSlice slice) DRASRIOV_REQUIRES(mutex_) {
    if (!is_news(slice.name, number_of(slice.resource_version))) return false;
    observed_[slice.name] = std::move(slice);
    return true;
  }

  /// Perhaps the Node was made anew and its slices were collected: its UID is read again before
  /// anything is created.
  void slice_vanished() DRASRIOV_REQUIRES(mutex_) {
    node_uid_.reset();
    foreign_change();
  }

  void foreign_change() DRASRIOV_REQUIRES(mutex_) {
    const auto now = Clock::now();
    if (!first_foreign_) first_foreign_ = now;
    const auto quiet_until =
        std::min(now + settings_.quiet, *first_foreign_ + settings_.longest_quiet);
    if (!due_ || *due_ > now) due_ = quiet_until;
    wake_.notify_all();
  }

  void run() {
    for (;;) {
      {
        const MutexLock lock(mutex_);
        while (!stopping_ && (!(wanted_ || pool_) || !due_ || Clock::now() < *due_)) {
          wake_.wait_until(mutex_, due_ && (wanted_ || pool_) ? *due_ : Clock::time_point::max());
        }
        if (stopping_) return;
        due_.reset();
        first_foreign_.reset();
        if (wanted_) {
          pool_ = Pool{settings_.driver, settings_.node, {}, *std::move(wanted_)};
          wanted_.reset();
        }
      }
      const Status done = synchronise(*pool_);
      if (done) {
        backoff_.reset();
        last_error_.clear();
        {
          const MutexLock lock(mutex_);
          state_.last_success = std::chrono::system_clock::now();
          state_.last_error.clear();
        }
        published_();
      } else {
        report(done.error());
        retry_later(done.error());
      }
    }
  }

  /// One plan and its writes. An error leaves the rest undone and makes the next pass list first.
  [[nodiscard]] Status synchronise(Pool& pool) {
    if (auto listed = list_once(); !listed) return listed;
    if (auto known = know_node(pool); !known) return known;
    std::vector<ObservedSlice> observed;
    {
      const MutexLock lock(mutex_);
      observed.reserve(observed_.size());
      for (const auto& [name, slice] : observed_) observed.push_back(slice);
    }
    for (ObservedSlice& slice : observed) {
      // What the server made of a content that it stored without some fields counts as that content.
      if (const auto accepted = accepted_.find(slice.digest); accepted != accepted_.end())
        slice.digest = accepted->second;
    }
    const SlicePlan plan = plan_slices(pool, observed, placement_);
    placement_ = plan.placement;
    std::erase_if(accepted_, [&](const auto& accepted) {
      return std::ranges::find(plan.slices, accepted.second, &PlannedSlice::digest) ==
             plan.slices.end();
    });
    for (const SliceWrite& write : plan.writes) {
      if (auto written = apply(pool, plan, write); !written) {
        const MutexLock lock(mutex_);
        listed_ = false;
        return written;
      }
    }
    {
      const MutexLock lock(mutex_);
      state_.generation = plan.generation;
      state_.slices = plan.slices.size();
      state_.devices = pool.entries.size();
    }
    if (!plan.writes.empty()) {
      log_.info("published: devices " + std::to_string(pool.entries.size()) + ", slices " +
                std::to_string(plan.slices.size()) + ", generation " +
                std::to_string(plan.generation) + ", writes " + std::to_string(plan.writes.size()));
    }
    return {};
  }

  /// Lists unless the watch has been followed since the last list without a fault.
  [[nodiscard]] Status list_once() {
    {
      const MutexLock lock(mutex_);
      if (listed_) return {};
      // From here on the watch adds what is newer than the list.
      listed_ = true;
      observed_.clear();
      deletions_.clear();
      node_uid_.reset();  // slices may have vanished since, and their owner with them
    }
    auto list = cluster_.list(cluster::resource_slices(), selector(), deadline());
    const MutexLock lock(mutex_);
    if (!list) {
      listed_ = false;
      return std::move(list).error();
    }
    for (const Json& object : list->items) (void)merge(observe_slice(object));
    return {};
  }

  [[nodiscard]] Status know_node(Pool& pool) {
    {
      const MutexLock lock(mutex_);
      if (node_uid_) {
        pool.node_uid = *node_uid_;
        return {};
      }
      node_uid_ = "";  // reset again by a slice that vanishes while the Node is read
    }
    auto fresh = read_node_uid();
    const MutexLock lock(mutex_);
    if (!fresh) {
      node_uid_.reset();
      return std::move(fresh).error();
    }
    if (node_uid_) node_uid_ = *fresh;
    pool.node_uid = *std::move(fresh);
    return {};
  }

  [[nodiscard]] Result<std::string> read_node_uid() {
    const auto node = cluster_.get(cluster::nodes(), {"", settings_.node}, deadline());
    if (!node && node.error().code() == Code::kNotFound) {
      return node.error()
          .with_context("owner of the slices")
          .with_hint(
              "the driver needs the Node object of this machine: kubelet makes it when it "
              "registers, in a cluster folder it is a YAML file; or correct nodeName "
              "(NODE_NAME, --node-name)");
    }
    if (!node) return node.error().with_context("owner of the slices");
    return node->value(Json::json_pointer("/metadata/uid"), std::string());
  }

  [[nodiscard]] Status apply(const Pool& pool, const SlicePlan& plan, const SliceWrite& write) {
    wrote_ = true;
    log_.debug("slice " + (write.name.empty() ? std::to_string(write.index) : write.name) + ": " +
               write.reason);
    if (write.kind == SliceWrite::Kind::kDelete) {
      auto removed = cluster_.remove(cluster::resource_slices(), {"", write.name},
                                     {write.uid, write.resource_version}, deadline());
      if (!removed && removed.error().code() != Code::kNotFound) return removed;
      const MutexLock lock(mutex_);
      observed_.erase(write.name);
      deletions_[write.name] = std::numeric_limits<std::uint64_t>::max();  // whatever comes of it
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
    ObservedSlice slice = observe_answer(*stored, object, planned->digest);
    if (slice.digest != planned->digest &&
        accepted_.emplace(slice.digest, planned->digest).second) {
      log_.warning("the API server stored slice " + slice.name +
                   " without some of its fields — hint: a feature gate of the API server is off; "
                   "list attributes need "
                   "DRAListTypeAttributes");
    }
    const MutexLock lock(mutex_);
    (void)merge(std::move(slice));
    return {};
  }

  void retry_later(const Error& error) {
    // What the server finds invalid it will find invalid again: only new devices or a foreign change help soon.
    const auto at =
        Clock::now() + (error.code() == Code::kInvalidArgument ? jittered(settings_.longest_backoff)
                                                               : backoff_.next());
    const MutexLock lock(mutex_);
    due_ = due_ ? std::min(*due_, at) : at;
  }

  /// Once for each new text: a server that is down is one line, not one for each attempt.
  void report(const Error& error) {
    std::string text = error.with_context("publish slices").to_string();
    {
      const MutexLock lock(mutex_);
      state_.last_error = text;
      state_.last_error_time = std::chrono::system_clock::now();
    }
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
  std::optional<Pool> pool_;  ///< what is to be published; nullopt before the first publish()
  Placement placement_;
  std::map<std::string, std::string> accepted_;  ///< digest as stored → digest as sent
  Backoff backoff_{settings_.first_backoff, settings_.longest_backoff};
  std::string last_error_;

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
  std::optional<std::vector<SliceEntry>> wanted_ DRASRIOV_GUARDED_BY(mutex_);  ///< not taken up yet
  std::optional<Clock::time_point> due_ DRASRIOV_GUARDED_BY(mutex_);
  std::optional<Clock::time_point> first_foreign_ DRASRIOV_GUARDED_BY(mutex_);
  std::atomic<bool> wrote_{false};  ///< something, perhaps without an answer
  SliceState state_ DRASRIOV_GUARDED_BY(mutex_);
  bool listed_ DRASRIOV_GUARDED_BY(mutex_) = false;  ///< listed since the last fault, or listing
  std::map<std::string, ObservedSlice> observed_ DRASRIOV_GUARDED_BY(mutex_);
  /// Slice name → version of its deletion, since the last list: a late answer must not revive it.
  std::map<std::string, std::uint64_t> deletions_ DRASRIOV_GUARDED_BY(mutex_);
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

SliceState SliceWriter::state() const {
  return impl_->state();
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
