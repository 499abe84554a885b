// SPDX-License-Identifier: Apache-2.0
#include "host/claim/binding_chain.hpp"

#include <algorithm>
#include <utility>

#include "host/base/fault_point.hpp"
#include "host/claim/find_binding.hpp"
#include "host/device/pci_address.hpp"

namespace drasriov::claim {
namespace {

/// A BindingRequest with what it borrows.
class StepRequest {
 public:
  StepRequest(const Record& record, const DeviceRecord& device, std::size_t step)
      : device_(device_for_step(device, step)) {
    request_.claim_namespace = record.claim.namespace_;
    request_.claim_name = record.claim.name;
    request_.claim_uid = record.claim.uid;
    request_.request = device.plan.allocated.request;
    request_.device = &device_;
    request_.config_json = device.plan.config_json;
    request_.parameters_json = device.plan.chain[step].parameters_json;
    request_.netconf_json = device.plan.netconf_json;
    request_.consumers = &record.consumers;
  }
  StepRequest(const StepRequest&) = delete;
  StepRequest& operator=(const StepRequest&) = delete;
  [[nodiscard]] const module::BindingRequest& get() const { return request_; }

 private:
  device::Device device_;
  module::BindingRequest request_;
};

/// "vfio: prepare 0000-08-00-2": who did what to which device.
std::string action(const DeviceRecord& device, std::size_t step, std::string_view verb) {
  return device.plan.chain[step].instance + ": " + std::string(verb) + " " +
         device.plan.allocated.device;
}

/// Keeps what one prepare reports until it has succeeded; only the state counts at once.
class StepSink final : public module::PrepareSink {
 public:
  StepSink(Record& record, BindingStep& step, const std::function<Status(const Record&)>& put_state)
      : record_(record),
        step_(step),
        put_state_(put_state) {}

  [[nodiscard]] Status put_state(std::string_view state) override {
    step_.state = state;
    journal_ = put_state_(record_);
    fault_point("prepare.state");
    return journal_;
  }
  [[nodiscard]] Status add_edits(std::string_view edits_json) override {
    edits_.emplace_back(edits_json);
    return {};
  }
  void set_fact(std::string_view key, std::string_view value) override {
    facts_[std::string(key)] = value;
  }

  [[nodiscard]] const Status& journal() const { return journal_; }
  void commit() {
    step_.edits_json = std::move(edits_);
    step_.facts = std::move(facts_);
  }

 private:
  Record& record_;
  BindingStep& step_;
  const std::function<Status(const Record&)>& put_state_;
  Status journal_;
  std::vector<std::string> edits_;
  std::map<std::string, std::string, std::less<>> facts_;
};

/// What a person can do where no module takes over what the Go driver did.
std::string rebind_hint(const DeviceRecord& device) {
  const std::string* driver = device.plan.published.fact(device::fact::kDriver);
  return "enable a module that owns VfConfig.driver, or " +
         (driver == nullptr ? "unbind the device" : "bind the device to " + *driver) +
         " by hand: the claim is then released";
}

/// Whether a device that the Go driver bound has its former driver again: after a reboot, or
/// because a person did it.
bool is_back(const DeviceRecord& device, const device::Inventory& inventory) {
  const device::Device* now = inventory.find(device.plan.allocated.device);
  if (!device.adopted_edits_json || now == nullptr) return false;
  const std::string* current = now->fact(device::fact::kDriver);
  const std::string* former = device.plan.published.fact(device::fact::kDriver);
  return current == nullptr || former == nullptr ? current == former : *current == *former;
}

Status undo_device(const module::Modules& modules, const module::Call& call, const Record& record,
                   DeviceRecord& device) {
  for (std::size_t i = device.steps.size(); i-- > 0;) {
    BindingStep& step = device.steps[i];
    if (step.undone) continue;
    module::Binding* binding = find_binding(modules, device.plan.chain[i].instance);
    if (binding == nullptr) {
      return Error(Code::kFailedPrecondition,
                   action(device, i, "unprepare") +
                       ": the module is not loaded any more, and only it can put the device back",
                   device.adopted_edits_json
                       ? rebind_hint(device)
                       : "enable the module again until the claim is released");
    }
    fault_point("unprepare.undo");
    const StepRequest request(record, device, i);
    std::string adopted;
    if (device.adopted_edits_json) {
      auto snapshot = binding->adopt(call, request.get());
      if (!snapshot) {
        return Error(snapshot.error().code(),
                     action(device, i, "adopt") + ": " + snapshot.error().message(),
                     rebind_hint(device));
      }
      adopted = *std::move(snapshot);
    }
    const std::string& snapshot = device.adopted_edits_json ? adopted : step.snapshot;
    if (auto ok = binding->unprepare(call, request.get(), snapshot, step.state); !ok) {
      return ok.error().with_context(action(device, i, "unprepare"));
    }
    step.undone = true;
  }
  return {};
}

}  // namespace

Status take_snapshots(const module::Modules& modules, const module::Call& call, Record& record) {
  for (DeviceRecord& device : record.devices) {
    for (std::size_t i = 0; i < device.steps.size(); ++i) {
      const StepRequest request(record, device, i);
      auto snapshot =
          find_binding(modules, device.plan.chain[i].instance)->snapshot(call, request.get());
      if (!snapshot) return snapshot.error().with_context(action(device, i, "snapshot of"));
      device.steps[i].snapshot = std::move(*snapshot);
    }
  }
  return {};
}

Status prepare_step(const module::Modules& modules, const module::Call& call, Record& record,
                    std::size_t device, std::size_t step,
                    const std::function<Status(const Record&)>& put_state, bool& journal_failed) {
  DeviceRecord& of = record.devices[device];
  const StepRequest request(record, of, step);
  StepSink sink(record, of.steps[step], put_state);
  fault_point("prepare.bind");
  const Status prepared = find_binding(modules, of.plan.chain[step].instance)
                              ->prepare(call, request.get(), of.steps[step].snapshot, sink);
  if (!sink.journal()) {
    journal_failed = true;
    return sink.journal().error().with_context(action(of, step, "keep the state of"));
  }
  if (!prepared) return prepared.error().with_context(action(of, step, "prepare"));
  sink.commit();
  fault_point("prepare.bound");
  return {};
}

Presence presence_of(const DeviceRecord& device, const device::Inventory& inventory) {
  if (inventory.version() == 0) return Presence::kUnreadable;  // no scan has succeeded yet
  const std::string& name = device.plan.allocated.device;
  if (const device::Device* now = inventory.find(name)) {
    const std::string* before = device.plan.published.fact(device::fact::kIncarnation);
    const std::string* current = now->fact(device::fact::kIncarnation);
    const bool same = before == nullptr || current == nullptr || *before == *current;
    return same ? Presence::kSame : Presence::kReplaced;
  }
  const bool unreadable =
      std::ranges::any_of(inventory.problems(), [&](const device::Problem& problem) {
        const auto address = device::PciAddress::parse(problem.object);
        return address && address->device_name() == name;
      });
  return unreadable ? Presence::kUnreadable : Presence::kGone;
}

Status undo_steps(const module::Modules& modules, const module::Call& call,
                  const device::Inventory& inventory, Record& record,
                  const std::function<void(std::string)>& lost) {
  Status first;
  for (auto device = record.devices.rbegin(); device != record.devices.rend(); ++device) {
    if (std::ranges::all_of(device->steps, &BindingStep::undone)) continue;
    const std::string& name = device->plan.allocated.device;
    Status ok;
    switch (presence_of(*device, inventory)) {
      case Presence::kSame:
        if (is_back(*device, inventory)) {
          for (BindingStep& step : device->steps) step.undone = true;
        } else {
          ok = undo_device(modules, call, record, *device);
        }
        break;
      case Presence::kUnreadable:
        ok = Error(Code::kUnavailable,
                   "put back " + name + ": discovery cannot read the device now");
        break;
      case Presence::kGone:
        lost("device " + name + " is gone: nothing was put back");
        for (BindingStep& step : device->steps) step.undone = true;
        break;
      case Presence::kReplaced:
        lost("device " + name +
             " is another one since (virtual functions were removed and made anew): nothing was "
             "put back");
        for (BindingStep& step : device->steps) step.undone = true;
        break;
    }
    if (!ok && first) first = ok;
  }
  return first;
}

Status settle_steps(const module::Modules& modules, const module::Call& call, const Record& record,
                    const DeviceRecord& device) {
  for (std::size_t i = device.steps.size(); i-- > 0;) {
    module::Binding* binding = find_binding(modules, device.plan.chain[i].instance);
    if (device.steps[i].undone || binding == nullptr) continue;
    const StepRequest request(record, device, i);
    if (auto ok = binding->settle(call, request.get(), device.steps[i].snapshot); !ok) {
      return ok.error().with_context(action(device, i, "settle"));
    }
  }
  return {};
}

bool all_undone(const Record& record) {
  return std::ranges::all_of(record.devices, [](const DeviceRecord& device) {
    return std::ranges::all_of(device.steps, &BindingStep::undone);
  });
}

}  // namespace drasriov::claim
