// SPDX-License-Identifier: Apache-2.0
//
// ScriptedModule: a static module table for tests whose functions a test writes as lambdas. One table,
// any number of instances; each finds its script by its instance name. Used by one thread at a time.
#pragma once

#include <drasriov/abi/binding.h>
#include <drasriov/abi/cdi.h>
#include <drasriov/abi/discovery.h>
#include <drasriov/abi/module.h>
#include <drasriov/abi/netconf.h>
#include <drasriov/abi/runtime_hooks.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "host/module/module_registry.hpp"
#include "host/module/text.hpp"

namespace drasriov::module::testing {

/// What one instance does. A capability whose table is empty (struct_size 0) is not offered.
struct Script {
  drasriov_discovery_v1 discovery = {};
  drasriov_binding_v1 binding = {};
  drasriov_netconf_v1 netconf = {};
  drasriov_runtime_hooks_v1 runtime_hooks = {};
  drasriov_cdi_v1 cdi = {};

  std::function<drasriov_status(const drasriov_call*, const drasriov_discovery_sink*,
                                drasriov_error*)>
      on_scan;
  std::function<drasriov_status(const drasriov_device*, const drasriov_discovery_sink*)> on_enrich;
  std::function<drasriov_status(const drasriov_binding_request*, drasriov_bytes,
                                const drasriov_prepare_sink*, drasriov_error*)>
      on_prepare;
  std::function<drasriov_status(drasriov_error*)> on_start = [](drasriov_error*) {
    return DRASRIOV_OK;
  };
  std::function<void()> on_stop = [] {};

  const drasriov_host_table* table = nullptr;
  drasriov_host* host = nullptr;
  const drasriov_runtime_events_v1* events = nullptr;

  void fail(drasriov_error* error, drasriov_status code, std::string_view message,
            std::string_view hint = {}) const {
    table->set_error(error, code, to_abi(message), to_abi(hint));
  }
};

/// The scripts of a test by instance name, and the order in which instances were started and so on.
struct Scripts {
  std::map<std::string, Script, std::less<>> by_instance;
  std::vector<std::string> journal;  ///< "create NAME", "start NAME", "stop NAME", "destroy NAME"

  static Scripts*& current() {
    static Scripts* scripts = nullptr;
    return scripts;
  }
  Scripts() { current() = this; }
  ~Scripts() { current() = nullptr; }
  Scripts(const Scripts&) = delete;
  Scripts& operator=(const Scripts&) = delete;

  [[nodiscard]] Script& operator[](const std::string& instance) { return by_instance[instance]; }
};

}  // namespace drasriov::module::testing

struct drasriov_module {
  std::string name;
  drasriov::module::testing::Script& script;
};

namespace drasriov::module::testing {

inline drasriov_module_table scripted_table() {
  drasriov_module_table table = {};
  table.struct_size = sizeof(table);
  table.abi_major = DRASRIOV_ABI_MAJOR;
  table.abi_minor = DRASRIOV_ABI_MINOR;
  table.name = to_abi("scripted");
  table.version = to_abi("0.1.0");
  table.create = [](const drasriov_host_table* host_table, drasriov_host* host,
                    drasriov_string name, drasriov_string, drasriov_module** out,
                    drasriov_error*) -> drasriov_status {
    Scripts& scripts = *Scripts::current();
    const std::string instance(to_view(name));
    Script& script = scripts[instance];
    script.table = host_table;
    script.host = host;
    scripts.journal.push_back("create " + instance);
    *out = new drasriov_module{instance, script};
    return DRASRIOV_OK;
  };
  table.destroy = [](drasriov_module* module) {
    Scripts::current()->journal.push_back("destroy " + module->name);
    delete module;
  };
  table.get_capability = [](drasriov_module* module, drasriov_string id) -> const void* {
    const Script& script = module->script;
    const std::string_view name = to_view(id);
    const auto offered = [](const auto& capability) -> const void* {
      return capability.struct_size == 0 ? nullptr : &capability;
    };
    if (name == DRASRIOV_CAPABILITY_DISCOVERY_1) return offered(script.discovery);
    if (name == DRASRIOV_CAPABILITY_BINDING_1) return offered(script.binding);
    if (name == DRASRIOV_CAPABILITY_NETCONF_1) return offered(script.netconf);
    if (name == DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1) return offered(script.runtime_hooks);
    if (name == DRASRIOV_CAPABILITY_CDI_1) return offered(script.cdi);
    return nullptr;
  };
  table.start = [](drasriov_module* module, drasriov_error* error) -> drasriov_status {
    Scripts::current()->journal.push_back("start " + module->name);
    return module->script.on_start(error);
  };
  table.stop = [](drasriov_module* module) {
    Scripts::current()->journal.push_back("stop " + module->name);
    module->script.on_stop();
  };
  return table;
}

/// Tables with every mandatory member; those with a hook in Script call it, the rest succeed.
inline drasriov_discovery_v1 scripted_discovery() {
  drasriov_discovery_v1 table = {};
  table.struct_size = sizeof(table);
  table.scan = [](drasriov_module* module, const drasriov_call* call,
                  const drasriov_discovery_sink* sink, drasriov_error* error) -> drasriov_status {
    return module->script.on_scan ? module->script.on_scan(call, sink, error) : DRASRIOV_OK;
  };
  table.enrich = [](drasriov_module* module, const drasriov_call*, const drasriov_device* device,
                    const drasriov_discovery_sink* sink, drasriov_error*) -> drasriov_status {
    return module->script.on_enrich ? module->script.on_enrich(device, sink) : DRASRIOV_OK;
  };
  return table;
}

inline drasriov_binding_v1 scripted_binding() {
  drasriov_binding_v1 table = {};
  table.struct_size = sizeof(table);
  table.snapshot = [](drasriov_module*, const drasriov_call*,
                      const drasriov_binding_request* request, const drasriov_snapshot_sink* sink,
                      drasriov_error*) -> drasriov_status {
    const std::string taken = "snapshot of " + std::string(to_view(request->device->name));
    sink->put_snapshot(sink->context, to_abi_bytes(taken));
    return DRASRIOV_OK;
  };
  table.prepare = [](drasriov_module* module, const drasriov_call*,
                     const drasriov_binding_request* request, drasriov_bytes snapshot,
                     const drasriov_prepare_sink* sink, drasriov_error* error) -> drasriov_status {
    return module->script.on_prepare ? module->script.on_prepare(request, snapshot, sink, error)
                                     : DRASRIOV_OK;
  };
  table.unprepare = [](drasriov_module*, const drasriov_call*, const drasriov_binding_request*,
                       drasriov_bytes, drasriov_bytes,
                       drasriov_error*) -> drasriov_status { return DRASRIOV_OK; };
  return table;
}

inline drasriov_netconf_v1 scripted_netconf() {
  drasriov_netconf_v1 table = {};
  table.struct_size = sizeof(table);
  table.validate = [](drasriov_module*, const drasriov_call*, const drasriov_netconf_request*,
                      drasriov_error*) -> drasriov_status { return DRASRIOV_OK; };
  table.add = [](drasriov_module*, const drasriov_call*, const drasriov_netconf_request* request,
                 const drasriov_netconf_sink* sink, drasriov_error*) -> drasriov_status {
    const std::string result = "{\"ifname\":\"" + std::string(to_view(request->interface_name)) +
                               "\",\"pod\":\"" + std::string(to_view(request->pod->name)) +
                               "\",\"device\":\"" + std::string(to_view(request->device->name)) +
                               "\"}";
    sink->result(sink->context, to_abi(result));
    return DRASRIOV_OK;
  };
  table.del = [](drasriov_module*, const drasriov_call*, const drasriov_netconf_request*,
                 drasriov_error*) -> drasriov_status { return DRASRIOV_OK; };
  return table;
}

inline drasriov_cdi_v1 scripted_cdi() {
  drasriov_cdi_v1 table = {};
  table.struct_size = sizeof(table);
  table.write_spec = [](drasriov_module*, const drasriov_call*, drasriov_string, drasriov_string,
                        drasriov_string,
                        drasriov_error*) -> drasriov_status { return DRASRIOV_OK; };
  table.remove_spec = [](drasriov_module*, const drasriov_call*, drasriov_string, drasriov_string,
                         drasriov_error*) -> drasriov_status { return DRASRIOV_OK; };
  table.list_specs = [](drasriov_module*, const drasriov_call*, drasriov_string kind,
                        const drasriov_cdi_list_sink* sink, drasriov_error*) -> drasriov_status {
    sink->spec(sink->context, kind);
    return DRASRIOV_OK;
  };
  return table;
}

inline drasriov_runtime_hooks_v1 scripted_runtime_hooks() {
  drasriov_runtime_hooks_v1 table = {};
  table.struct_size = sizeof(table);
  table.set_events = [](drasriov_module* module, const drasriov_runtime_events_v1* events) {
    module->script.events = events;
  };
  return table;
}

}  // namespace drasriov::module::testing
