// SPDX-License-Identifier: Apache-2.0
//
// A ClaimService whose answers the test decides, from a thread of its own, as the real one answers
// from workers.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/claim/claim_service.hpp"

namespace drasriov::dra {

class FakeClaims final : public claim::ClaimService {
 public:
  ~FakeClaims() override {
    for (auto& thread : threads_) thread.join();
  }

  /// By UID; a claim without one is answered with no devices.
  std::map<std::string, std::function<Result<std::vector<claim::PreparedDevice>>(Deadline)>>
      prepares;
  std::map<std::string, std::function<Status(Deadline)>> unprepares;

  void prepare(claim::ClaimRef claim, Deadline deadline, Prepared done) override {
    remember("prepare " + claim.to_string() + " " + claim.uid);
    run([this, claim = std::move(claim), deadline, done = std::move(done)] {
      const auto it = prepares.find(claim.uid);
      done(it == prepares.end()
               ? Result<std::vector<claim::PreparedDevice>>(std::vector<claim::PreparedDevice>{})
               : it->second(deadline));
    });
  }

  void unprepare(claim::ClaimRef claim, Deadline deadline, Unprepared done) override {
    remember("unprepare " + claim.to_string() + " " + claim.uid);
    run([this, claim = std::move(claim), deadline, done = std::move(done)] {
      const auto it = unprepares.find(claim.uid);
      done(it == unprepares.end() ? Status() : it->second(deadline));
    });
  }

  [[nodiscard]] std::vector<std::string> calls() {
    const MutexLock lock(mutex_);
    return calls_;
  }

 private:
  void remember(std::string call) {
    const MutexLock lock(mutex_);
    calls_.push_back(std::move(call));
  }
  void run(std::function<void()> work) {
    const MutexLock lock(mutex_);
    threads_.emplace_back(std::move(work));
  }

  Mutex mutex_;
  std::vector<std::string> calls_ DRASRIOV_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace drasriov::dra
