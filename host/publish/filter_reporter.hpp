// SPDX-License-Identifier: Apache-2.0
//
// FilterReporter: writes the status of SriovResourceFilters, off the path of whoever follows and applies them. Every node's
// driver sees the same objects and one of them has to write, so each waits a random time, and does nothing when another
// was faster: it sees the status by then, or the server refuses the write because the object is not the one it saw. At
// rest it asks the API server for nothing. One thread of its own from the first write on. [any] thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/cluster/cluster_api.hpp"
#include "host/publish/filter_status.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::publish {

struct FilterReporterSettings {
  std::string driver_name;
  std::string node_name;
  /// The longest wait before a write. With 5,000 nodes and 50 ms until all see a status, some 125 try in vain.
  std::chrono::milliseconds spread{std::chrono::seconds(2)};
  std::chrono::milliseconds call_deadline{std::chrono::seconds(10)};
  std::chrono::milliseconds first_backoff{500};
  /// After a definition or a role without status: nobody can write one then, and all nodes ask again.
  std::chrono::milliseconds refused_pause{std::chrono::minutes(15)};
  /// A server fails for ever on an object that is older than its definition, and all nodes ask.
  std::chrono::milliseconds longest_backoff{std::chrono::minutes(30)};
};

class FilterReporter {
 public:
  /// UID and generation of the filters that this node applies.
  using AppliedFilters = std::set<std::pair<std::string, std::int64_t>>;

  /// `cluster` and `log` outlive this.
  FilterReporter(FilterReporterSettings settings, cluster::ClusterApi& cluster,
                 telemetry::Log& log);
  /// stop()
  ~FilterReporter();
  FilterReporter(const FilterReporter&) = delete;
  FilterReporter& operator=(const FilterReporter&) = delete;

  /// What is not written by now another driver writes, or this one after its next start. Waits for a call that is under
  /// way; see ClusterApi::end_calls_by().
  void stop();

  /// All filter objects as they are now.
  void seen(std::vector<FilterState> filters);
  void applied(AppliedFilters filters);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::publish
