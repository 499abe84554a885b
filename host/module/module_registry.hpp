// SPDX-License-Identifier: Apache-2.0
//
// ModuleRegistry: turns the configuration's list of modules into Modules: finds the files, loads,
// checks, creates, starts in list order and stops in reverse. Owns every instance and outlives
// every user of modules(). All functions are [control]: called by the one thread that starts and
// stops the driver.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"
#include "host/module/entry_file.hpp"
#include "host/module/host_services.hpp"
#include "host/module/interfaces.hpp"
#include "host/module/module_instance.hpp"

namespace drasriov::module {

/// A module that is linked in: "builtin:NAME" means it before it means a file. For tests.
struct StaticModule {
  std::string name;
  const drasriov_module_table* table = nullptr;
};

struct LoadOptions {
  FileSource files;
  std::vector<StaticModule> static_modules;
};

/// What became of one entry; for `module list`, metrics, events and the health page.
struct ModuleState {
  enum class Phase {
    kDisabled,
    kLoaded,
    kStarted,
    kFailed,  ///< failurePolicy Ignore: the driver works without it; `error` says why
  };
  std::string name;
  std::string module;  ///< as configured
  Phase phase = Phase::kDisabled;
  std::string version;
  std::string abi;  ///< of the headers it was built with; empty when it could not be loaded
  std::vector<std::string> capabilities;
  std::vector<std::string> claim_fields;
  std::optional<Error> error;
};

[[nodiscard]] std::string_view phase_name(ModuleState::Phase phase) noexcept;

class ModuleRegistry {
 public:
  /// Loads and creates every enabled entry. An error when one with failurePolicy Fail cannot be
  /// loaded, or when the list contradicts itself (two owners of a claim field, two netconf or two
  /// cdi modules), whatever the policies say. One with Ignore is left out, with a warning.
  /// `services` outlives the registry. REQUIRES: names are unique.
  [[nodiscard]] static Result<std::unique_ptr<ModuleRegistry>> load(
      std::span<const config::ModuleEntry> entries, const HostServices& services,
      const LoadOptions& options);
  ~ModuleRegistry();
  ModuleRegistry(const ModuleRegistry&) = delete;
  ModuleRegistry& operator=(const ModuleRegistry&) = delete;

  /// The reference stays valid; start() may remove a module with failurePolicy Ignore, nothing
  /// changes after it.
  [[nodiscard]] const Modules& modules() const noexcept { return modules_; }
  [[nodiscard]] const std::vector<ModuleState>& states() const noexcept { return states_; }

  /// In list order. On error those that were started are stopped again. Before it:
  /// RuntimeHooks::set_events().
  [[nodiscard]] Status start();

  /// In reverse order. A module that has not returned from stop() after `patience` is logged and
  /// given to `stuck`, from another thread, while this call goes on waiting for it: a caller that
  /// must not wait ends the process there.
  void stop(std::chrono::nanoseconds patience,
            const std::function<void(const std::string& instance)>& stuck);

 private:
  struct Slot {
    config::FailurePolicy policy;
    std::size_t state;  ///< index in states_
    std::unique_ptr<ModuleInstance> instance;
  };

  explicit ModuleRegistry(const HostServices& services) : services_(services) {}

  [[nodiscard]] Status check_conflicts() const;
  [[nodiscard]] Status failed(config::FailurePolicy policy, ModuleState& state, Error error);
  void collect_roles();

  const HostServices& services_;
  std::vector<ModuleState> states_;
  std::vector<Slot> slots_;  ///< list order
  Modules modules_;
};

}  // namespace drasriov::module
