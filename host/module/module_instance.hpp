// SPDX-License-Identifier: Apache-2.0
//
// ModuleInstance: one entry of the configuration's module list, created from a library: its handle,
// its adapters, its life from create to destroy. Owned by ModuleRegistry. create, start, stop and
// the destructor are [control]; the adapters' threads are those of host/module/interfaces.hpp.
#pragma once

#include <sys/types.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"
#include "host/module/adapters.hpp"
#include "host/module/json_schema.hpp"
#include "host/module/module_library.hpp"

namespace drasriov::module {

/// The two schemas of a module table.
struct ModuleSchemas {
  JsonSchema config;
  JsonSchema claim;
};
/// The error names the schema and the place in it.
[[nodiscard]] Result<ModuleSchemas> compile_schemas(const drasriov_module_table& table);

class ModuleInstance {
 public:
  /// Checks the entry's config against the module's schema, creates the instance, and compares what
  /// it offers with its note and with what the entry expects. `services` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<ModuleInstance>> create(
      const config::ModuleEntry& entry, std::shared_ptr<const ModuleLibrary> library,
      const HostServices& services);
  /// Stops it when it runs, then destroys it.
  ~ModuleInstance();
  ModuleInstance(const ModuleInstance&) = delete;
  ModuleInstance& operator=(const ModuleInstance&) = delete;

  [[nodiscard]] Status start();
  /// Blocks as long as the module does. Says so in the log when threads of the module are left; the
  /// instance is then not destroyed, because they would use it.
  void stop();

  [[nodiscard]] const std::string& name() const noexcept { return core_->name; }
  [[nodiscard]] const ModuleLibrary& library() const noexcept { return *library_; }
  /// Ids that the instance offers, those that this host does not know included.
  [[nodiscard]] const std::vector<std::string>& capabilities() const noexcept {
    return capabilities_;
  }
  [[nodiscard]] const std::vector<std::string>& claim_fields() const noexcept {
    return claim_fields_;
  }

  // nullptr when the instance has not that capability.
  [[nodiscard]] Discovery* discovery() const noexcept { return discovery_.get(); }
  [[nodiscard]] Binding* binding() const noexcept { return binding_.get(); }
  [[nodiscard]] Netconf* netconf() const noexcept { return netconf_.get(); }
  [[nodiscard]] RuntimeHooks* runtime_hooks() const noexcept { return runtime_hooks_.get(); }
  [[nodiscard]] CdiWriter* cdi() const noexcept { return cdi_.get(); }

 private:
  ModuleInstance(std::unique_ptr<InstanceCore> core, std::shared_ptr<const ModuleLibrary> library,
                 JsonSchema claim_schema);

  [[nodiscard]] Status create_handle(const config::ModuleEntry& entry);
  [[nodiscard]] Status adopt_claim_fields();
  [[nodiscard]] Status adopt_capabilities();
  template <typename Interface, typename Make>
  [[nodiscard]] Status adopt(const char* id, std::unique_ptr<Interface>& target, Make make);

  std::unique_ptr<InstanceCore> core_;
  std::shared_ptr<const ModuleLibrary> library_;
  JsonSchema claim_schema_;
  std::vector<std::string> capabilities_;
  std::vector<std::string> claim_fields_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<Binding> binding_;
  std::unique_ptr<Netconf> netconf_;
  std::unique_ptr<RuntimeHooks> runtime_hooks_;
  std::unique_ptr<CdiWriter> cdi_;
  bool started_ = false;
  std::set<pid_t> threads_of_start_;  ///< thread ids that appeared while start() ran
};

/// The ids of this process's threads.
[[nodiscard]] std::set<pid_t> thread_ids();

}  // namespace drasriov::module
