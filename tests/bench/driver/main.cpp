// SPDX-License-Identifier: Apache-2.0
//
// Measures a driver as kubelet sees it, and prints JSON; tests/bench/run builds, runs and shows it.
//   driver_bench [--rounds N] [--cycles N] DRIVER MKSYSFS.PY NAME…
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "measurements.hpp"

namespace {

using drasriov::bench::Row;
using drasriov::bench::Subject;

struct Measurement {
  const char* name;
  std::vector<Row> (*run)(const Subject&);
};
constexpr Measurement kMeasurements[] = {{"start", drasriov::bench::measure_start},
                                         {"claims", drasriov::bench::measure_claims},
                                         {"parallel", drasriov::bench::measure_parallel},
                                         {"soak", drasriov::bench::measure_soak}};

int usage() {
  std::fprintf(stderr, "usage: driver_bench [--rounds N] [--cycles N] DRIVER MKSYSFS.PY NAME…\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  Subject subject;
  subject.cycles = 10'000;
  std::vector<std::string> positional;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const bool is_rounds = arguments[i] == "--rounds";
    if (!is_rounds && arguments[i] != "--cycles") {
      positional.push_back(arguments[i]);
      continue;
    }
    const int number = i + 1 < arguments.size() ? std::atoi(arguments[++i].c_str()) : 0;
    if (number < 1) return usage();
    (is_rounds ? subject.rounds : subject.cycles) = number;
  }
  if (positional.size() < 3) return usage();
  subject.driver = positional[0];
  subject.mksysfs = positional[1];

  std::vector<Row> rows;
  for (std::size_t i = 2; i < positional.size(); ++i) {
    const Measurement* wanted = nullptr;
    for (const Measurement& measurement : kMeasurements) {
      if (positional[i] == measurement.name) wanted = &measurement;
    }
    if (wanted == nullptr) return usage();
    try {
      for (Row& row : wanted->run(subject)) rows.push_back(std::move(row));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "driver_bench: %s: %s\n", wanted->name, error.what());
      return 1;
    }
  }
  std::fputs(drasriov::bench::to_json(rows).c_str(), stdout);
  return 0;
}
