// SPDX-License-Identifier: Apache-2.0
//
// MetricsServer: `GET /metrics` over HTTP/1.1 gives the series of the moment (Metrics::text()). Any other path is 404, any
// other method 405. Owned by app/. One thread for all connections; each answers one request and ends, at the latest after
// `patience`, and when there are too many the oldest gives way: a client that is slow costs at most 8 KiB of header and a
// copy of the text, and holds up nobody.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "host/base/result.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::telemetry {

class MetricsServer {
 public:
  struct Settings {
    std::string address;  ///< an IP address, or a name that means one of this machine
    int port = 0;         ///< 0 = any free one
    std::chrono::milliseconds patience{10'000};  ///< for a whole connection
    std::size_t most_connections = 16;
  };

  /// UNAVAILABLE when nothing can listen there. `metrics` outlives the server.
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> start(Settings settings,
                                                                    const Metrics& metrics);
  /// Cuts the connections that are open.
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] int port() const noexcept { return port_; }

 private:
  class Impl;
  MetricsServer(std::unique_ptr<Impl> impl, int port);

  std::unique_ptr<Impl> impl_;
  int port_;
};

}  // namespace drasriov::telemetry
