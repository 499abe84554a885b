// SPDX-License-Identifier: Apache-2.0
#include "results.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>

namespace drasriov::bench {

Quantiles quantiles(std::vector<double> samples) {
  if (samples.empty()) throw std::runtime_error("no samples");
  std::ranges::sort(samples);
  const auto at = [&](double q) {
    return samples[static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1))];
  };
  return {at(0.5), at(0.99)};
}

double best(const std::vector<double>& samples) {
  if (samples.empty()) throw std::runtime_error("no samples");
  return *std::ranges::min_element(samples);
}

std::string to_json(const std::vector<Row>& rows) {
  std::string text = "[\n";
  for (const Row& row : rows) {
    std::array<char, 512> line{};
    std::snprintf(line.data(), line.size(),
                  R"(  {"name": "%s", "unit": "%s", "value": %.4f, "floor": %.4f, "budget": %.4f, )"
                  R"("better": "%s"}%s)",
                  row.name.c_str(), row.unit.c_str(), row.value, row.floor, row.budget,
                  row.better == Row::Better::kLess ? "less" : "more",
                  &row == &rows.back() ? "\n" : ",\n");
    text += line.data();
  }
  return text + "]\n";
}

}  // namespace drasriov::bench
