// SPDX-License-Identifier: Apache-2.0
//
// What a measurement gives, and the arithmetic on samples. Values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace drasriov::bench {

using Clock = std::chrono::steady_clock;

struct Row {
  enum class Better { kLess, kMore };
  std::string name;
  std::string unit;
  double value = 0;
  double floor = 0;   ///< what the same run could not have beaten; 0 = none is known
  double budget = 0;  ///< 0 = none
  Better better = Better::kLess;
};

[[nodiscard]] inline double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

/// Of samples, of which there is at least one.
struct Quantiles {
  double p50 = 0;
  double p99 = 0;
};
[[nodiscard]] Quantiles quantiles(std::vector<double> samples);

/// The least: of work that is the same each time, other work on the machine only ever makes it more.
[[nodiscard]] double best(const std::vector<double>& samples);

/// Milliseconds of each of `times` runs.
template <typename Action>
[[nodiscard]] std::vector<double> repeat(int times, Action action) {
  std::vector<double> samples;
  for (int i = 0; i < times; ++i) {
    const auto begin = Clock::now();
    action();
    samples.push_back(milliseconds(Clock::now() - begin));
  }
  return samples;
}

/// A JSON list of objects, one a line.
[[nodiscard]] std::string to_json(const std::vector<Row>& rows);

}  // namespace drasriov::bench
