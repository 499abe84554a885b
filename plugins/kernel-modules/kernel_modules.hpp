// SPDX-License-Identifier: Apache-2.0
//
// KernelModules: loads modules into the running kernel. Whoever calls it has checked the name
// against a list of its own: a name never comes from a claim unchecked. Stateless; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace drasriov::kernel_modules {

class KernelModules {
 public:
  KernelModules() = default;
  KernelModules(const KernelModules&) = delete;
  KernelModules& operator=(const KernelModules&) = delete;
  virtual ~KernelModules() = default;

  /// Loads a module by name with what it depends on; success when it is there already or built in.
  /// Blocks while the kernel initialises it. kNotFound when this kernel has none of that name.
  [[nodiscard]] virtual sdk::Status load(std::string_view name) = 0;
  /// The modules that claim a device by its modalias (the file `modalias` of its sysfs directory),
  /// as modprobe would choose them.
  [[nodiscard]] virtual sdk::Result<std::vector<std::string>> claiming(
      std::string_view modalias) = 0;
};

/// Through libkmod. `install` commands of modprobe.d are not run: they need a shell, and the driver
/// starts no process on its own.
class Kmod final : public KernelModules {
 public:
  /// directory: of one kernel release; empty = /lib/modules/<release of the running kernel>.
  explicit Kmod(std::string directory = {}) : directory_(std::move(directory)) {}

  [[nodiscard]] sdk::Status load(std::string_view name) override;
  [[nodiscard]] sdk::Result<std::vector<std::string>> claiming(std::string_view modalias) override;

 private:
  std::string directory_;
};

/// For a captured sysfs: the modules of the machine that it was taken from cannot be loaded into
/// this kernel. Every load is kFailedPrecondition.
class NoKernel final : public KernelModules {
 public:
  [[nodiscard]] sdk::Status load(std::string_view name) override;
  [[nodiscard]] sdk::Result<std::vector<std::string>> claiming(std::string_view modalias) override;
};

}  // namespace drasriov::kernel_modules
