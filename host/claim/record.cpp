// SPDX-License-Identifier: Apache-2.0
#include "host/claim/record.hpp"

#include <algorithm>
#include <utility>

#include "host/claim/work_queue.hpp"

namespace drasriov::claim {

std::string_view state_name(RecordState state) noexcept {
  switch (state) {
    case RecordState::kPreparing: return "Preparing";
    case RecordState::kPrepared: return "Prepared";
    case RecordState::kUndoing: break;
  }
  return "Undoing";
}

Record record_of(Plan plan, std::string boot_id) {
  Record record;
  record.claim = std::move(plan.claim);
  record.boot_id = std::move(boot_id);
  record.consumers = std::move(plan.consumers);
  record.pod_uid = std::move(plan.pod_uid);
  record.devices.reserve(plan.devices.size());
  for (DevicePlan& planned : plan.devices) {
    DeviceRecord device;
    device.steps.resize(planned.chain.size());
    device.plan = std::move(planned);
    record.devices.push_back(std::move(device));
  }
  return record;
}

bool has_attachments(const Record& record) {
  return std::ranges::any_of(
      record.devices, [](const DeviceRecord& device) { return !device.attachments.empty(); });
}

bool attached_to(const Record& record, std::string_view sandbox_id) {
  return std::ranges::all_of(record.devices, [&](const DeviceRecord& device) {
    return device.plan.netconf_json.empty() ||
           std::ranges::any_of(device.attachments, [&](const Attachment& attachment) {
             return attachment.state == AttachmentState::kAttached &&
                    attachment.sandbox_id == sandbox_id;
           });
  });
}

bool has_network(const Record& record) {
  return std::ranges::any_of(
      record.devices, [](const DeviceRecord& device) { return !device.plan.netconf_json.empty(); });
}

std::vector<std::string> device_keys(const Record& record) {
  std::vector<std::string> keys;
  for (const DeviceRecord& device : record.devices) {
    if (!device.plan.allocated.admin_access)
      keys.push_back(device_key(device.plan.allocated.device));
    for (const Attachment& attachment : device.attachments)
      keys.push_back(sandbox_key(attachment.sandbox_id));
  }
  return keys;
}

std::vector<PreparedDevice> answer_of(const Record& record) {
  std::vector<PreparedDevice> answer;
  answer.reserve(record.devices.size());
  for (const DeviceRecord& device : record.devices) {
    const AllocatedDevice& allocated = device.plan.allocated;
    answer.push_back({{std::string(base_request(allocated.request))},
                      allocated.pool,
                      allocated.device,
                      device.cdi_device_ids,
                      allocated.share_id});
  }
  return answer;
}

bool same_allocation(const Record& record, const std::vector<AllocatedDevice>& devices) {
  return std::ranges::is_permutation(record.devices, devices, {}, [](const DeviceRecord& device) {
    return device.plan.allocated;
  });
}

device::Device device_for_step(const DeviceRecord& device, std::size_t step) {
  device::Device seen = device.plan.published;
  for (std::size_t i = 0; i < std::min(step, device.steps.size()); ++i) {
    for (const auto& [key, value] : device.steps[i].facts) {
      if (value.empty()) {
        seen.facts.erase(key);
      } else {
        seen.facts[key] = value;
      }
    }
  }
  return seen;
}

}  // namespace drasriov::claim
