// SPDX-License-Identifier: Apache-2.0
//
// Endpoint: kubelet's two sockets. start() serves DRA and then registration; one thread of its own
// watches the sockets' folders and puts back what disappears, repeats device health, and registers
// again when kubelet refused; stop() withdraws from kubelet, lets running calls finish, and removes
// nothing that is not ours. Public functions from one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "host/base/result.hpp"
#include "host/claim/claim_service.hpp"
#include "host/dra/device_health.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::dra {

struct EndpointSettings {
  std::string driver_name;
  std::filesystem::path data_directory;       ///< created, mode 0750, when missing
  std::filesystem::path registrar_directory;  ///< kubelet's; waited for when missing
  std::chrono::milliseconds health_repeat{std::chrono::seconds(10)};
  std::chrono::milliseconds refused_backoff{
      std::chrono::seconds(10)};  ///< doubles up to twelve times as much
};

class Endpoint {
 public:
  /// All references outlive the endpoint.
  Endpoint(EndpointSettings settings, claim::ClaimService& claims, telemetry::Log& log);
  /// stop() with no time for running calls, if it was not called.
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Serves. A registrar directory that is not there yet is no error. INVALID_ARGUMENT: a path is
  /// too long; ALREADY_EXISTS: another process serves the same socket; else the errno of the
  /// socket.
  [[nodiscard]] Status start();

  /// Withdraws the registration, waits up to `budget` for running calls, ends.
  void stop(std::chrono::milliseconds budget);

  /// The complete list for kubelet's health stream; any thread.
  void publish_health(const std::vector<DeviceHealth>& devices);

  /// Whether kubelet took the last registration; any thread.
  [[nodiscard]] bool registered() const noexcept;

  [[nodiscard]] std::string registration_socket() const;
  [[nodiscard]] std::string dra_socket() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::dra
