// SPDX-License-Identifier: Apache-2.0
#include "host/claim/claim_specs.hpp"

#include <utility>

#include "host/base/fault_point.hpp"

namespace drasriov::claim {
namespace {

/// The documents of the pod's other claims that are prepared in this boot. One that is being
/// prepared adds itself: it holds the pod's token from then until it is durable.
std::vector<CdiClaimInput> others_of_pod(const RunnerContext& context, const Record& record) {
  std::vector<CdiClaimInput> inputs;
  const Journal& journal = context.parts.journal;
  for (const RecordPtr& other : journal.of_pod(*record.pod_uid)) {
    if (other->claim.uid == record.claim.uid || other->state != RecordState::kPrepared ||
        journal.is_stale(*other)) {
      continue;
    }
    inputs.push_back(cdi_input(*other));
  }
  return inputs;
}

Status write_pod(RunnerContext& context, const module::Call& call, const std::string& pod_uid,
                 const std::vector<CdiClaimInput>& claims) {
  const std::string& driver = context.settings.plan.driver_name;
  auto spec = pod_spec(driver, pod_uid, claims);
  if (!spec) return spec.error().with_context("CDI document of pod " + pod_uid);
  return context.parts.modules.cdi->write_spec(call, cdi_kind(driver), pod_uid, *spec);
}

}  // namespace

CdiClaimInput cdi_input(const Record& record) {
  CdiClaimInput input;
  input.claim_uid = record.claim.uid;
  input.pod_uid = record.pod_uid;
  for (const DeviceRecord& device : record.devices) {
    CdiDeviceInput out;
    out.device_name = device.plan.allocated.device;
    if (const std::string* address = device.plan.published.fact(device::fact::kPciAddress))
      out.pci_address = *address;
    out.net_attach_def_name = device.plan.net_attach_def_name;
    if (device.adopted_edits_json) out.edits_json.push_back(*device.adopted_edits_json);
    for (const BindingStep& step : device.steps) {
      out.edits_json.insert(out.edits_json.end(), step.edits_json.begin(), step.edits_json.end());
    }
    input.devices.push_back(std::move(out));
  }
  return input;
}

Status write_specs(RunnerContext& context, const module::Call& call, const Record& record) {
  const std::string& driver = context.settings.plan.driver_name;
  if (context.parts.modules.cdi == nullptr) {
    return Error(Code::kFailedPrecondition, "no enabled module offers cdi/1",
                 "enable the module cdi");
  }
  CdiClaimInput input = cdi_input(record);
  if (has_network(record)) {
    input.hook = CdiHookInput{context.parts.hook.path().native(), record.claim.to_string(),
                              context.settings.data_directory.native()};
  }
  auto spec = claim_spec(driver, input);
  if (!spec) return spec.error().with_context("CDI document");
  if (auto ok =
          context.parts.modules.cdi->write_spec(call, cdi_kind(driver), record.claim.uid, *spec);
      !ok)
    return ok;
  fault_point("prepare.spec");
  if (!record.pod_uid) return {};
  auto claims = others_of_pod(context, record);
  claims.push_back(std::move(input));
  auto ok = write_pod(context, call, *record.pod_uid, claims);
  fault_point("prepare.pod_spec");
  return ok;
}

Status remove_specs(RunnerContext& context, const module::Call& call, const Record& record) {
  if (context.parts.modules.cdi == nullptr)
    return {};  // it was disabled since: its files are no longer ours to remove
  module::CdiWriter& cdi = *context.parts.modules.cdi;
  const std::string kind = cdi_kind(context.settings.plan.driver_name);
  if (auto ok = cdi.remove_spec(call, kind, record.claim.uid); !ok) return ok;
  fault_point("unprepare.spec");
  if (!record.pod_uid) return {};
  const auto claims = others_of_pod(context, record);
  auto ok = claims.empty() ? cdi.remove_spec(call, kind, *record.pod_uid)
                           : write_pod(context, call, *record.pod_uid, claims);
  fault_point("unprepare.pod_spec");
  return ok;
}

}  // namespace drasriov::claim
