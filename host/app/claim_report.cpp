// SPDX-License-Identifier: Apache-2.0
#include "host/app/claim_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "host/publish/api_time.hpp"

namespace drasriov::app {
namespace {

using claim::JournalEntry;
using nlohmann::json;

std::string fact(const device::Device& device, std::string_view key) {
  const std::string* value = device.fact(key);
  return value == nullptr ? std::string() : *value;
}

std::string_view attachment_state(claim::AttachmentState state) noexcept {
  switch (state) {
    case claim::AttachmentState::kAttaching: return "Attaching";
    case claim::AttachmentState::kAttached: return "Attached";
    case claim::AttachmentState::kDetaching: break;
  }
  return "Detaching";
}

json attachment_json(const claim::Attachment& attachment) {
  return {{"state", attachment_state(attachment.state)},
          {"sandbox", attachment.sandbox_id},
          {"pod", attachment.pod_namespace + "/" + attachment.pod_name},
          {"podUid", attachment.pod_uid},
          {"netns", attachment.netns_path},
          {"interface", attachment.interface_name}};
}

json device_json(const claim::DeviceRecord& record, const device::Inventory* inventory) {
  const claim::DevicePlan& plan = record.plan;
  const std::string prepared =
      fact(claim::device_for_step(record, record.steps.size()), device::fact::kDriver);
  json object = {{"device", plan.allocated.device},
                 {"pool", plan.allocated.pool},
                 {"request", plan.allocated.request},
                 {"adminAccess", plan.allocated.admin_access},
                 {"pciAddress", fact(plan.published, device::fact::kPciAddress)},
                 {"interface", plan.interface_name},
                 {"netAttachDef", plan.net_attach_def_name},
                 {"driverBefore", fact(plan.published, device::fact::kDriver)},
                 {"driverPrepared", prepared},
                 {"driverNow", nullptr},
                 {"modules", json::array()},
                 {"cdiDevices", record.cdi_device_ids},
                 {"attachments", json::array()}};
  if (plan.allocated.share_id) object["shareID"] = *plan.allocated.share_id;
  if (inventory != nullptr) {
    const device::Device* seen = inventory->find(plan.allocated.device);
    if (seen != nullptr) object["driverNow"] = fact(*seen, device::fact::kDriver);
  }
  for (std::size_t i = 0; i < std::min(plan.chain.size(), record.steps.size()); ++i)
    object["modules"].push_back(
        {{"name", plan.chain[i].instance}, {"undone", record.steps[i].undone}});
  for (const claim::Attachment& attachment : record.attachments)
    object["attachments"].push_back(attachment_json(attachment));
  return object;
}

std::string_view state_of(const JournalEntry& entry) noexcept {
  switch (entry.condition) {
    case JournalEntry::Condition::kGood: return claim::state_name(entry.record->state);
    case JournalEntry::Condition::kQuarantined: return "Quarantined";
    case JournalEntry::Condition::kDamaged: break;
  }
  return "Damaged";
}

json entry_json(const JournalEntry& entry, const ClaimReportInput& input) {
  json object = {
      {"uid", entry.uid},         {"namespace", ""},           {"name", ""},
      {"state", state_of(entry)}, {"earlierBoot", nullptr},    {"consumers", json::array()},
      {"devices", json::array()}, {"lastError", entry.reason}, {"lastChange", nullptr},
      {"ageSeconds", nullptr}};
  if (entry.written) {
    object["lastChange"] = publish::api_time(*entry.written);
    object["ageSeconds"] = std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::seconds>(input.now - *entry.written).count());
  }
  if (!entry.record) return object;
  const claim::Record& record = *entry.record;
  object["namespace"] = record.claim.namespace_;
  object["name"] = record.claim.name;
  if (!input.boot_id.empty()) object["earlierBoot"] = record.boot_id != input.boot_id;
  for (const module::Consumer& consumer : record.consumers)
    object["consumers"].push_back(
        {{"resource", consumer.resource}, {"name", consumer.name}, {"uid", consumer.uid}});
  for (const claim::DeviceRecord& device : record.devices)
    object["devices"].push_back(device_json(device, input.inventory));
  if (entry.reason.empty()) object["lastError"] = record.last_error;
  return object;
}

}  // namespace

json claim_report(const ClaimReportInput& input) {
  json claims = json::array();
  for (const JournalEntry& entry : input.entries) claims.push_back(entry_json(entry, input));
  return claims;
}

}  // namespace drasriov::app
