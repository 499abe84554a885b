// SPDX-License-Identifier: Apache-2.0
//
// The measurements by name, each on a machine and with driver processes of its own.
#pragma once

#include <filesystem>
#include <vector>

#include "driver_process.hpp"
#include "results.hpp"

namespace drasriov::bench {

struct Subject {
  Program program;
  std::filesystem::path mksysfs;
  std::filesystem::path netconf;  ///< of `sandboxes`: the module that plays CNI
  int rounds = 5;                 ///< starts of each machine
  int cycles = 0;                 ///< of `soak`
};

/// From exec() to the answer to GetInfo and to all devices in slices, the best of the rounds;
/// memory when the process is idle again.
[[nodiscard]] std::vector<Row> measure_start(const Subject& subject);
/// One claim at a time, without and with 100 others prepared.
[[nodiscard]] std::vector<Row> measure_claims(const Subject& subject);
/// 8 and 32 calls at once; 8 and 64 claims in a call.
[[nodiscard]] std::vector<Row> measure_parallel(const Subject& subject);
/// What the container runtime waits for.
[[nodiscard]] std::vector<Row> measure_sandboxes(const Subject& subject);
/// With an API server: memory, requests at idle and for each claim.
[[nodiscard]] std::vector<Row> measure_api(const Subject& subject);
/// What grows over many prepares and unprepares.
[[nodiscard]] std::vector<Row> measure_soak(const Subject& subject);

}  // namespace drasriov::bench
