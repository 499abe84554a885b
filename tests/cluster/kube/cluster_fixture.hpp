// SPDX-License-Identifier: Apache-2.0
//
// Small parts of the tests of the API client.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/cluster/kube/kube_cluster.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::cluster::kube::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Keeps the lines.
class KeptLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level /*level*/) const noexcept override { return true; }
  void write(telemetry::Level /*level*/, std::string_view message,
             std::span<const telemetry::Field> /*fields*/,
             const std::source_location* /*where*/) override {
    const MutexLock lock(mutex_);
    text_.append(message).push_back('\n');
  }
  [[nodiscard]] std::string text() const {
    const MutexLock lock(mutex_);
    return text_;
  }

 private:
  mutable Mutex mutex_;
  std::string text_ DRASRIOV_GUARDED_BY(mutex_);
};

inline Deadline soon() {
  return Deadline::after(seconds(10));
}

/// Times of a test instead of those of a cluster.
inline KubeSettings quick_settings() {
  KubeSettings settings;
  settings.http.user_agent = "dra-driver-sriov/test";
  settings.http.requests_per_second = 10'000;
  settings.http.burst = 10'000;
  settings.http.first_backoff = milliseconds(1);
  settings.http.longest_backoff = milliseconds(5);
  settings.http.stream_patience = seconds(20);
  settings.field_manager = "driver.example";
  return settings;
}

inline std::unique_ptr<KubeCluster> open_cluster(const Connection& connection, telemetry::Log& log,
                                                 KubeSettings settings = quick_settings()) {
  auto cluster = KubeCluster::open(connection, std::move(settings), log);
  EXPECT_TRUE(cluster) << cluster.error().to_string();
  return cluster ? *std::move(cluster) : nullptr;
}

}  // namespace drasriov::cluster::kube::testing
