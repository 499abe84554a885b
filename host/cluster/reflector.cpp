// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/reflector.hpp"

#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::cluster {
namespace {

using Clock = std::chrono::steady_clock;

/// A server that was restored from a backup answers an unknown version with errors that look like an
/// outage. After so many in a row (two minutes with the usual back-off) the collection is listed
/// anew; earlier would make each outage end with a list from every node.
constexpr int kResumeAttempts = 10;

std::string resource_version_of(const Json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end()) return {};
  const auto version = metadata->find("resourceVersion");
  return version != metadata->end() && version->is_string() ? version->get<std::string>()
                                                            : std::string();
}

}  // namespace

class Reflector::Impl {
  /// One collection: its own thread, queue and watch, so that a list that hangs holds up no other one.
  class Follower final : public WatchSink {
   public:
    Follower(ClusterApi& api, const ReflectorSettings& settings, Resource resource,
             Selector selector, ReflectorObserver& observer)
        : api_(api),
          settings_(settings),
          resource_(std::move(resource)),
          selector_(std::move(selector)),
          observer_(observer),
          backoff_(settings.first_backoff, settings.longest_backoff) {}

    void start() {
      thread_ = std::thread([this] { run(); });
    }

    /// The thread ends soon.
    void end() {
      {
        const MutexLock lock(mutex_);
        stopping_ = true;
      }
      changed_.notify_all();
    }
    /// After end().
    void join() {
      if (!thread_.joinable()) return;
      thread_.join();
      watch_.reset();  // waits for sink calls, which need mutex_
    }

    void event(WatchEventType type, const Json& object) override {
      push({watch_number_, type, object, std::nullopt});
    }
    void closed(const Status& status) override {
      push({watch_number_, WatchEventType::kBookmark, Json(), status});
    }

   private:
    /// What a watch told, waiting for the thread.
    struct Item {
      std::uint64_t watch_number = 0;
      WatchEventType type = WatchEventType::kBookmark;
      Json object;
      std::optional<Status> closed;
    };

    void push(Item item) {
      {
        const MutexLock lock(mutex_);
        if (queue_.size() >= settings_.queue_limit && !item.closed) {
          overflowed_ = true;
        } else {
          queue_.push_back(std::move(item));
        }
      }
      changed_.notify_all();
    }

    void run() {
      for (;;) {
        if (!watch_ && Clock::now() >= due_) attempt();
        std::optional<Item> item;
        {
          const MutexLock lock(mutex_);
          while (!stopping_ && queue_.empty() && Clock::now() < next_due())
            changed_.wait_until(mutex_, next_due());
          if (stopping_) return;
          if (!queue_.empty()) {
            item = std::move(queue_.front());
            queue_.pop_front();
          }
        }
        if (item) handle(*item);
      }
    }

    [[nodiscard]] Clock::time_point next_due() const {
      return watch_ ? Clock::time_point::max() : due_;
    }

    /// Lists when there is no version to go on from, then watches.
    void attempt() {
      if (version_.empty()) {
        auto list = api_.list(resource_, selector_, Deadline::after(settings_.list_deadline));
        if (!list) {
          fail(list.error());
          return;
        }
        version_ = list->resource_version;
        has_failed_ = false;
        observer_.replaced(list->items);
      }
      ++watch_number_;
      auto watch = api_.watch(resource_, selector_, version_, *this);
      if (!watch) {
        fail(watch.error());
        return;
      }
      watch_ = *std::move(watch);
    }

    void handle(Item& item) {
      if (item.watch_number != watch_number_) return;  // of a watch that was given up
      bool overflowed = false;
      {
        const MutexLock lock(mutex_);
        overflowed = std::exchange(overflowed_, false);
      }
      if (overflowed) {
        watch_.reset();
        ++watch_number_;
        version_.clear();
        due_ = Clock::time_point::min();
        return;
      }
      if (item.closed) {
        watch_.reset();
        if (!*item.closed) {
          fail(item.closed->error());
        } else {
          wait();  // a server that closes at once must not make us spin
        }
        return;
      }
      if (std::string version = resource_version_of(item.object); !version.empty())
        version_ = std::move(version);
      backoff_.reset();
      failures_ = 0;
      if (std::exchange(has_failed_, false)) observer_.resumed();
      switch (item.type) {
        case WatchEventType::kAdded:
        case WatchEventType::kModified: observer_.changed(item.object); break;
        case WatchEventType::kDeleted: observer_.removed(item.object); break;
        case WatchEventType::kBookmark: break;
      }
    }

    void fail(const Error& error) {
      if (error.code() == Code::kOutOfRange && !version_.empty()) {
        version_.clear();  // not a fault: the history is gone, list anew
      } else {
        if (++failures_ >= kResumeAttempts || !error.retryable()) {
          failures_ = 0;
          version_.clear();
        }
        has_failed_ = true;
        observer_.failed(error);
      }
      wait();
    }

    /// Sets the next attempt.
    void wait() { due_ = Clock::now() + backoff_.next(); }

    ClusterApi& api_;
    const ReflectorSettings& settings_;
    const Resource resource_;
    const Selector selector_;
    ReflectorObserver& observer_;
    std::thread thread_;

    // Of the thread. watch_number_ changes only while no watch runs.
    std::unique_ptr<Watch> watch_;
    std::uint64_t watch_number_ = 0;
    std::string version_;  ///< empty = list first
    Backoff backoff_;
    bool has_failed_ = false;                           ///< since what was told last
    int failures_ = 0;                                  ///< of the watch, in a row
    Clock::time_point due_ = Clock::time_point::min();  ///< next attempt, when there is no watch

    Mutex mutex_;
    CondVar changed_;
    std::deque<Item> queue_ DRASRIOV_GUARDED_BY(mutex_);
    bool overflowed_ DRASRIOV_GUARDED_BY(mutex_) = false;
    bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
  };

 public:
  Impl(ClusterApi& api, ReflectorSettings settings) : api_(api), settings_(settings) {}

  void follow(Resource resource, Selector selector, ReflectorObserver& observer) {
    followers_.push_back(std::make_unique<Follower>(api_, settings_, std::move(resource),
                                                    std::move(selector), observer));
  }

  void start() {
    for (const auto& follower : followers_) follower->start();
  }

  void stop() {
    for (const auto& follower : followers_) follower->end();
    for (const auto& follower : followers_) follower->join();
  }

 private:
  ClusterApi& api_;
  const ReflectorSettings settings_;
  std::vector<std::unique_ptr<Follower>> followers_;
};

Reflector::Reflector(ClusterApi& api, ReflectorSettings settings)
    : impl_(std::make_unique<Impl>(api, settings)) {}

Reflector::~Reflector() {
  impl_->stop();
}

void Reflector::follow(Resource resource, Selector selector, ReflectorObserver& observer) {
  impl_->follow(std::move(resource), std::move(selector), observer);
}

void Reflector::start() {
  impl_->start();
}

void Reflector::stop() {
  impl_->stop();
}

}  // namespace drasriov::cluster
