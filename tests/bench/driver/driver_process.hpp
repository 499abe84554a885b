// SPDX-License-Identifier: Apache-2.0
//
// A driver under measurement: a machine made for it in a temporary folder (synthetic sysfs, a
// folder as the cluster, kubelet's directories) and the process itself. Used from one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace drasriov::bench {

/// An allocated claim of the machine's cluster.
struct BenchClaim {
  std::string namespace_;
  std::string name;
  std::string uid;
};

/// Files below one temporary folder, removed with the object.
class Machine {
 public:
  /// A node with `vfs` VFs (at most 64 a PF) and one allocated claim for each of the first `claims`
  /// of them. Throws std::runtime_error.
  Machine(const std::filesystem::path& mksysfs, int vfs, int claims);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] const std::vector<BenchClaim>& claims() const { return claims_; }
  [[nodiscard]] std::string registration_socket() const;
  [[nodiscard]] std::string dra_socket() const;
  [[nodiscard]] std::filesystem::path data_directory() const;
  /// Devices in all slices that the driver has written so far.
  [[nodiscard]] int published_devices() const;
  /// Files that a driver must not leave when no claim is prepared: CDI specs and journal records.
  [[nodiscard]] int leftovers() const;

 private:
  std::filesystem::path root_;
  std::vector<BenchClaim> claims_;
};

/// The process; ended with SIGTERM when the object goes.
class DriverProcess {
 public:
  DriverProcess(const std::filesystem::path& binary, const Machine& machine);
  ~DriverProcess();
  DriverProcess(const DriverProcess&) = delete;
  DriverProcess& operator=(const DriverProcess&) = delete;

  [[nodiscard]] std::chrono::steady_clock::time_point started() const { return started_; }
  [[nodiscard]] double resident_mib() const;  ///< VmRSS
  [[nodiscard]] double cpu_seconds() const;   ///< user and system
  [[nodiscard]] int threads() const;
  [[nodiscard]] int descriptors() const;

 private:
  pid_t pid_ = -1;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace drasriov::bench
