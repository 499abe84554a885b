// SPDX-License-Identifier: Apache-2.0
//
// ModuleUnderTest: one instance of a module, driven through its C table as the host drives it: a
// class by make_module_table<MyModule, kInfo>(), or a built shared object by its query function.
// Owns the instance; threads as the tags of the ABI allow. A missing capability or member is
// kUnimplemented.
#pragma once

#include <drasriov/abi/cdi.h>
#include <drasriov/abi/module.h>
#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/recorders.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {
namespace testing {

/// Counts what watch reports; any thread.
class ChangeCounter {
 public:
  /// Until at least `count` changes came; false when `timeout` passed first.
  [[nodiscard]] bool wait_for(int count, std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return count_ >= count; });
  }
  [[nodiscard]] int count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  [[nodiscard]] ChangeNotifier notifier() noexcept { return {&note, this}; }

  static void note(void* context) {
    auto& self = *static_cast<ChangeCounter*>(context);
    const std::lock_guard lock(self.mutex_);
    ++self.count_;
    self.changed_.notify_all();  // under the lock: who waited may destroy the counter at once
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

class ModuleUnderTest {
 public:
  /// REQUIRES: table and host outlive the instance.
  [[nodiscard]] static Result<std::unique_ptr<ModuleUnderTest>> create(
      const drasriov_module_table& table, FakeHost& host, std::string_view instance = "test",
      std::string_view config_json = "{}") {
    drasriov_module* module = nullptr;
    const Status created = run([&](drasriov_error* error) {
      return table.create(FakeHost::table(), host.handle(), to_abi(instance), to_abi(config_json),
                          &module, error);
    });
    if (!created.ok()) {
      return created.error();
    }
    return std::unique_ptr<ModuleUnderTest>(new ModuleUnderTest(table, module));
  }
  ~ModuleUnderTest() {
    stop();
    table_.destroy(module_);
  }
  ModuleUnderTest(const ModuleUnderTest&) = delete;
  ModuleUnderTest& operator=(const ModuleUnderTest&) = delete;

  /// The capability's table, or nullptr.
  template <class Table>
  [[nodiscard]] const Table* capability(std::string_view id) const {
    return static_cast<const Table*>(table_.get_capability(module_, to_abi(id)));
  }
  [[nodiscard]] drasriov_module* handle() const noexcept { return module_; }

  [[nodiscard]] Status start() {
    started_ = true;
    if (!DRASRIOV_HAS(&table_, start)) {
      return {};
    }
    return run([&](drasriov_error* error) { return table_.start(module_, error); });
  }
  /// The destructor calls it too.
  void stop() {
    if (std::exchange(started_, false) && DRASRIOV_HAS(&table_, stop)) {
      table_.stop(module_);
    }
  }

  // ---- discovery/1 ----

  [[nodiscard]] Status scan(RecordedScan& to, const FakeCall& call = {}) {
    const auto* discovery = capability<drasriov_discovery_v1>(DRASRIOV_CAPABILITY_DISCOVERY_1);
    if (!DRASRIOV_HAS(discovery, scan)) {
      return absent("scan");
    }
    return run([&](drasriov_error* error) {
      return discovery->scan(module_, call.handle(), to.abi(), error);
    });
  }
  [[nodiscard]] Status enrich(const Device& device, RecordedScan& to, const FakeCall& call = {}) {
    const auto* discovery = capability<drasriov_discovery_v1>(DRASRIOV_CAPABILITY_DISCOVERY_1);
    if (!DRASRIOV_HAS(discovery, enrich)) {
      return absent("enrich");
    }
    AbiDevice abi;
    return run([&](drasriov_error* error) {
      return discovery->enrich(module_, call.handle(), abi.convert(device), to.abi(), error);
    });
  }
  /// REQUIRES: `changes` outlives stop().
  [[nodiscard]] Status watch(ChangeCounter& changes) {
    const auto* discovery = capability<drasriov_discovery_v1>(DRASRIOV_CAPABILITY_DISCOVERY_1);
    if (!DRASRIOV_HAS(discovery, watch)) {
      return absent("watch");
    }
    return run([&](drasriov_error* error) {
      return discovery->watch(module_, &ChangeCounter::note, &changes, error);
    });
  }

  // ---- binding/1 ----

  [[nodiscard]] Result<std::string> snapshot(TestBindingRequest& request,
                                             const FakeCall& call = {}) {
    const drasriov_binding_v1* binding = this->binding();
    if (!DRASRIOV_HAS(binding, snapshot)) {
      return absent("snapshot").error();
    }
    return taken_by(binding->snapshot, request, call);
  }
  [[nodiscard]] Status prepare(TestBindingRequest& request, std::string_view snapshot,
                               RecordedPrepare& to, const FakeCall& call = {}) {
    const drasriov_binding_v1* binding = this->binding();
    if (!DRASRIOV_HAS(binding, prepare)) {
      return absent("prepare");
    }
    return run([&](drasriov_error* error) {
      return binding->prepare(module_, call.handle(), request.abi(), to_abi_bytes(snapshot),
                              to.abi(), error);
    });
  }
  [[nodiscard]] Status unprepare(TestBindingRequest& request, std::string_view snapshot,
                                 std::string_view state, const FakeCall& call = {}) {
    const drasriov_binding_v1* binding = this->binding();
    if (!DRASRIOV_HAS(binding, unprepare)) {
      return absent("unprepare");
    }
    return run([&](drasriov_error* error) {
      return binding->unprepare(module_, call.handle(), request.abi(), to_abi_bytes(snapshot),
                                to_abi_bytes(state), error);
    });
  }
  [[nodiscard]] Status settle(TestBindingRequest& request, std::string_view snapshot,
                              const FakeCall& call = {}) {
    const drasriov_binding_v1* binding = this->binding();
    if (!DRASRIOV_HAS(binding, settle)) {
      return absent("settle");
    }
    return run([&](drasriov_error* error) {
      return binding->settle(module_, call.handle(), request.abi(), to_abi_bytes(snapshot), error);
    });
  }
  [[nodiscard]] Result<std::string> adopt(TestBindingRequest& request, const FakeCall& call = {}) {
    const drasriov_binding_v1* binding = this->binding();
    if (!DRASRIOV_HAS(binding, adopt)) {
      return absent("adopt").error();
    }
    return taken_by(binding->adopt, request, call);
  }
  [[nodiscard]] Result<bool> handles(TestBindingRequest& request) {
    const drasriov_binding_v1* binding = this->binding();
    if (!DRASRIOV_HAS(binding, handles)) {
      return absent("handles").error();
    }
    return binding->handles(module_, request.abi()) != 0;
  }

  // ---- netconf/1 ----

  [[nodiscard]] Status validate(TestNetconfRequest& request, const FakeCall& call = {}) {
    return netconf_call(&drasriov_netconf_v1::validate, "validate", request, call);
  }
  [[nodiscard]] Result<std::string> add(TestNetconfRequest& request, const FakeCall& call = {}) {
    const auto* netconf = capability<drasriov_netconf_v1>(DRASRIOV_CAPABILITY_NETCONF_1);
    if (!DRASRIOV_HAS(netconf, add)) {
      return absent("add").error();
    }
    std::string result;
    const drasriov_netconf_sink sink{.struct_size = sizeof(drasriov_netconf_sink),
                                     .context = &result,
                                     .result = [](void* context, drasriov_string json) {
                                       *static_cast<std::string*>(context) = from_abi(json);
                                     }};
    return value_or_error(result, run([&](drasriov_error* error) {
                            return netconf->add(module_, call.handle(), request.abi(), &sink,
                                                error);
                          }));
  }
  [[nodiscard]] Status del(TestNetconfRequest& request, const FakeCall& call = {}) {
    return netconf_call(&drasriov_netconf_v1::del, "del", request, call);
  }
  [[nodiscard]] Status check(TestNetconfRequest& request, const FakeCall& call = {}) {
    return netconf_call(&drasriov_netconf_v1::check, "check", request, call);
  }
  [[nodiscard]] Status status(TestNetconfRequest& request, const FakeCall& call = {}) {
    return netconf_call(&drasriov_netconf_v1::status, "status", request, call);
  }
  [[nodiscard]] Status gc(std::string_view config_json,
                          const std::vector<drasriov_attachment>& alive,
                          const FakeCall& call = {}) {
    const auto* netconf = capability<drasriov_netconf_v1>(DRASRIOV_CAPABILITY_NETCONF_1);
    if (!DRASRIOV_HAS(netconf, gc)) {
      return absent("gc");
    }
    return run([&](drasriov_error* error) {
      return netconf->gc(module_, call.handle(), to_abi(config_json), alive.data(), alive.size(),
                         error);
    });
  }

  // ---- runtime-hooks/1: the events are in FakeHost::submitted() ----

  [[nodiscard]] Status set_events() {
    const auto* hooks = capability<drasriov_runtime_hooks_v1>(DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1);
    if (!DRASRIOV_HAS(hooks, set_events)) {
      return absent("set_events");
    }
    hooks->set_events(module_, FakeHost::events_table());
    return {};
  }
  [[nodiscard]] Result<std::chrono::nanoseconds> request_timeout() {
    const auto* hooks = capability<drasriov_runtime_hooks_v1>(DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1);
    if (!DRASRIOV_HAS(hooks, request_timeout_ns)) {
      return absent("request_timeout_ns").error();
    }
    return std::chrono::nanoseconds(hooks->request_timeout_ns(module_));
  }

  // ---- cdi/1 ----

  [[nodiscard]] Status write_spec(std::string_view kind, std::string_view id,
                                  std::string_view spec_json, const FakeCall& call = {}) {
    const auto* cdi = capability<drasriov_cdi_v1>(DRASRIOV_CAPABILITY_CDI_1);
    if (!DRASRIOV_HAS(cdi, write_spec)) {
      return absent("write_spec");
    }
    return run([&](drasriov_error* error) {
      return cdi->write_spec(module_, call.handle(), to_abi(kind), to_abi(id), to_abi(spec_json),
                             error);
    });
  }
  [[nodiscard]] Status remove_spec(std::string_view kind, std::string_view id,
                                   const FakeCall& call = {}) {
    const auto* cdi = capability<drasriov_cdi_v1>(DRASRIOV_CAPABILITY_CDI_1);
    if (!DRASRIOV_HAS(cdi, remove_spec)) {
      return absent("remove_spec");
    }
    return run([&](drasriov_error* error) {
      return cdi->remove_spec(module_, call.handle(), to_abi(kind), to_abi(id), error);
    });
  }
  [[nodiscard]] Result<std::vector<std::string>> list_specs(std::string_view kind,
                                                            const FakeCall& call = {}) {
    const auto* cdi = capability<drasriov_cdi_v1>(DRASRIOV_CAPABILITY_CDI_1);
    if (!DRASRIOV_HAS(cdi, list_specs)) {
      return absent("list_specs").error();
    }
    std::vector<std::string> ids;
    const drasriov_cdi_list_sink sink{
        .struct_size = sizeof(drasriov_cdi_list_sink),
        .context = &ids,
        .spec = [](void* context, drasriov_string id) {
          static_cast<std::vector<std::string>*>(context)->emplace_back(from_abi(id));
        }};
    return value_or_error(ids, run([&](drasriov_error* error) {
                            return cdi->list_specs(module_, call.handle(), to_abi(kind), &sink,
                                                   error);
                          }));
  }

 private:
  ModuleUnderTest(const drasriov_module_table& table, drasriov_module* module) noexcept
      : table_(table),
        module_(module) {}

  [[nodiscard]] const drasriov_binding_v1* binding() const {
    return capability<drasriov_binding_v1>(DRASRIOV_CAPABILITY_BINDING_1);
  }

  /// What snapshot or adopt puts.
  [[nodiscard]] Result<std::string> taken_by(decltype(drasriov_binding_v1::snapshot) function,
                                             TestBindingRequest& request, const FakeCall& call) {
    std::string bytes;
    const drasriov_snapshot_sink sink{.struct_size = sizeof(drasriov_snapshot_sink),
                                      .context = &bytes,
                                      .put_snapshot = [](void* context, drasriov_bytes snapshot) {
                                        *static_cast<std::string*>(context) = from_abi(snapshot);
                                      }};
    return value_or_error(bytes, run([&](drasriov_error* error) {
                            return function(module_, call.handle(), request.abi(), &sink, error);
                          }));
  }

  template <class Member>
  [[nodiscard]] Status netconf_call(Member drasriov_netconf_v1::*member, const char* name,
                                    TestNetconfRequest& request, const FakeCall& call) {
    const auto* netconf = capability<drasriov_netconf_v1>(DRASRIOV_CAPABILITY_NETCONF_1);
    const Member function = get(netconf, member);
    if (function == nullptr) {
      return absent(name);
    }
    return run([&](drasriov_error* error) {
      return function(module_, call.handle(), request.abi(), error);
    });
  }

  static Status absent(const char* function) {
    return Error(Code::kUnimplemented, std::string("the module has no ") + function);
  }

  /// A code without a message is a defect of the module, and shows as one.
  template <class Function>
  static Status run(Function function) {
    CapturedError error;
    const drasriov_status code = function(error.handle());
    if (code == DRASRIOV_OK) {
      return {};
    }
    if (error.message.empty() || error.code != static_cast<Code>(code)) {
      return Error(Code::kInternal, "the module returned " + std::to_string(code) +
                                        " without an error of that code");
    }
    return Error(error.code, std::move(error.message), std::move(error.hint));
  }

  /// By reference: status is of the call that fills the value.
  template <class Value>
  static Result<Value> value_or_error(Value& value, const Status& status) {
    if (!status.ok()) {
      return status.error();
    }
    return std::move(value);
  }

  const drasriov_module_table& table_;
  drasriov_module* module_;
  bool started_ = false;
};

}  // namespace testing
}  // namespace abi_v1
}  // namespace drasriov::sdk
