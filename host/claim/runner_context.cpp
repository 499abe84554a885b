// SPDX-License-Identifier: Apache-2.0
#include "host/claim/runner_context.hpp"

#include <algorithm>

#include "host/claim/network_data.hpp"

namespace drasriov::claim {
namespace {

std::vector<DeviceStatus> statuses(const Record& record, const std::string& driver_name) {
  std::vector<DeviceStatus> out;
  out.reserve(record.devices.size());
  for (const DeviceRecord& device : record.devices) {
    const AllocatedDevice& allocated = device.plan.allocated;
    DeviceStatus status;
    status.driver = driver_name;
    status.pool = allocated.pool;
    status.device = allocated.device;
    status.share_id = allocated.share_id;
    status.config_json = device.plan.config_json;
    status.ready = true;
    status.reason = "Prepared";
    status.has_network = !device.plan.netconf_json.empty();
    for (const Attachment& attachment : device.attachments) {
      if (attachment.state != AttachmentState::kAttached) continue;
      status.network_ready = true;
      status.interface_name = attachment.interface_name;
      // A plugin may say nothing that can be read: the interface is there all the same.
      if (auto data = network_data(attachment.result_json, attachment.interface_name)) {
        status.interface_name = std::move(data->interface_name);
        status.ips = std::move(data->ips);
        status.hardware_address = std::move(data->hardware_address);
      }
    }
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace

void Outbox::add(Message message) {
  const MutexLock lock(mutex_);
  messages_.push_back(std::move(message));
}

void Outbox::status(const Record& record) {
  add([claim = record.claim, devices = statuses(record, driver_name_)](ClaimEvents& events) {
    events.status(claim, devices);
  });
}

void Outbox::recovered(const Record& record) {
  add([claim = record.claim, devices = statuses(record, driver_name_)](ClaimEvents& events) {
    events.recovered(claim, devices);
  });
}

void Outbox::forgotten(const ClaimRef& claim) {
  add([claim](ClaimEvents& events) { events.forgotten(claim); });
}

void Outbox::warning(const ClaimRef& claim, std::string reason, std::string message) {
  add([claim, reason = std::move(reason), message = std::move(message)](ClaimEvents& events) {
    events.event(claim, /*warning=*/true, reason, message);
  });
}

void Outbox::deliver() {
  {
    const MutexLock lock(mutex_);
    if (delivering_) {
      // Whoever delivers looks once more after its last message; this one wakes it for the held
      // devices too.
      messages_.emplace_back([](ClaimEvents&) {});
      return;
    }
    delivering_ = true;
  }
  for (;;) {
    const HeldSnapshot held = journal_.held();
    std::deque<Message> batch;
    bool held_changed = false;
    {
      const MutexLock lock(mutex_);
      held_changed = held != told_;
      told_ = held;
      batch.swap(messages_);
      if (batch.empty() && !held_changed) {
        delivering_ = false;
        return;
      }
    }
    if (held_changed) events_.held_changed(held);
    for (const Message& message : batch) message(events_);
  }
}

std::optional<RunnerSettings::Duration> UndoRetries::schedule(const std::string& uid,
                                                              const RunnerSettings& settings) {
  const MutexLock lock(mutex_);
  const Backoff fresh(settings.undo_retry_first, settings.undo_retry_longest);
  Retry& retry = retries_.try_emplace(uid, Retry{fresh}).first->second;
  if (retry.waiting) return std::nullopt;
  retry.waiting = true;
  return retry.backoff.next();
}

void UndoRetries::fired(const std::string& uid) {
  const MutexLock lock(mutex_);
  if (const auto found = retries_.find(uid); found != retries_.end()) found->second.waiting = false;
}

void UndoRetries::forget(const std::string& uid) {
  const MutexLock lock(mutex_);
  retries_.erase(uid);
}

}  // namespace drasriov::claim
