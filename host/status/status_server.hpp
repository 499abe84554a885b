// SPDX-License-Identifier: Apache-2.0
//
// StatusServer: `<data directory>/status.sock`, mode 0600. Each connection gets the document of the moment and is closed;
// what a client sends is never read. Owned by app/. The document is made and sent on the server's one thread, one
// connection at a time, and a client that does not read loses its connection after `patience`: a stuck reader costs
// one document's memory and delays other readers, nothing else.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/base/unique_fd.hpp"
#include "host/dra/socket_path.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::status {

/// "<data directory>/status.sock". INVALID_ARGUMENT when it does not fit into a socket address.
[[nodiscard]] Result<std::string> status_socket_path(const std::filesystem::path& data_directory);

class StatusServer {
 public:
  /// The document; called on the server's thread. It must not call back into the server.
  using Describe = std::function<std::string()>;

  struct Settings {
    std::filesystem::path data_directory;
    std::chrono::milliseconds patience{5000};  ///< for all of one document
    /// How often the public name is looked after: kubelet or a person may have removed it.
    std::chrono::milliseconds check_interval{10'000};
  };

  /// Takes over the stale socket of a process that ended without removing it. ALREADY_EXISTS when another process
  /// listens there. `log` outlives the server. REQUIRES: this process owns the node (owner lock).
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>> start(Settings settings,
                                                                   Describe describe,
                                                                   telemetry::Log& log);
  /// Ends the connection that is served, and removes the socket unless another process' has the name.
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return socket_.path(); }

  /// From now on. Returns when the earlier function does not run any more.
  void describe_by(Describe describe) DRASRIOV_EXCLUDES(mutex_);

 private:
  StatusServer(Settings settings, std::string path, Describe describe, telemetry::Log& log);

  [[nodiscard]] Status listen();
  void run();
  void look_after_name();
  void serve(UniqueFd connection);
  void send(int connection, std::string_view text, Deadline deadline) const;
  /// Waits for `events` of `fd`; false at the deadline or when the server ends.
  [[nodiscard]] bool ready(int fd, short events, Deadline deadline) const;

  const Settings settings_;
  telemetry::Log& log_;
  dra::PublishedSocket socket_;
  UniqueFd wake_;  ///< eventfd, readable from the destructor on
  UniqueFd listener_;

  Mutex mutex_;
  Describe describe_ DRASRIOV_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace drasriov::status
