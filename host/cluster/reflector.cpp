// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/reflector.hpp"

#include <algorithm>
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
 public:
  Impl(ClusterApi& api, ReflectorSettings settings) : api_(api), settings_(settings) {}

  void follow(Resource resource, Selector selector, ReflectorObserver& observer) {
    subscriptions_.push_back(
        std::make_unique<Subscription>(*this, std::move(resource), std::move(selector), observer));
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
    changed_.notify_all();
    thread_.join();
    // The watches end here: their destructors wait for sink calls, which need mutex_.
    for (const auto& subscription : subscriptions_) subscription->watch.reset();
  }

 private:
  struct Subscription;

  /// What a watch told, waiting for the reflector's thread.
  struct Item {
    Subscription* subscription = nullptr;
    std::uint64_t watch_number = 0;
    WatchEventType type = WatchEventType::kBookmark;
    Json object;
    std::optional<Status> closed;
  };

  struct Subscription final : WatchSink {
    Subscription(Impl& owner, Resource of, Selector with, ReflectorObserver& to)
        : impl(owner),
          resource(std::move(of)),
          selector(std::move(with)),
          observer(to),
          backoff(owner.settings_.first_backoff, owner.settings_.longest_backoff) {}

    void event(WatchEventType type, const Json& object) override {
      impl.push({this, watch_number, type, object, std::nullopt});
    }
    void closed(const Status& status) override {
      impl.push({this, watch_number, WatchEventType::kBookmark, Json(), status});
    }

    Impl& impl;
    const Resource resource;
    const Selector selector;
    ReflectorObserver& observer;

    // Of the reflector's thread. watch_number changes only while no watch runs.
    std::unique_ptr<Watch> watch;
    std::uint64_t watch_number = 0;
    std::string version;  ///< empty = list first
    Backoff backoff;
    bool has_failed = false;                           ///< since what was told last
    int failures = 0;                                  ///< of the watch, in a row
    Clock::time_point due = Clock::time_point::min();  ///< next attempt, when there is no watch
    bool overflowed = false;                           ///< guarded by Impl::mutex_
  };

  void push(Item item) {
    {
      const MutexLock lock(mutex_);
      if (queue_.size() >= settings_.queue_limit && !item.closed) {
        item.subscription->overflowed = true;
      } else {
        queue_.push_back(std::move(item));
      }
    }
    changed_.notify_all();
  }

  void run() {
    for (;;) {
      for (const auto& subscription : subscriptions_) {
        if (!subscription->watch && Clock::now() >= subscription->due) attempt(*subscription);
      }
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
    auto next = Clock::time_point::max();
    for (const auto& subscription : subscriptions_) {
      if (!subscription->watch) next = std::min(next, subscription->due);
    }
    return next;
  }

  /// Lists when there is no version to go on from, then watches.
  void attempt(Subscription& subscription) {
    if (subscription.version.empty()) {
      auto list = api_.list(subscription.resource, subscription.selector,
                            Deadline::after(settings_.list_deadline));
      if (!list) {
        fail(subscription, list.error());
        return;
      }
      subscription.version = list->resource_version;
      subscription.has_failed = false;
      subscription.observer.replaced(list->items);
    }
    ++subscription.watch_number;
    auto watch = api_.watch(subscription.resource, subscription.selector, subscription.version,
                            subscription);
    if (!watch) {
      fail(subscription, watch.error());
      return;
    }
    subscription.watch = *std::move(watch);
  }

  void handle(Item& item) {
    Subscription& subscription = *item.subscription;
    if (item.watch_number != subscription.watch_number) return;  // of a watch that was given up
    bool overflowed = false;
    {
      const MutexLock lock(mutex_);
      overflowed = std::exchange(subscription.overflowed, false);
    }
    if (overflowed) {
      subscription.watch.reset();
      ++subscription.watch_number;
      subscription.version.clear();
      subscription.due = Clock::time_point::min();
      return;
    }
    if (item.closed) {
      subscription.watch.reset();
      if (!*item.closed) {
        fail(subscription, item.closed->error());
      } else {
        wait(subscription);  // a server that closes at once must not make us spin
      }
      return;
    }
    if (std::string version = resource_version_of(item.object); !version.empty())
      subscription.version = version;
    subscription.backoff.reset();
    subscription.failures = 0;
    if (std::exchange(subscription.has_failed, false)) subscription.observer.resumed();
    switch (item.type) {
      case WatchEventType::kAdded:
      case WatchEventType::kModified: subscription.observer.changed(item.object); break;
      case WatchEventType::kDeleted: subscription.observer.removed(item.object); break;
      case WatchEventType::kBookmark: break;
    }
  }

  void fail(Subscription& subscription, const Error& error) {
    if (error.code() == Code::kOutOfRange && !subscription.version.empty()) {
      subscription.version.clear();  // not a fault: the history is gone, list anew
    } else {
      if (++subscription.failures >= kResumeAttempts || !error.retryable()) {
        subscription.failures = 0;
        subscription.version.clear();
      }
      subscription.has_failed = true;
      subscription.observer.failed(error);
    }
    wait(subscription);
  }

  /// Sets the next attempt.
  static void wait(Subscription& subscription) {
    subscription.due = Clock::now() + subscription.backoff.next();
  }

  ClusterApi& api_;
  const ReflectorSettings settings_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  std::thread thread_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> queue_ DRASRIOV_GUARDED_BY(mutex_);
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
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
