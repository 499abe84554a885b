// SPDX-License-Identifier: Apache-2.0
//
// TokenBucket: the client-side limit of KUBE_API_QPS and KUBE_API_BURST. A pure function of the times it is given; one
// thread.
#pragma once

#include <algorithm>
#include <chrono>

namespace drasriov::cluster::kube {

class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;

  /// REQUIRES: `rate` > 0 (a second), `burst` >= 1.
  TokenBucket(double rate, int burst) : rate_(rate), burst_(burst), tokens_(burst) {}

  /// Takes a token, or says no.
  [[nodiscard]] bool take(Clock::time_point now) {
    refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

  /// When take() will succeed; `now` if it does at once.
  [[nodiscard]] Clock::time_point ready_at(Clock::time_point now) {
    refill(now);
    if (tokens_ >= 1) return now;
    const std::chrono::duration<double> wait((1 - tokens_) / rate_);
    return now + std::chrono::ceil<std::chrono::microseconds>(wait);
  }

 private:
  void refill(Clock::time_point now) {
    if (now > filled_) {
      const std::chrono::duration<double> passed = now - filled_;
      tokens_ = std::min<double>(burst_, tokens_ + passed.count() * rate_);
      filled_ = now;
    }
  }

  double rate_;
  double burst_;
  double tokens_;
  Clock::time_point filled_{};
};

}  // namespace drasriov::cluster::kube
