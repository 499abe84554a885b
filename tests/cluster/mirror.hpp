// SPDX-License-Identifier: Apache-2.0
//
// Mirror: what a reflector has told about a collection, for tests that wait for a state of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/cluster/reflector.hpp"

namespace drasriov::cluster::testing {

class Mirror final : public ReflectorObserver {
 public:
  /// Object name to resource version.
  using State = std::map<std::string, std::string>;

  void replaced(const std::vector<Json>& objects) override {
    const MutexLock lock(mutex_);
    state_.clear();
    for (const Json& object : objects) put(object);
    changed_.notify_all();
  }
  void changed(const Json& object) override {
    const MutexLock lock(mutex_);
    put(object);
    changed_.notify_all();
  }
  void removed(const Json& object) override {
    const MutexLock lock(mutex_);
    state_.erase(object["metadata"]["name"].get<std::string>());
    changed_.notify_all();
  }
  void failed(const Error& error) override {
    const MutexLock lock(mutex_);
    errors_.push_back(error);
    changed_.notify_all();
  }

  void resumed() override {
    const MutexLock lock(mutex_);
    ++resumptions_;
    changed_.notify_all();
  }

  /// Whether it comes to that in time.
  [[nodiscard]] ::testing::AssertionResult becomes(const State& state) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    const MutexLock lock(mutex_);
    while (state_ != state) {
      if (!changed_.wait_until(mutex_, until))
        return ::testing::AssertionFailure() << ::testing::PrintToString(state_);
    }
    return ::testing::AssertionSuccess();
  }
  [[nodiscard]] bool fails_with(Code code) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    const MutexLock lock(mutex_);
    while (std::ranges::none_of(errors_, [&](const Error& e) { return e.code() == code; })) {
      if (!changed_.wait_until(mutex_, until)) return false;
    }
    return true;
  }
  [[nodiscard]] State state() {
    const MutexLock lock(mutex_);
    return state_;
  }
  [[nodiscard]] int resumptions() {
    const MutexLock lock(mutex_);
    return resumptions_;
  }
  [[nodiscard]] std::vector<Error> errors() {
    const MutexLock lock(mutex_);
    return errors_;
  }
  [[nodiscard]] std::vector<std::string> messages() {
    std::vector<std::string> texts;
    for (const Error& error : errors()) texts.push_back(error.message());
    return texts;
  }

 private:
  static constexpr std::chrono::seconds kPatience{30};

  void put(const Json& object) DRASRIOV_REQUIRES(mutex_) {
    const Json& metadata = object["metadata"];
    state_[metadata["name"].get<std::string>()] = metadata["resourceVersion"].get<std::string>();
  }

  Mutex mutex_;
  CondVar changed_;
  State state_ DRASRIOV_GUARDED_BY(mutex_);
  std::vector<Error> errors_ DRASRIOV_GUARDED_BY(mutex_);
  int resumptions_ DRASRIOV_GUARDED_BY(mutex_) = 0;
};

}  // namespace drasriov::cluster::testing
