// SPDX-License-Identifier: Apache-2.0
//
// Measures a driver as kubelet sees it, and prints JSON; tests/bench/run builds, runs and shows it.
//   driver_bench [--rounds N] [--cycles N] [--api] [--go DRIVER-NAME] [--netconf MODULE.SO]
//                DRIVER MKSYSFS.PY NAME…
// With --api objects come from an API server; with --go DRIVER is the Go driver of that name;
// --netconf is for `sandboxes`.
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
                                         {"sandboxes", drasriov::bench::measure_sandboxes},
                                         {"api", drasriov::bench::measure_api},
                                         {"soak", drasriov::bench::measure_soak}};

int usage() {
  std::fprintf(stderr,
               "usage: driver_bench [--rounds N] [--cycles N] [--api] [--go DRIVER-NAME] "
               "[--netconf MODULE.SO] DRIVER MKSYSFS.PY NAME…\n");
  return 2;
}

/// What is no flag goes to `positional`. False: wrong flags.
bool parse(const std::vector<std::string>& arguments, Subject& subject,
           std::vector<std::string>& positional) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      positional.push_back(argument);
    } else if (argument == "--api") {
      subject.program.uses_api = true;
    } else if (i + 1 == arguments.size()) {
      return false;
    } else if (argument == "--go") {
      subject.program.is_go = subject.program.uses_api = true;
      subject.program.driver_name = arguments[++i];
    } else if (argument == "--netconf") {
      subject.netconf = arguments[++i];
    } else if (argument == "--rounds" || argument == "--cycles") {
      const int number = std::atoi(arguments[++i].c_str());
      if (number < 1) return false;
      (argument == "--rounds" ? subject.rounds : subject.cycles) = number;
    } else {
      return false;
    }
  }
  return positional.size() >= 3;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  Subject subject;
  subject.cycles = 10'000;
  std::vector<std::string> positional;
  if (!parse(arguments, subject, positional)) return usage();
  subject.program.binary = positional[0];
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
