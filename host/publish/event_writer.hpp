// SPDX-License-Identifier: Apache-2.0
//
// EventWriter: writes events, off the path of whoever has something to tell. One thread of its own. The same event again
// within a window only counts, and the count is written when the window ends or at the stop; what the server does not take is retried with
// jittered back-off, in order; the queue is bounded, and what is dropped is said in the log. [any] thread.
#pragma once

#include <chrono>
#include <memory>

#include "host/cluster/cluster_api.hpp"
#include "host/publish/event_object.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::publish {

struct EventWriterSettings {
  Reporter reporter;
  std::chrono::milliseconds call_deadline{std::chrono::seconds(10)};
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{std::chrono::seconds(30)};
  std::chrono::milliseconds window{std::chrono::minutes(10)};
  std::size_t max_waiting = 256;
};

class EventWriter {
 public:
  /// `cluster` and `log` outlive the writer.
  EventWriter(EventWriterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log);
  /// stop()
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void start();
  /// Writes what is waiting and the counts if that takes no longer than `budget`, then ends the thread.
  void stop(std::chrono::milliseconds budget);

  void write(Event event);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::publish
