// SPDX-License-Identifier: Apache-2.0
#include "host/claim/record.hpp"

#include <algorithm>
#include <utility>

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
