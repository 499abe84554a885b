// SPDX-License-Identifier: Apache-2.0
//
// Reflector: keeps observers in line with collections of API objects by list and watch, through any
// fault: a watch that ends is resumed from the last resource version, one that is too old (410) is
// replaced by a new list, everything else is tried again with jittered exponential back-off. One
// thread for each collection, so that a list that hangs holds up no other; the calls of an observer
// are made on the thread of its collection.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "host/base/result.hpp"
#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster {

/// Hears one collection. Calls come on that collection's thread, must not block for long and must not
/// stop the reflector.
class ReflectorObserver {
 public:
  virtual ~ReflectorObserver() = default;
  /// All objects as they are now; replaces whatever was told before.
  virtual void replaced(const std::vector<Json>& objects) = 0;
  /// An object that is new or changed.
  virtual void changed(const Json& object) = 0;
  virtual void removed(const Json& object) = 0;
  /// The collection cannot be followed for now, and is tried again; what was told last stays.
  /// NOT_FOUND: the kind is not served (its CRD is missing). Called once for each failed attempt.
  virtual void failed(const Error& error) = 0;
  /// After failed(): a watch goes on from where it was, and has told something (an event or a bookmark, within a
  /// minute or two). Where a new list was needed replaced() says so instead.
  virtual void resumed() {}
};

struct ReflectorSettings {
  std::chrono::milliseconds list_deadline{std::chrono::seconds(30)};
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{std::chrono::seconds(30)};
  /// Watch events that may wait for the thread; beyond it they are dropped and the collection is
  /// listed anew.
  std::size_t queue_limit = 8192;
};

class Reflector {
 public:
  /// `api` outlives the reflector.
  explicit Reflector(ClusterApi& api, ReflectorSettings settings = {});
  /// stop()
  ~Reflector();
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  /// REQUIRES: before start(); an observer follows one collection. `observer` outlives stop().
  void follow(Resource resource, Selector selector, ReflectorObserver& observer);
  void start();
  /// Returns when no observer call is under way or will come.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::cluster
