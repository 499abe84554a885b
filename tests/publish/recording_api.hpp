// SPDX-License-Identifier: Apache-2.0
//
// RecordingApi: a cluster that keeps what is written into it; and a log that keeps nothing.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::publish {

using Json = nlohmann::json;

/// Keeps what was written; answers from a script of errors first.
class RecordingApi final : public cluster::ClusterApi {
 public:
  Result<Json> apply_status(const cluster::Resource& /*resource*/, const Json& object,
                            std::string_view manager, Deadline /*deadline*/) override {
    {
      const MutexLock lock(mutex_);
      applied_ = object;
    }
    const Json& status = object["status"];
    const Json& teller = status.contains("devices") ? status["devices"][0] : status;
    return write("apply by " + std::string(manager) + " " +
                     object["metadata"]["name"].get<std::string>() + " " +
                     teller["conditions"][0]["status"].get<std::string>(),
                 object);
  }
  Result<Json> create(const cluster::Resource& resource, const Json& object,
                      Deadline /*deadline*/) override {
    return write("create " + resource.plural + " " + object["note"].get<std::string>(), object);
  }
  Result<Json> update(const cluster::Resource& resource, const Json& object,
                      Deadline /*deadline*/) override {
    return write(
        "update " + resource.plural + " x" + std::to_string(object["series"]["count"].get<int>()),
        object);
  }
  Result<Json> get(const cluster::Resource& resource, const cluster::ObjectKey& key,
                   Deadline /*deadline*/) override {
    Json object;
    {
      const MutexLock lock(mutex_);
      object = stored_;
    }
    return write("get " + resource.plural + " " + key.to_string(), object);
  }
  Result<cluster::ObjectList> list(const cluster::Resource&, const cluster::Selector&,
                                   Deadline) override {
    return unused();
  }
  Result<std::unique_ptr<cluster::Watch>> watch(const cluster::Resource&, const cluster::Selector&,
                                                std::string_view, cluster::WatchSink&) override {
    return unused();
  }
  Status remove(const cluster::Resource&, const cluster::ObjectKey&, const cluster::Preconditions&,
                Deadline) override {
    return unused();
  }

  /// What happens while the next call is under way.
  void during_next(std::function<void()> happens) {
    const MutexLock lock(mutex_);
    during_next_ = std::move(happens);
  }
  void fail_next(Code code) {
    const MutexLock lock(mutex_);
    errors_.push_back(code);
  }
  /// What was applied last, whatever came of it.
  [[nodiscard]] Json applied() {
    const MutexLock lock(mutex_);
    return applied_;
  }
  /// What get() answers.
  void store(Json object) {
    const MutexLock lock(mutex_);
    stored_ = std::move(object);
  }
  using Calls = std::vector<std::string>;
  [[nodiscard]] ::testing::AssertionResult sees(const Calls& expected) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(mutex_);
    while (calls_ != expected) {
      if (!changed_.wait_until(mutex_, until))
        return ::testing::AssertionFailure() << ::testing::PrintToString(calls_);
    }
    return ::testing::AssertionSuccess();
  }

 private:
  static Error unused() { return {Code::kUnimplemented, "not part of this test"}; }
  Result<Json> write(std::string call, const Json& object) {
    std::function<void()> happens;
    {
      const MutexLock lock(mutex_);
      happens = std::exchange(during_next_, nullptr);
    }
    if (happens) happens();
    const MutexLock lock(mutex_);
    changed_.notify_all();
    if (!errors_.empty()) {
      const Code code = errors_.front();
      errors_.pop_front();
      calls_.push_back(call + " -> " + std::string(code_name(code)));
      return Error(code, "scripted");
    }
    calls_.push_back(std::move(call));
    return object;
  }
  Mutex mutex_;
  CondVar changed_;
  Calls calls_ DRASRIOV_GUARDED_BY(mutex_);
  std::function<void()> during_next_ DRASRIOV_GUARDED_BY(mutex_);
  std::deque<Code> errors_ DRASRIOV_GUARDED_BY(mutex_);
  Json stored_ DRASRIOV_GUARDED_BY(mutex_);
  Json applied_ DRASRIOV_GUARDED_BY(mutex_);
};

class QuietLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level /*level*/) const noexcept override { return false; }
  void write(telemetry::Level, std::string_view, std::span<const telemetry::Field>,
             const std::source_location*) override {}
};

}  // namespace drasriov::publish
