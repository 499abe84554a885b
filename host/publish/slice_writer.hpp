// SPDX-License-Identifier: Apache-2.0
//
// SliceWriter: keeps this node's ResourceSlices as they should be. Plans (slice_planner) and writes on a thread of its own,
// at once when the devices change, after a quiet period when somebody else deleted or edited a slice (kubelet deletes all of
// them when it restarts), with jittered back-off after an error. Writes nothing while nothing changes.
//
// As a ReflectorObserver it hears the slices of its driver and node; what it wrote itself it knows already and does not
// react to. publish() and state() from any thread, observer calls from the reflector's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/cluster/cluster_api.hpp"
#include "host/cluster/reflector.hpp"
#include "host/publish/slice_entry.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::publish {

struct SliceWriterSettings {
  std::string driver;
  std::string node;
  std::chrono::milliseconds call_deadline{std::chrono::seconds(30)};
  /// After the last foreign change, and at most after the first: the deletions of one DELETECOLLECTION come in a burst.
  std::chrono::milliseconds quiet{std::chrono::seconds(2)};
  std::chrono::milliseconds longest_quiet{std::chrono::seconds(10)};
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{std::chrono::seconds(30)};
};

/// How far the writer is, for people.
struct SliceState {
  std::int64_t generation = 0;  ///< of the pool, as last planned; 0 before
  std::size_t slices = 0;
  std::size_t devices = 0;  ///< in the slices
  std::optional<std::chrono::system_clock::time_point> last_success;
  std::string last_error;  ///< of the last pass; empty when it succeeded
  std::optional<std::chrono::system_clock::time_point>
      last_error_time;  ///< also of an error since mended
};

class SliceWriter final : public cluster::ReflectorObserver {
 public:
  /// `published` [note] is called after every pass that left the slices as they should be. All outlive the writer.
  SliceWriter(SliceWriterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log,
              std::function<void()> published);
  /// stop()
  ~SliceWriter() override;

  /// Whose slices to follow.
  [[nodiscard]] cluster::Selector selector() const;

  void start();
  /// Ends the thread after the write that is under way. Slices stay: kubelet removes them if the driver does not come back.
  void stop();

  /// All devices of the node from now on, sorted by name (slice_entries()).
  void publish(std::vector<SliceEntry> entries);

  [[nodiscard]] SliceState state() const;

  void replaced(const std::vector<cluster::Json>& objects) override;
  void changed(const cluster::Json& object) override;
  void removed(const cluster::Json& object) override;
  void failed(const Error& error) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::publish
