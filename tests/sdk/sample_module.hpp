// SPDX-License-Identifier: Apache-2.0
//
// A module class with all five capabilities, every optional member, and a switch to make any of
// them fail or throw: for the tests of the trampolines. One thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/module.hpp>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::sdk_test {

namespace sdk = drasriov::sdk;

class SampleModule {
 public:
  static constexpr std::string_view config_schema = R"({"type":"object"})";
  static constexpr std::string_view claim_schema = R"({"type":"object","properties":{}})";
  static constexpr std::array<std::string_view, 2> claim_fields = {"driver", "addVhostMount"};
  static constexpr bool parallel_safe = true;

  /// Configuration: {"create": "throw" | "throwInt" | "refuse", "throwIn": <function>, "failIn":
  /// <function>}
  static sdk::Result<std::unique_ptr<SampleModule>> create(sdk::Host host,
                                                           std::string_view instance,
                                                           const sdk::Config& config) {
    const auto mode = config.string("create");
    if (!mode) {
      return mode.error();
    }
    if (*mode == "throw") {
      throw std::runtime_error("no luck");
    }
    if (*mode == "throwInt") {
      throw 7;
    }
    if (*mode == "refuse") {
      return sdk::Error(sdk::Code::kFailedPrecondition, "the sample is out of order", "repair it");
    }
    return std::make_unique<SampleModule>(host, instance, config);
  }

  SampleModule(sdk::Host host, std::string_view instance, const sdk::Config& config)
      : host_(host),
        instance_(instance),
        throw_in_(config.string("throwIn").value().value_or("")),
        fail_in_(config.string("failIn").value().value_or("")) {}

  sdk::Status start() { return outcome("start"); }
  void stop() { enter("stop"); }

  sdk::Status scan(const sdk::Call& call, sdk::DeviceSink& sink) {
    sdk::Device device("0000-08-00-2", DRASRIOV_DEVICE_VF);
    device.parent("0000-08-00-0")
        .integer("vfID", 2)
        .boolean("linkUp", true)
        .string("pciAddress", "0000:08:00.2")
        .version("firmware", "1.2.3")
        .integers("queues", {4, 8})
        .booleans("flags", {true, false})
        .strings("labels", {"a", "b"})
        .versions("versions", {{"1.0.0"}, {"2.0.0"}})
        .capacity("bandwidth", "25G")
        .fact(DRASRIOV_FACT_DRIVER, "iavf");
    sink.device(device);
    sink.device(sdk::Device("0000-08-00-3"));
    sink.problem("0000:08:00.4", "vanished");
    host_.log(call).info("scanned", {{"devices", "2"}});
    return outcome("scan");
  }
  sdk::Status enrich(const sdk::Call&, const sdk::DeviceView& device, sdk::DeviceSink& sink) {
    sink.device(sdk::Device(std::string(device.name()), std::string(device.kind()))
                    .string("seen", device.attribute("pciAddress")->string().value_or("none")));
    return outcome("enrich");
  }
  sdk::Status watch(sdk::ChangeNotifier changed) {
    changed();
    changed();
    return outcome("watch");
  }

  sdk::Result<std::string> snapshot(const sdk::Call&, const sdk::BindingRequest& request) {
    if (const sdk::Status status = outcome("snapshot"); !status.ok()) {
      return status.error();
    }
    return std::string(request.device().fact(DRASRIOV_FACT_DRIVER).value_or(""));
  }
  sdk::Status prepare(const sdk::Call& call, const sdk::BindingRequest& request,
                      std::string_view snapshot, sdk::PrepareSink& sink) {
    last = std::string(snapshot) + "/" + std::string(request.claim_namespace()) + "/" +
           std::string(request.claim_name()) + "/" + std::string(request.claim_uid()) + "/" +
           std::string(request.request()) + "/" + std::string(request.config_json()) + "/" +
           std::string(request.parameters_json()) + "/" + std::string(request.netconf_json());
    for (const sdk::Consumer consumer : request.consumers()) {
      last += "/" + std::string(consumer.resource) + ":" + std::string(consumer.name) + ":" +
              std::string(consumer.uid);
    }
    if (const sdk::Status stored = sink.put_state("made"); !stored.ok()) {
      return stored;
    }
    if (const sdk::Status added = sink.add_edits(R"({"env":["A=b"]})"); !added.ok()) {
      return added;
    }
    sink.set_fact("netdev", "eth7");
    sink.set_fact("gone", "x");
    sink.set_fact("gone", "");
    if (const sdk::Status running = call.check(); !running.ok()) {
      return running;
    }
    return outcome("prepare");
  }
  sdk::Status unprepare(const sdk::Call&, const sdk::BindingRequest&, std::string_view snapshot,
                        std::string_view state) {
    last = std::string(snapshot) + "/" + std::string(state);
    return outcome("unprepare");
  }
  sdk::Status settle(const sdk::Call&, const sdk::BindingRequest&, std::string_view snapshot) {
    last = snapshot;
    return outcome("settle");
  }
  sdk::Result<std::string> adopt(const sdk::Call&, const sdk::BindingRequest& request) {
    if (const sdk::Status status = outcome("adopt"); !status.ok()) {
      return status.error();
    }
    return "adopted " + std::string(request.device().fact(DRASRIOV_FACT_DRIVER).value_or(""));
  }
  bool handles(const sdk::BindingRequest& request) {
    enter("handles");
    return request.parameters_json() != "{}";
  }

  sdk::Status validate(const sdk::Call&, const sdk::NetconfRequest& request) {
    last = request.device().present() || request.pod().present() ? "attached" : "bare";
    return outcome("validate");
  }
  sdk::Result<std::string> add(const sdk::Call&, const sdk::NetconfRequest& request) {
    if (const sdk::Status status = outcome("add"); !status.ok()) {
      return status.error();
    }
    std::string result =
        std::string(request.container_id()) + "/" + std::string(request.interface_name()) + "/" +
        std::string(request.netns_path()) + "/" + std::to_string(request.netns_fd()) + "/" +
        std::string(request.device().name()) + "/" + std::string(request.pod().namespace_()) + "/" +
        std::string(request.pod().name()) + "/" + std::string(request.pod().uid()) + "/" +
        std::string(request.pod().sandbox_id());
    for (const sdk::PairList& pairs :
         {request.args(), request.pod().labels(), request.pod().annotations()}) {
      for (const auto [key, value] : pairs) {
        result += "/" + std::string(key) + "=" + std::string(value);
      }
    }
    return result;
  }
  sdk::Status del(const sdk::Call&, const sdk::NetconfRequest& request) {
    last = request.result_json();
    return outcome("del");
  }
  sdk::Status check(const sdk::Call&, const sdk::NetconfRequest&) { return outcome("check"); }
  sdk::Status status(const sdk::Call&, const sdk::NetconfRequest&) { return outcome("status"); }
  sdk::Status gc(const sdk::Call&, std::string_view config_json, sdk::AttachmentList alive) {
    last = config_json;
    for (const sdk::Attachment attachment : alive) {
      last +=
          "/" + std::string(attachment.container_id) + ":" + std::string(attachment.interface_name);
    }
    return outcome("gc");
  }

  void set_events(sdk::RuntimeEvents events) {
    enter("set_events");
    sdk::RuntimeEvent event;
    event.kind = sdk::EventKind::kSynchronised;
    event.budget = std::chrono::seconds(2);
    for (const char* name : {"one", "two"}) {
      sdk::Sandbox sandbox;
      sandbox.pod = {.uid = name,
                     .namespace_ = "ns",
                     .name = name,
                     .sandbox_id = name,
                     .labels = {{"app", name}},
                     .annotations = {{"note", name}, {"x", "y"}}};
      sandbox.netns_path = std::string("/run/netns/") + name;
      sandbox.runtime_handler = "runc";
      sandbox.pid = 42;
      event.sandboxes.push_back(sandbox);
    }
    event.containers.push_back({.id = "c", .name = "main", .sandbox_id = "one", .running = true});
    const std::uint64_t id = events.submit(event, [this](sdk::Code code, std::string_view message) {
      last = std::to_string(static_cast<int>(code)) + ":" + std::string(message);
      enter("reply");
    });
    events.cancel(id);
  }
  std::chrono::nanoseconds request_timeout() {
    enter("request_timeout");
    return std::chrono::seconds(2);
  }

  sdk::Status write_spec(const sdk::Call&, std::string_view kind, std::string_view id,
                         std::string_view spec_json) {
    specs_[std::string(kind)][std::string(id)] = spec_json;
    return outcome("write_spec");
  }
  sdk::Status remove_spec(const sdk::Call&, std::string_view kind, std::string_view id) {
    specs_[std::string(kind)].erase(std::string(id));
    return outcome("remove_spec");
  }
  sdk::Result<std::vector<std::string>> list_specs(const sdk::Call&, std::string_view kind) {
    if (const sdk::Status status = outcome("list_specs"); !status.ok()) {
      return status.error();
    }
    std::vector<std::string> ids;
    for (const auto& [id, spec] : specs_[std::string(kind)]) {
      ids.push_back(id);
    }
    return ids;
  }

  std::string last;  ///< what the last call got

 private:
  void enter(std::string_view function) const {
    if (throw_in_ == function) {
      throw std::runtime_error("thrown by " + instance_);
    }
  }
  [[nodiscard]] sdk::Status outcome(std::string_view function) const {
    enter(function);
    if (fail_in_ == function) {
      return sdk::Error(sdk::Code::kUnavailable, std::string(function) + " is busy", "wait");
    }
    return {};
  }

  sdk::Host host_;
  std::string instance_;
  std::string throw_in_;
  std::string fail_in_;
  std::map<std::string, std::map<std::string, std::string>> specs_;
};

}  // namespace drasriov::sdk_test
