// SPDX-License-Identifier: Apache-2.0
//
// Machine: a node made of files in a temporary folder: a captured sysfs, a folder as the cluster, kubelet's directories.
// And what a test does with it: start the driver, be kubelet, look at what was written. Used from one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/process.hpp"

namespace drasriov::integration {

using Json = nlohmann::json;

inline constexpr const char* kDriverName = "sriovnetwork.openshift.io";
inline constexpr const char* kNodeName = "worker-1";
/// VFs of the captures.
inline constexpr const char* kFirstVf = "0000-11-10-0";
inline constexpr const char* kSecondVf = "0000-11-10-2";

struct Claim {
  std::string name;
  std::string uid;
  [[nodiscard]] std::string reference() const { return "ns/" + name + "/" + uid; }
};

class Machine {
 public:
  /// `capture`: a file of tests/fixtures/sysfs.
  explicit Machine(std::string_view capture = "b-vfs-igbvf.tar.gz");
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path sysfs() const { return root_ / "sys"; }
  [[nodiscard]] std::filesystem::path dev() const { return root_ / "dev"; }
  [[nodiscard]] std::filesystem::path cluster() const { return root_ / "cluster"; }
  [[nodiscard]] std::filesystem::path cdi() const { return root_ / "cdi"; }
  [[nodiscard]] std::filesystem::path data() const { return root_ / "plugins" / kDriverName; }
  [[nodiscard]] std::filesystem::path registry() const { return root_ / "registry"; }
  [[nodiscard]] std::filesystem::path registration_socket() const;
  [[nodiscard]] std::filesystem::path dra_socket() const { return data() / "dra.sock"; }

  /// Lines at the end of the configuration.
  void configure(std::string_view lines);
  /// A file of the cluster's folder, replaced as a whole.
  void put(const std::string& file, std::string_view yaml);
  /// An allocated claim with these devices, reserved for one pod of its own.
  [[nodiscard]] Claim put_claim(const std::string& name, const std::vector<std::string>& devices,
                                std::string_view parameters = {});

  /// Started, and its registration socket is there.
  [[nodiscard]] std::unique_ptr<Process> start_driver();
  /// Only started.
  [[nodiscard]] std::unique_ptr<Process> spawn_driver();
  /// The program with fault points, which dies at this one.
  [[nodiscard]] std::unique_ptr<Process> spawn_dying_driver(const std::string& crash_at);

  /// kubelet_player's answer for these claims; `flags` come before the action.
  [[nodiscard]] Json kubelet(const std::string& action, const std::vector<Claim>& claims,
                             std::vector<std::string> flags = {});

  /// Devices of all slices by name; {} when the pool is not complete.
  [[nodiscard]] Json published() const;
  [[nodiscard]] std::vector<std::string> published_names() const;
  /// status.devices of a claim, null when there is none.
  [[nodiscard]] Json claim_devices(const Claim& claim) const;
  /// File names in a directory, sorted; hidden ones too.
  [[nodiscard]] static std::vector<std::string> files(const std::filesystem::path& directory);

 private:
  std::filesystem::path root_;
  int starts_ = 0;
};

}  // namespace drasriov::integration
