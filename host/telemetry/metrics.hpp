// SPDX-License-Identifier: Apache-2.0
//
// Metrics: the counters, gauges and histograms of the host and, under "drasriov_module_", of the
// modules. One object for the process, owned by app/. [any] thread; the lock is held for a map
// look-up and an addition.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::telemetry {

/// A label; values are bounded (instance names, operations, codes), never names of claims or pods.
struct Label {
  std::string_view name;
  std::string_view value;
};

class Metrics {
 public:
  explicit Metrics(Log& log) : log_(log) {}

  /// Names are "[a-z_][a-z0-9_]*" with the unit last (Prometheus conventions); counters end in
  /// "_total". A name that is used as another kind or with other label names than the first time,
  /// or is no such name, is dropped and logged once.
  void counter_add(std::string_view name, std::span<const Label> labels, double amount);
  void gauge_set(std::string_view name, std::span<const Label> labels, double value);
  /// In the buckets kBuckets, which fit seconds.
  void histogram_observe(std::string_view name, std::span<const Label> labels, double value);

  /// All series in Prometheus' text format 0.0.4, sorted by name and labels.
  [[nodiscard]] std::string text() const;

  static constexpr std::array<double, 13> kBuckets = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30};

 private:
  enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
  struct Series {
    double value = 0;  ///< sum of a histogram
    std::array<std::uint64_t, kBuckets.size() + 1> counts{};
  };
  struct Family {
    Kind kind = Kind::kCounter;
    std::vector<std::string> label_names;
    std::map<std::vector<std::string>, Series> series;  ///< by label values
  };

  /// nullptr when the name is refused.
  Series* find(Kind kind, std::string_view name, std::span<const Label> labels)
      DRASRIOV_REQUIRES(mutex_);

  Log& log_;
  mutable Mutex mutex_;
  std::map<std::string, Family, std::less<>> families_ DRASRIOV_GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> refused_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::telemetry
