// SPDX-License-Identifier: Apache-2.0
//
// PublishedSocket: one unix socket under the name that kubelet looks for, made so that no process
// ever removes another's.
//
// A gRPC server binds to a private name and unlinks that name, whoever owns it, when it shuts down.
// So the server gets
// "<directory>/.<prefix>-<random>", and the public name is a hard link to the same socket:
//   - kubelet (or a person) removed the public name: linked again, no call is interrupted;
//   - another process put its socket there: seen by the inode, reported, left alone;
//   - the old socket of a killed process: replaced by rename(2) once it is known that nobody
//   listens on it.
// Kubelet ignores names that begin with '.'. Not thread-safe; host/dra/endpoint owns them.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::dra {

/// What sockaddr_un::sun_path holds beside its NUL.
inline constexpr std::size_t kMaxSocketPath = 107;

/// "<directory>/<driver>-reg.sock", or where that is too long the form that Kubernetes 1.37's
/// helper uses:
/// "<directory>/dra-<22 characters of SHA-256(driver)>-reg.sock". INVALID_ARGUMENT when even that
/// does not fit.
[[nodiscard]] Result<std::string> registration_socket_path(const std::filesystem::path& directory,
                                                           std::string_view driver_name);

/// "<data directory>/dra.sock". INVALID_ARGUMENT when it does not fit.
[[nodiscard]] Result<std::string> dra_socket_path(const std::filesystem::path& data_directory);

class PublishedSocket {
 public:
  /// `prefix` names the private socket: ".<prefix>-<6 hexadecimal digits>" beside the public one.
  PublishedSocket(std::string public_path, std::string_view prefix);

  [[nodiscard]] const std::string& path() const noexcept { return public_path_; }
  /// "unix:<private path>", for the server's AddListeningPort.
  [[nodiscard]] std::string address() const { return "unix:" + private_path_; }
  [[nodiscard]] const std::string& private_path() const noexcept { return private_path_; }

  /// Removes private sockets that killed processes left. REQUIRES: this process owns the node
  /// (owner lock).
  void remove_stale() const;

  /// Whether a socket can be bound beside the public one, which a gRPC server that fails does not tell.
  [[nodiscard]] Status check_place() const;

  /// Gives the bound private socket its mode (0600: kubelet is root) and its public name.
  /// ALREADY_EXISTS: somebody listens there, or something that is no socket has the name.
  [[nodiscard]] Status publish();

  enum class State {
    kOurs,     ///< the public name leads to our socket
    kMissing,  ///< nothing has the public name: publish() again
    kForeign,  ///< another process' socket has it
    kGone,     ///< our private socket was removed too (the directory was cleared): bind anew
  };
  [[nodiscard]] State state() const;

  /// Takes the public name away if it is ours: kubelet forgets the socket.
  void withdraw();

 private:
  std::string public_path_;
  std::string private_path_;
  std::string private_prefix_;
};

}  // namespace drasriov::dra
