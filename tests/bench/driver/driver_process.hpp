// SPDX-License-Identifier: Apache-2.0
//
// A driver under measurement: a machine made for it (synthetic sysfs, a folder as the cluster,
// kubelet's directories) and the process itself. Used from one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api_server.hpp"

namespace drasriov::bench {

/// What is measured, and how it is to be run.
struct Program {
  std::filesystem::path binary;
  std::string driver_name = "sriovnetwork.openshift.io";
  /// Objects come from an ApiServer instead of a folder.
  bool uses_api = false;
  /// It is the Go driver: flags by environment alone, and /sys is where the machine is.
  bool is_go = false;
  std::string modules;    ///< lines below `modules:`; empty = the default list
  bool networks = false;  ///< claims name a network attachment; with a folder
};

/// An allocated claim of the machine's cluster.
struct BenchClaim {
  std::string namespace_;
  std::string name;
  std::string uid;
};

/// Two temporary folders, removed with the object: one on the disk for what a node keeps on its
/// disk (the driver's data directory), one in memory for what is memory on a node as well (sysfs,
/// the CDI directory) and for the cluster, whose disk is another machine's. With `uses_api` the
/// cluster is an ApiServer in this process.
class Machine {
 public:
  /// A node with `vfs` VFs (at most 64 a PF) and one allocated claim for each of the first `claims`
  /// of them. Throws std::runtime_error.
  Machine(const Program& program, const std::filesystem::path& mksysfs, int vfs, int claims);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// As it was before the first driver ran.
  void forget_driver();

  [[nodiscard]] const Program& program() const { return program_; }
  /// nullptr with a folder.
  [[nodiscard]] const ApiServer* api() const { return api_.get(); }
  [[nodiscard]] const std::filesystem::path& memory() const { return memory_; }
  [[nodiscard]] const std::filesystem::path& disk() const { return disk_; }
  [[nodiscard]] const std::vector<BenchClaim>& claims() const { return claims_; }
  [[nodiscard]] std::string registration_socket() const;
  [[nodiscard]] std::string dra_socket() const;
  [[nodiscard]] std::filesystem::path data_directory() const;
  /// Devices in all slices that the driver has written so far; reads only what is new.
  [[nodiscard]] int published_devices();
  /// Files that a driver must not leave when no claim is prepared: CDI specs and journal records.
  [[nodiscard]] int leftovers() const;

 private:
  struct Slice {
    std::filesystem::file_time_type written;
    int devices = 0;
  };
  void make_folder_cluster();
  void make_api();

  const Program program_;
  std::filesystem::path memory_;
  std::filesystem::path disk_;
  std::unique_ptr<ApiServer> api_;
  std::vector<BenchClaim> claims_;
  std::map<std::string, Slice> slices_;
};

/// The process; ended with SIGTERM when the object goes.
class DriverProcess {
 public:
  explicit DriverProcess(const Machine& machine);
  ~DriverProcess();
  DriverProcess(const DriverProcess&) = delete;
  DriverProcess& operator=(const DriverProcess&) = delete;

  [[nodiscard]] std::chrono::steady_clock::time_point started() const { return started_; }
  [[nodiscard]] double resident_mib() const;  ///< VmRSS
  [[nodiscard]] double cpu_seconds() const;   ///< user and system, of all threads
  [[nodiscard]] int threads() const;
  [[nodiscard]] int descriptors() const;

 private:
  pid_t pid_ = -1;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace drasriov::bench
