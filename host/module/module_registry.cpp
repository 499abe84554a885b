// SPDX-License-Identifier: Apache-2.0
#include "host/module/module_registry.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "host/base/thread_annotations.hpp"

namespace drasriov::module {
namespace {

/// Libraries by file, so that several instances share one.
class LibraryCache {
 public:
  LibraryCache(const LoadOptions& options, const HostServices& services)
      : options_(options),
        services_(services) {}

  [[nodiscard]] Result<std::shared_ptr<const ModuleLibrary>> get(const config::ModuleEntry& entry) {
    const auto name = builtin_name(entry.module);
    for (const StaticModule& candidate : options_.static_modules) {
      if (candidate.name == name) return ModuleLibrary::adopt(candidate.name, candidate.table);
    }
    const auto checked = open_entry_file(entry, options_.files);
    if (!checked) return checked.error();
    const ModuleFile& file = checked->file;
    for (const std::string& relaxation : file.relaxations()) {
      services_.log().warning("module file " + file.path().string() + ": " + relaxation +
                                  ", accepted because of --insecure-dev",
                              {{telemetry::key::kModule, entry.name}});
    }
    if (const auto loaded = libraries_.find(file.real_path()); loaded != libraries_.end())
      return loaded->second;
    auto library = ModuleLibrary::load(file, checked->manifest);
    if (library) libraries_.emplace(file.real_path(), *library);
    return library;
  }

 private:
  const LoadOptions& options_;
  const HostServices& services_;
  std::map<std::filesystem::path, std::shared_ptr<const ModuleLibrary>> libraries_;
};

/// Calls `late` once, from its own thread, when it has lived for `patience`.
class Watchdog {
 public:
  Watchdog(std::chrono::nanoseconds patience, std::function<void()> late)
      : until_(Deadline::after(patience).when()),
        late_(std::move(late)),
        thread_([this] { run(); }) {}
  ~Watchdog() {
    {
      const MutexLock lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void run() {
    {
      const MutexLock lock(mutex_);
      while (!done_) {
        if (!changed_.wait_until(mutex_, until_)) break;
      }
      if (done_) return;
    }
    late_();
  }

  const std::chrono::steady_clock::time_point until_;
  const std::function<void()> late_;
  Mutex mutex_;
  CondVar changed_;
  bool done_ DRASRIOV_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

Error both(const std::string& first, const std::string& second, const std::string& what,
           const std::string& hint) {
  return {Code::kFailedPrecondition, "modules " + first + " and " + second + " " + what, hint};
}

}  // namespace

std::string_view phase_name(ModuleState::Phase phase) noexcept {
  switch (phase) {
    case ModuleState::Phase::kDisabled: return "disabled";
    case ModuleState::Phase::kLoaded: return "loaded";
    case ModuleState::Phase::kStarted: return "started";
    case ModuleState::Phase::kFailed: return "failed";
  }
  return "unknown";
}

Result<std::unique_ptr<ModuleRegistry>> ModuleRegistry::load(
    std::span<const config::ModuleEntry> entries, const HostServices& services,
    const LoadOptions& options) {
  std::unique_ptr<ModuleRegistry> registry(new ModuleRegistry(services));
  LibraryCache libraries(options, services);
  for (const config::ModuleEntry& entry : entries) {
    ModuleState& state = registry->states_.emplace_back();
    state.name = entry.name;
    state.module = entry.module;
    if (!entry.enabled) continue;

    auto library = libraries.get(entry);
    if (!library) {
      auto error = library.error().with_context("module " + entry.name);
      if (auto status = registry->failed(entry.failure_policy, state, std::move(error)); !status) {
        return std::move(status).error();
      }
      continue;
    }
    state.version = (*library)->manifest().version;
    state.abi = (*library)->manifest().abi.to_string();
    auto instance = ModuleInstance::create(entry, *library, services);
    if (!instance) {
      if (auto status = registry->failed(entry.failure_policy, state, std::move(instance).error());
          !status) {
        return std::move(status).error();
      }
      continue;
    }
    state.phase = ModuleState::Phase::kLoaded;
    state.capabilities = (*instance)->capabilities();
    state.claim_fields = (*instance)->claim_fields();
    registry->slots_.push_back(
        {entry.failure_policy, registry->states_.size() - 1, *std::move(instance)});
  }
  if (auto status = registry->check_conflicts(); !status) return std::move(status).error();
  registry->collect_roles();
  return registry;
}

ModuleRegistry::~ModuleRegistry() {
  // All are stopped before the first is destroyed: what a module left running is counted then, and
  // threads of another module must not be taken for its own.
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) slot->instance->stop();
  while (!slots_.empty()) slots_.pop_back();
}

Status ModuleRegistry::failed(config::FailurePolicy policy, ModuleState& state, Error error) {
  state.phase = ModuleState::Phase::kFailed;
  state.error = error;
  if (policy == config::FailurePolicy::kFail) return error;
  services_.log().warning(
      error.with_context("starting without module " + state.name + " (failurePolicy Ignore)"),
      {{telemetry::key::kModule, state.name}});
  return {};
}

Status ModuleRegistry::check_conflicts() const {
  std::map<std::string, std::string> owners;
  const std::string* netconf = nullptr;
  const std::string* cdi = nullptr;
  for (const Slot& slot : slots_) {
    const std::string& name = slot.instance->name();
    for (const std::string& field : slot.instance->claim_fields()) {
      const auto [owner, added] = owners.emplace(field, name);
      if (!added) {
        return both(owner->second, name, "both own the claim field " + field,
                    "set enabled: false on the one that is to be replaced");
      }
    }
    const std::string one_hint = "set enabled: false on all but one";
    if (slot.instance->netconf() != nullptr) {
      if (netconf != nullptr)
        return both(*netconf, name, "both offer netconf/1, and only one can be enabled", one_hint);
      netconf = &name;
    }
    if (slot.instance->cdi() != nullptr) {
      if (cdi != nullptr)
        return both(*cdi, name, "both offer cdi/1, and only one can be enabled", one_hint);
      cdi = &name;
    }
  }
  return {};
}

void ModuleRegistry::collect_roles() {
  Modules modules;
  for (const Slot& slot : slots_) {
    const ModuleInstance& instance = *slot.instance;
    if (instance.discovery() != nullptr) modules.discovery.push_back(instance.discovery());
    if (instance.binding() != nullptr) modules.binding.push_back(instance.binding());
    if (instance.netconf() != nullptr) modules.netconf = instance.netconf();
    if (instance.runtime_hooks() != nullptr)
      modules.runtime_hooks.push_back(instance.runtime_hooks());
    if (instance.cdi() != nullptr) modules.cdi = instance.cdi();
  }
  modules_ = std::move(modules);
}

Status ModuleRegistry::start() {
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    ModuleState& state = states_[slot->state];
    auto status = slot->instance->start();
    if (status) {
      state.phase = ModuleState::Phase::kStarted;
      ++slot;
      continue;
    }
    if (auto fatal = failed(slot->policy, state, std::move(status).error()); !fatal) {
      while (slot != slots_.begin()) {
        --slot;
        slot->instance->stop();
        states_[slot->state].phase = ModuleState::Phase::kLoaded;
      }
      return fatal;
    }
    slot = slots_.erase(slot);
    collect_roles();
  }
  return {};
}

void ModuleRegistry::stop(std::chrono::nanoseconds patience,
                          const std::function<void(const std::string& instance)>& stuck) {
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) {
    const std::string& name = slot->instance->name();
    const Watchdog watchdog(patience, [&] {
      const auto milliseconds =
          std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
      services_.log().error(Error(Code::kDeadlineExceeded,
                                  "module " + name + ": stop has not returned for " +
                                      std::to_string(milliseconds) + " ms",
                                  "report it to the module's vendor: stop must end its threads"),
                            {{telemetry::key::kModule, name}});
      stuck(name);
    });
    slot->instance->stop();
    states_[slot->state].phase = ModuleState::Phase::kLoaded;
  }
}

}  // namespace drasriov::module
