// SPDX-License-Identifier: Apache-2.0
#include "host/claim/checkpoint_import.hpp"

#include <algorithm>
#include <ctime>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "host/base/durable_file.hpp"
#include "host/base/fault_point.hpp"
#include "host/base/names.hpp"
#include "host/claim/cdi_spec.hpp"
#include "host/claim/claim_specs.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "checkpoint.json";
constexpr std::string_view kImportedSuffix = ".imported";
/// The field of VfConfig that the Go driver undoes, and the name that its owner has by default.
constexpr std::string_view kDriverField = "driver";
constexpr std::string_view kDriverModule = "binding-vfio";
/// VfConfig.driver for "whatever the kernel chooses".
constexpr std::string_view kKernelsChoice = "default";
/// Stands for the boot in which the Go driver prepared a claim, when that is not the present one.
constexpr std::string_view kEarlierBoot = "before-import";

/// Who undoes a changed driver. Where nobody does now, the record names whom it waits for.
std::string driver_module(const module::Modules& modules) {
  const auto owner = std::ranges::find_if(modules.binding, [](const module::Binding* binding) {
    return std::ranges::find(binding->claim_fields(), kDriverField) !=
           binding->claim_fields().end();
  });
  return owner == modules.binding.end() ? std::string(kDriverModule) : (*owner)->instance();
}

/// The device as it was before the Go driver changed its kernel driver.
device::Device at_rest(const CheckpointDevice& from, const device::Inventory& inventory) {
  device::Device device;
  if (const device::Device* now = inventory.find(from.device)) {
    device = *now;
  } else {
    device.name = from.device;
    device.kind = "vf";
    device.attributes["pciAddress"] = from.pci_address;
    device.facts[std::string(device::fact::kPciAddress)] = from.pci_address;
  }
  if (from.config.driver.empty()) return device;
  const std::string fact(device::fact::kDriver);
  if (from.original_driver.empty()) {
    device.facts.erase(fact);
    device.attributes.erase(std::string(kDriverField));
  } else {
    device.facts[fact] = from.original_driver;
    device.attributes[std::string(kDriverField)] = from.original_driver;
  }
  return device;
}

/// Whether the drivers say that the claim is not prepared any more. Only a driver that differs from
/// the one before can tell.
bool is_undone(const CheckpointClaim& claim, const device::Inventory& inventory) {
  bool told = false;
  for (const CheckpointDevice& device : claim.devices) {
    const std::string& bound = device.config.driver;
    if (bound.empty()) continue;
    const device::Device* now = inventory.find(device.device);
    const std::string* driver = now == nullptr ? nullptr : now->fact(device::fact::kDriver);
    if (bound == kKernelsChoice || bound == device.original_driver || driver == nullptr ||
        *driver != device.original_driver) {
      return false;
    }
    told = true;
  }
  return told;
}

DeviceRecord adopted_device(const CheckpointDevice& from, const CheckpointClaim& claim,
                            std::string_view driver_name, const device::Inventory& inventory,
                            const module::Modules& modules) {
  DeviceRecord device;
  DevicePlan& plan = device.plan;
  plan.allocated = {from.request, from.pool, from.device, /*admin_access=*/false, from.share_id};
  plan.interface_name = from.interface_name;
  plan.net_attach_def_name = from.config.net_attach_def_name;
  plan.netconf_json = from.netconf_json;
  VfConfig config = from.config;
  config.if_name = from.interface_name;
  if (!config.net_attach_def_name.empty() && config.net_attach_def_namespace.empty())
    config.net_attach_def_namespace = claim.claim.namespace_;
  plan.config_json = to_json(config, driver_name);
  plan.published = at_rest(from, inventory);
  if (!from.config.driver.empty()) {
    plan.chain.push_back({driver_module(modules), "{}"});
    device.steps.emplace_back();
  }
  device.adopted_edits_json = from.edits_json;
  return device;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[32];
  const bool ok = ::gmtime_r(&now, &parts) != nullptr &&
                  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts) > 0;
  return ok ? text : std::to_string(now);
}

/// Puts the damaged file where no start stumbles over it.
Result<CheckpointImport> put_aside(const fs::path& file, const Error& why, Journal& journal) {
  const std::string name = "checkpoint-" + utc_now();
  const std::string reason = file.native() + ": " + why.message() +
                             "; it was moved to quarantine as " + name +
                             ".json, and none of its claims is known";
  if (auto ok = journal.quarantine_file(file, name, reason); !ok) return std::move(ok).error();
  CheckpointImport outcome;
  outcome.found = true;
  outcome.rejected = Error(
      Code::kDataLoss, reason,
      "delete the pods of this node that use claims of this driver, check the kernel driver of "
      "their devices (the file names the former one as OriginalDriver), then remove the file");
  return outcome;
}

/// Their CDI documents stay until kubelet unprepares them: pods run with them.
Status keep_refused(const std::vector<RefusedClaim>& refused, Journal& journal) {
  for (const RefusedClaim& claim : refused) {
    if (!is_object_uid(claim.claim.uid)) continue;
    const std::string reason = "checkpoint.json of the Go driver: " + claim.reason;
    if (auto ok = journal.quarantine_claim(claim.claim.uid, reason); !ok)
      return ok.error().with_context("claim UID " + claim.claim.uid);
  }
  return {};
}

/// Journal::held() and find(), as far as they concern claims of the file.
Status check_free(const CheckpointClaim& claim, const HeldDevices& held) {
  for (const CheckpointDevice& device : claim.devices) {
    const auto holder = held.find(device.device);
    if (holder == held.end() || holder->second->claim.uid == claim.claim.uid) continue;
    return Error(Code::kFailedPrecondition, "device " + device.device + " is held by claim " +
                                                holder->second->claim.to_string() +
                                                " in the journal, which wins");
  }
  return {};
}

}  // namespace

Result<Record> adopted_record(const CheckpointClaim& claim, std::string_view driver_name,
                              std::string boot_id, const device::Inventory& inventory,
                              const module::Modules& modules) {
  Record record;
  record.state = RecordState::kPrepared;
  record.claim = claim.claim;
  record.boot_id = std::move(boot_id);
  if (is_undone(claim, inventory)) record.boot_id = kEarlierBoot;
  record.consumers = {{"pods", "", claim.pod_uid}};
  record.pod_uid = claim.pod_uid;
  for (const CheckpointDevice& device : claim.devices) {
    record.devices.push_back(adopted_device(device, claim, driver_name, inventory, modules));
  }
  const CdiClaimInput input = cdi_input(record);
  if (auto spec = claim_spec(driver_name, input); !spec)
    return spec.error().with_context("ContainerEdits");
  for (std::size_t i = 0; i < record.devices.size(); ++i) {
    DeviceRecord& device = record.devices[i];
    device.cdi_device_ids = cdi_device_ids(driver_name, input, claim.devices[i].device);
    // kubelet keeps the ids of the first answer and hands them to the runtime at each start of a
    // container.
    for (const std::string& id : claim.devices[i].cdi_device_ids) {
      if (std::ranges::find(device.cdi_device_ids, id) != device.cdi_device_ids.end()) continue;
      return Error(Code::kInvalidArgument,
                   "device " + claim.devices[i].device + " has another CDI id than driver " +
                       std::string(driver_name) + " gives it (" + device.cdi_device_ids.front() +
                       "): the file is of another driver name");
    }
  }
  return record;
}

bool has_checkpoint(const fs::path& data_directory) {
  std::error_code unclear;
  return fs::exists(data_directory / kFileName, unclear) || unclear;
}

std::function<bool(std::string_view)> pods_to_import(const fs::path& data_directory) {
  const auto text = read_file(data_directory / kFileName, kMaxCheckpointBytes);
  if (!text) return [](std::string_view) { return false; };
  // Not decoded: a pod too many waits for the import, none is let through for a mistake in the file.
  return [file = *text](std::string_view uid) { return file.find(uid) != std::string::npos; };
}

Result<CheckpointImport> import_checkpoint(const fs::path& data_directory,
                                           std::string_view driver_name, Journal& journal,
                                           const device::Inventory& inventory,
                                           const module::Modules& modules) {
  const fs::path file = data_directory / kFileName;
  const auto text = read_file(file, kMaxCheckpointBytes);
  if (!text) {
    if (text.error().code() == Code::kNotFound) return CheckpointImport();
    if (text.error().code() == Code::kOutOfRange) return put_aside(file, text.error(), journal);
    return text.error();
  }
  auto checkpoint = decode_checkpoint(*text);
  if (!checkpoint && checkpoint.error().code() == Code::kDataLoss)
    return put_aside(file, checkpoint.error(), journal);
  CheckpointImport outcome;
  outcome.found = true;
  if (!checkpoint) {
    outcome.rejected = checkpoint.error().with_context(file.native());
    journal.remember_unreadable("checkpoint", outcome.rejected->to_string());
    return outcome;
  }

  outcome.refused = std::move(checkpoint->refused);
  std::set<std::string> quarantined;
  for (const Quarantined& bad : journal.quarantined()) quarantined.insert(bad.uid);
  for (const CheckpointClaim& claim : checkpoint->claims) {
    const RecordPtr known = journal.find(claim.claim.uid);
    if (quarantined.contains(claim.claim.uid) || (known && !journal.is_stale(*known))) {
      ++outcome.known;
      continue;
    }
    Status free = check_free(claim, *journal.held());
    auto record = free ? adopted_record(claim, driver_name, journal.boot_id(), inventory, modules)
                       : Result<Record>(std::move(free).error());
    if (!record) {
      outcome.refused.push_back({claim.claim, record.error().to_string()});
      continue;
    }
    if (auto ok = journal.write(std::make_shared<const Record>(*std::move(record))); !ok)
      return ok.error().with_context("claim " + claim.claim.to_string());
    fault_point("import.recorded");
    outcome.imported.push_back(claim.claim);
  }

  if (auto ok = keep_refused(outcome.refused, journal); !ok) return std::move(ok).error();

  // Both in one step would need the rename to be durable by itself; a file that is there twice is
  // imported again, which changes nothing.
  const fs::path imported = file.native() + std::string(kImportedSuffix);
  if (auto ok = replace_file(imported, *text, Durability::kDurable); !ok)
    return std::move(ok).error();
  fault_point("import.copied");
  if (auto ok = remove_file(file, Durability::kDurable); !ok) return std::move(ok).error();
  fault_point("import.removed");
  return outcome;
}

}  // namespace drasriov::claim
