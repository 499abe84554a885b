// SPDX-License-Identifier: Apache-2.0
//
// What the host's sinks receive, kept for assertions, and requests that a test fills in. Not copied
// while a module holds them; one thread.
#pragma once

#include <drasriov/sdk/binding.hpp>
#include <drasriov/sdk/discovery.hpp>
#include <drasriov/sdk/netconf.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {
namespace testing {

/// The host's side of scan and enrich.
class RecordedScan {
 public:
  RecordedScan() = default;
  RecordedScan(const RecordedScan&) = delete;
  RecordedScan& operator=(const RecordedScan&) = delete;

  std::vector<Device> devices;
  std::vector<Entry> problems;  ///< object, message

  [[nodiscard]] const Device* device(std::string_view name) const {
    for (const Device& device : devices) {
      if (device.name() == name) {
        return &device;
      }
    }
    return nullptr;
  }

  [[nodiscard]] const drasriov_discovery_sink* abi() const noexcept { return &abi_; }
  [[nodiscard]] DeviceSink sink() const noexcept { return DeviceSink(&abi_); }

 private:
  static void add_device(void* context, const drasriov_device* device) {
    static_cast<RecordedScan*>(context)->devices.push_back(DeviceView(device).to_device());
  }
  static void add_problem(void* context, drasriov_string object, drasriov_string message) {
    static_cast<RecordedScan*>(context)->problems.push_back(
        {std::string(from_abi(object)), std::string(from_abi(message))});
  }

  drasriov_discovery_sink abi_{.struct_size = sizeof(drasriov_discovery_sink),
                               .context = this,
                               .device = &add_device,
                               .problem = &add_problem};
};

/// The host's side of prepare.
class RecordedPrepare {
 public:
  RecordedPrepare() = default;
  RecordedPrepare(const RecordedPrepare&) = delete;
  RecordedPrepare& operator=(const RecordedPrepare&) = delete;

  std::vector<std::string> states;  ///< every put_state, in order
  std::vector<std::string> edits;   ///< JSON
  std::map<std::string, std::string, std::less<>> facts;
  Code state_outcome = Code::kOk;  ///< what put_state answers
  Code edits_outcome = Code::kOk;  ///< what add_edits answers

  /// The state that unprepare would get.
  [[nodiscard]] std::string state() const { return states.empty() ? "" : states.back(); }

  [[nodiscard]] const drasriov_prepare_sink* abi() const noexcept { return &abi_; }
  [[nodiscard]] PrepareSink sink() const noexcept { return PrepareSink(&abi_); }

 private:
  static drasriov_status put_state(void* context, drasriov_bytes state) {
    auto& self = *static_cast<RecordedPrepare*>(context);
    if (self.state_outcome == Code::kOk) {
      self.states.emplace_back(from_abi(state));
    }
    return static_cast<drasriov_status>(self.state_outcome);
  }
  static drasriov_status add_edits(void* context, drasriov_string json) {
    auto& self = *static_cast<RecordedPrepare*>(context);
    if (self.edits_outcome == Code::kOk) {
      self.edits.emplace_back(from_abi(json));
    }
    return static_cast<drasriov_status>(self.edits_outcome);
  }
  static void set_fact(void* context, drasriov_string key, drasriov_string value) {
    auto& facts = static_cast<RecordedPrepare*>(context)->facts;
    if (from_abi(value).empty()) {
      facts.erase(std::string(from_abi(key)));
    } else {
      facts.insert_or_assign(std::string(from_abi(key)), std::string(from_abi(value)));
    }
  }

  drasriov_prepare_sink abi_{.struct_size = sizeof(drasriov_prepare_sink),
                             .context = this,
                             .put_state = &put_state,
                             .add_edits = &add_edits,
                             .set_fact = &set_fact};
};

/// A binding request that the test fills in. view() and abi() point into it.
class TestBindingRequest {
 public:
  struct Reservation {
    std::string resource = "pods";
    std::string name;
    std::string uid;
  };

  explicit TestBindingRequest(Device of) : device(std::move(of)) {}

  Device device;
  std::string claim_namespace = "default";
  std::string claim_name = "claim";
  std::string claim_uid = "11111111-2222-4333-8444-555555555555";
  std::string request = "vf";
  std::string config_json = "{}";
  std::string parameters_json = "{}";
  std::string netconf_json;
  std::vector<Reservation> consumers;

  [[nodiscard]] BindingRequest view() { return BindingRequest(abi()); }

  [[nodiscard]] const drasriov_binding_request* abi() {
    abi_consumers_.clear();
    for (const Reservation& consumer : consumers) {
      abi_consumers_.push_back(
          {to_abi(consumer.resource), to_abi(consumer.name), to_abi(consumer.uid)});
    }
    abi_ = {
        .struct_size = sizeof(drasriov_binding_request),
        .claim_namespace = to_abi(claim_namespace),
        .claim_name = to_abi(claim_name),
        .claim_uid = to_abi(claim_uid),
        .request = to_abi(request),
        .device = abi_device_.convert(device),
        .config_json = to_abi(config_json),
        .parameters_json = to_abi(parameters_json),
        .netconf_json = to_abi(netconf_json),
        .consumers = abi_consumers_.data(),
        .consumer_count = abi_consumers_.size(),
    };
    return &abi_;
  }

 private:
  AbiDevice abi_device_;
  std::vector<drasriov_consumer> abi_consumers_;
  drasriov_binding_request abi_{};
};

/// A netconf request that the test fills in. view() and abi() point into it.
class TestNetconfRequest {
 public:
  std::optional<Device> device;  ///< nothing in validate and status
  std::optional<Pod> pod;        ///< nothing in validate and status
  std::string config_json = "{}";
  std::string container_id = "sandbox";
  std::string netns_path;
  int netns_fd = -1;
  std::string interface_name = "net1";
  std::vector<Entry> args;
  std::string result_json;

  [[nodiscard]] NetconfRequest view() { return NetconfRequest(abi()); }

  [[nodiscard]] const drasriov_netconf_request* abi() {
    abi_args_ = pairs(args);
    if (pod) {
      labels_ = pairs(pod->labels);
      annotations_ = pairs(pod->annotations);
      abi_pod_ = {
          .struct_size = sizeof(drasriov_pod),
          .uid = to_abi(pod->uid),
          .namespace_ = to_abi(pod->namespace_),
          .name = to_abi(pod->name),
          .sandbox_id = to_abi(pod->sandbox_id),
          .labels = labels_.data(),
          .label_count = labels_.size(),
          .annotations = annotations_.data(),
          .annotation_count = annotations_.size(),
      };
    }
    abi_ = {
        .struct_size = sizeof(drasriov_netconf_request),
        .netns_fd = netns_fd,
        .config_json = to_abi(config_json),
        .container_id = to_abi(container_id),
        .netns_path = to_abi(netns_path),
        .interface_name = to_abi(interface_name),
        .args = abi_args_.data(),
        .arg_count = abi_args_.size(),
        .device = device ? abi_device_.convert(*device) : nullptr,
        .pod = pod ? &abi_pod_ : nullptr,
        .result_json = to_abi(result_json),
    };
    return &abi_;
  }

 private:
  static std::vector<drasriov_pair> pairs(const std::vector<Entry>& entries) {
    std::vector<drasriov_pair> list;
    for (const Entry& entry : entries) {
      list.push_back({to_abi(entry.key), to_abi(entry.value)});
    }
    return list;
  }

  AbiDevice abi_device_;
  std::vector<drasriov_pair> abi_args_;
  std::vector<drasriov_pair> labels_;
  std::vector<drasriov_pair> annotations_;
  drasriov_pod abi_pod_{};
  drasriov_netconf_request abi_{};
};

}  // namespace testing
}  // namespace abi_v1
}  // namespace drasriov::sdk
