// SPDX-License-Identifier: Apache-2.0
//
// What the tasks of ClaimRunner share. Internal to claim/. Owned by ClaimRunner; any thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/claim/claim_runner.hpp"

namespace drasriov::claim {

/// Hands events to ClaimEvents in the order in which they were added, one at a time, without a lock
/// held: whoever finds nobody delivering does it, after its answer.
class Outbox {
 public:
  Outbox(ClaimEvents& events, const Journal& journal, std::string driver_name)
      : events_(events),
        journal_(journal),
        driver_name_(std::move(driver_name)) {}

  void status(const Record& record) DRASRIOV_EXCLUDES(mutex_);
  void recovered(const Record& record) DRASRIOV_EXCLUDES(mutex_);
  void forgotten(const ClaimRef& claim) DRASRIOV_EXCLUDES(mutex_);
  void warning(const ClaimRef& claim, std::string reason, std::string message)
      DRASRIOV_EXCLUDES(mutex_);
  /// Delivers what was added and, when the journal's held devices changed, those.
  void deliver() DRASRIOV_EXCLUDES(mutex_);

 private:
  using Message = std::function<void(ClaimEvents&)>;
  void add(Message message) DRASRIOV_EXCLUDES(mutex_);

  ClaimEvents& events_;
  const Journal& journal_;
  const std::string driver_name_;
  Mutex mutex_;
  std::deque<Message> messages_ DRASRIOV_GUARDED_BY(mutex_);
  HeldSnapshot told_ DRASRIOV_GUARDED_BY(mutex_);
  bool delivering_ DRASRIOV_GUARDED_BY(mutex_) = false;
};

/// The claims that wait for another attempt to undo them.
class UndoRetries {
 public:
  /// When to come again, counted from now; nullopt when an attempt is already waiting.
  [[nodiscard]] std::optional<RunnerSettings::Duration> schedule(const std::string& uid,
                                                                 const RunnerSettings& settings)
      DRASRIOV_EXCLUDES(mutex_);
  void fired(const std::string& uid) DRASRIOV_EXCLUDES(mutex_);
  void forget(const std::string& uid) DRASRIOV_EXCLUDES(mutex_);

 private:
  struct Retry {
    Backoff backoff;
    bool waiting = false;
  };
  Mutex mutex_;
  std::map<std::string, Retry> retries_ DRASRIOV_GUARDED_BY(mutex_);
};

struct RunnerContext {
  RunnerContext(RunnerSettings given, RunnerParts with)
      : settings(std::move(given)),
        parts(std::move(with)),
        outbox(parts.events, parts.journal, settings.plan.driver_name) {}

  const RunnerSettings settings;
  const RunnerParts parts;
  Outbox outbox;
  UndoRetries undo_retries;
};

}  // namespace drasriov::claim
