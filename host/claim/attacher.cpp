// SPDX-License-Identifier: Apache-2.0
#include "host/claim/attacher.hpp"

#include <algorithm>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "host/base/durable_file.hpp"
#include "host/base/fault_point.hpp"
#include "host/claim/binding_chain.hpp"

namespace drasriov::claim {
namespace {

/// containerd and CRI-O: 64 hexadecimal digits; the CRI promises nothing, and it becomes a file name.
bool is_sandbox_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && id.front() != '.' &&
         id.find_first_not_of(
             "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") ==
             std::string_view::npos;
}

bool needs_network(const DeviceRecord& device) {
  return !device.plan.netconf_json.empty();
}

Error no_netconf(std::string_view what, std::string_view device) {
  return Error(Code::kFailedPrecondition,
               std::string(what) + " " + std::string(device) +
                   ": no module with netconf/1 is loaded, and only it can do that",
               "enable netconf-cni again");
}

/// Unreadable is not gone: the next scan may tell; until then modules look for themselves.
bool is_gone(const DeviceRecord& device, const device::Inventory& inventory) {
  const Presence presence = presence_of(device, inventory);
  return presence == Presence::kGone || presence == Presence::kReplaced;
}

/// Whether this is the namespace that was attached to: another one may have its path by now.
bool is_of(const NetworkNamespace& opened, const Attachment& attachment) {
  return opened.device == attachment.netns_device && opened.inode == attachment.netns_inode;
}

/// A pod as the record remembers it, for a del that comes when the runtime has forgotten it.
module::Pod pod_of(const Attachment& attachment) {
  module::Pod pod;
  pod.uid = attachment.pod_uid;
  pod.namespace_ = attachment.pod_namespace;
  pod.name = attachment.pod_name;
  pod.sandbox_id = attachment.sandbox_id;
  return pod;
}

Error busy_collecting() {
  return Error(Code::kDeadlineExceeded,
               "the CNI plugins were still releasing what they keep of pods that are gone",
               "it is tried again");
}

/// As at the add; borrows from all. Without a descriptor the namespace is gone.
module::NetconfRequest request_of(const Attachment& attachment, const device::Device& seen,
                                  const module::Pod& pod, const UniqueFd& netns) {
  module::NetconfRequest request;
  request.config_json = attachment.config_json;
  request.container_id = attachment.sandbox_id;
  if (netns) request.netns_path = attachment.netns_path;
  request.netns_fd = netns.get();
  request.interface_name = attachment.interface_name;
  request.device = &seen;
  request.pod = &pod;
  request.result_json = attachment.result_json;
  return request;
}

void add_attachments(const Record& record, std::vector<module::Netconf::Attachment>& all) {
  for (const DeviceRecord& device : record.devices) {
    for (const Attachment& attachment : device.attachments)
      all.push_back({attachment.sandbox_id, attachment.interface_name});
  }
}

Attachment intent(const DeviceRecord& device, const module::Sandbox& sandbox,
                  const NetworkNamespace& netns) {
  Attachment attachment;
  attachment.state = AttachmentState::kAttaching;
  attachment.sandbox_id = sandbox.pod.sandbox_id;
  attachment.pod_uid = sandbox.pod.uid;
  attachment.pod_namespace = sandbox.pod.namespace_;
  attachment.pod_name = sandbox.pod.name;
  attachment.netns_path = sandbox.netns_path;
  attachment.netns_device = netns.device;
  attachment.netns_inode = netns.inode;
  attachment.interface_name = device.plan.interface_name;
  attachment.config_json = device.plan.netconf_json;
  return attachment;
}

}  // namespace

Attacher::Attacher(AttacherParts parts) : parts_(std::move(parts)) {}

Status Attacher::attach(const module::Call& call, const module::Sandbox& sandbox,
                        Record& record) const {
  if (!is_sandbox_id(sandbox.pod.sandbox_id)) {
    return Error(Code::kInvalidArgument,
                 "the runtime's sandbox id '" + sandbox.pod.sandbox_id +
                     "' has other characters than letters, digits, '.', '_', '-'");
  }
  if (parts_.modules.netconf == nullptr) return no_netconf("attach", record.claim.to_string());
  const auto netns = parts_.open_namespace(sandbox.netns_path);
  if (!netns) return netns.error();

  Record wanted = record;
  for (DeviceRecord& device : wanted.devices) {
    if (needs_network(device)) device.attachments.push_back(intent(device, sandbox, *netns));
  }
  if (auto ok = parts_.journal.write(std::make_shared<const Record>(wanted)); !ok) return ok;
  record = std::move(wanted);
  fault_point("attach.intent");

  for (DeviceRecord& device : record.devices) {
    if (!needs_network(device)) continue;
    if (auto ok = add(call, sandbox, netns->fd.get(), device); !ok) return ok;
    fault_point("attach.added");
  }
  for (DeviceRecord& device : record.devices) {
    for (Attachment& attachment : device.attachments) attachment.state = AttachmentState::kAttached;
  }
  // Before the marker: with it a container may run, whose interface must not be taken back.
  if (auto ok = parts_.journal.write(std::make_shared<const Record>(record)); !ok) return ok;
  fault_point("attach.attached");
  auto ok = keep_marker(record);
  fault_point("attach.marked");
  return ok;
}

Status Attacher::add(const module::Call& call, const module::Sandbox& sandbox, int netns_fd,
                     DeviceRecord& device) const {
  const device::Device seen = device_for_step(device, device.steps.size());
  module::NetconfRequest request;
  request.config_json = device.plan.netconf_json;
  request.container_id = sandbox.pod.sandbox_id;
  request.netns_path = sandbox.netns_path;
  request.netns_fd = netns_fd;
  request.interface_name = device.plan.interface_name;
  request.device = &seen;
  request.pod = &sandbox.pod;
  module::Netconf& netconf = *parts_.modules.netconf;
  const auto turn = turns_.shared(call.deadline);
  if (!turn) return busy_collecting();
  auto result = netconf.add(call, request);
  if (!result) {
    return result.error().with_context(netconf.instance() + ": attach " +
                                       device.plan.allocated.device + " as " +
                                       device.plan.interface_name);
  }
  device.attachments.back().result_json = *std::move(result);
  return {};
}

Status Attacher::detach(const module::Call& call, Record& record) const {
  if (!has_attachments(record)) return {};
  if (auto ok = remove_markers(record); !ok) return ok;
  bool changed = false;
  for (DeviceRecord& device : record.devices) {
    for (Attachment& attachment : device.attachments) {
      changed = changed || attachment.state == AttachmentState::kAttached;
      attachment.state = AttachmentState::kDetaching;
    }
  }
  // An Attaching on disk says as much: what it began is taken back.
  if (changed) {
    if (auto ok = parts_.journal.write(std::make_shared<const Record>(record)); !ok) return ok;
  }
  fault_point("detach.begun");
  Status first;
  for (auto device = record.devices.rbegin(); device != record.devices.rend(); ++device) {
    if (device->attachments.empty()) continue;
    auto ok = take_back(call, record, *device);
    const bool has_namespace =
        !parts_.journal.is_stale(record) &&
        std::ranges::any_of(device->attachments,
                            [this](const Attachment& attachment) { return is_alive(attachment); });
    if (!ok && parts_.modules.netconf != nullptr && !has_namespace &&
        is_gone(*device, *parts_.inventory())) {
      record.last_error =
          "the device and its sandbox are gone; what the plugin keeps of them may be left: " +
          ok.error().to_string();
      device->attachments.clear();
      continue;
    }
    if (!ok && first) first = std::move(ok);
  }
  fault_point("detach.settled");
  auto ok = parts_.journal.write(std::make_shared<const Record>(record));
  fault_point("detach.done");
  return first ? ok : first;
}

Status Attacher::take_back(const module::Call& call, const Record& record,
                           DeviceRecord& device) const {
  const std::string& name = device.plan.allocated.device;
  if (parts_.modules.netconf == nullptr) return no_netconf("detach", name);
  module::Netconf& netconf = *parts_.modules.netconf;
  const device::Device seen = device_for_step(device, device.steps.size());
  while (!device.attachments.empty()) {
    const Attachment& attachment = device.attachments.back();
    UniqueFd netns;
    if (!parts_.journal.is_stale(record)) {
      auto opened = parts_.open_namespace(attachment.netns_path);
      if (opened && (is_of(*opened, attachment) || fault_leaves_out("detach.identity")))
        netns = std::move(opened->fd);
    }
    const module::Pod pod = pod_of(attachment);
    const module::NetconfRequest request = request_of(attachment, seen, pod, netns);
    if (auto ok = del(call, request); !ok) {
      return ok.error().with_context(netconf.instance() + ": detach " + name + " from pod " +
                                     attachment.pod_namespace + "/" + attachment.pod_name);
    }
    fault_point("detach.deleted");
    if (auto ok = settle(call, record, device); !ok) return ok;
    device.attachments.pop_back();
  }
  return {};
}

Status Attacher::del(const module::Call& call, const module::NetconfRequest& request) const {
  const auto turn = turns_.shared(call.deadline);
  if (!turn) return busy_collecting();
  return parts_.modules.netconf->del(call, request);
}

Status Attacher::check(const module::Call& call, const Record& record) const {
  if (parts_.modules.netconf == nullptr) return {};
  module::Netconf& netconf = *parts_.modules.netconf;
  for (const DeviceRecord& device : record.devices) {
    const device::Device seen = device_for_step(device, device.steps.size());
    for (const Attachment& attachment : device.attachments) {
      auto opened = parts_.open_namespace(attachment.netns_path);
      if (attachment.state != AttachmentState::kAttached || !opened || !is_of(*opened, attachment))
        continue;
      const module::Pod pod = pod_of(attachment);
      const UniqueFd netns = std::move(opened->fd);
      const auto ok = netconf.check(call, request_of(attachment, seen, pod, netns));
      if (ok || ok.error().code() == Code::kUnimplemented) continue;
      return ok.error().with_context(netconf.instance() + ": check of " +
                                     device.plan.allocated.device + " in pod " +
                                     attachment.pod_namespace + "/" + attachment.pod_name);
    }
  }
  return {};
}

Status Attacher::collect_garbage(const module::Call& call,
                                 const std::set<std::string>& networks) const {
  if (parts_.modules.netconf == nullptr) return {};
  const auto turn = turns_.alone();
  if (!turn) return Error(Code::kAborted, "an interface is being attached or detached");
  // Only now: an add has its intent in the journal before it gets its turn.
  std::vector<module::Netconf::Attachment> alive;
  for (const RecordPtr& record : parts_.journal.all()) add_attachments(*record, alive);
  Status first;
  for (const std::string& network : networks) {
    auto ok = parts_.modules.netconf->gc(call, network, alive);
    if (!ok && ok.error().code() != Code::kUnimplemented && first)
      first = ok.error().with_context(parts_.modules.netconf->instance());
  }
  return first;
}

Status Attacher::settle(const module::Call& call, const Record& record,
                        const DeviceRecord& device) const {
  // Of another boot: the kernel has made the device anew. Gone: there is nothing to wait for.
  if (parts_.journal.is_stale(record) || is_gone(device, *parts_.inventory())) return {};
  return settle_steps(parts_.modules, call, record, device);
}

bool Attacher::has_namespace(const module::Sandbox& sandbox) const {
  return !sandbox.netns_path.empty() && parts_.open_namespace(sandbox.netns_path);
}

bool Attacher::is_alive(const Attachment& attachment) const {
  const auto opened = parts_.open_namespace(attachment.netns_path);
  return opened && is_of(*opened, attachment);
}

std::filesystem::path Attacher::marker(std::string_view claim_uid,
                                       std::string_view sandbox_id) const {
  return parts_.markers / claim_uid / sandbox_id;
}

bool Attacher::has_marker(const Record& record) const {
  for (const DeviceRecord& device : record.devices) {
    if (device.attachments.empty()) continue;
    std::error_code unknown;
    return std::filesystem::exists(marker(record.claim.uid, device.attachments.front().sandbox_id),
                                   unknown);
  }
  return true;
}

Status Attacher::keep_marker(const Record& record) const {
  if (has_marker(record)) return {};
  for (const DeviceRecord& device : record.devices) {
    if (device.attachments.empty()) continue;
    const Attachment& attachment = device.attachments.front();
    const auto path = marker(record.claim.uid, attachment.sandbox_id);
    if (auto ok = make_directories(path.parent_path(), 0755); !ok) return ok;
    // A lost marker refuses containers and is written again; after a power cut no sandbox is left.
    return replace_file(path, attachment.pod_namespace + "/" + attachment.pod_name + "\n",
                        Durability::kAtomic, 0644);
  }
  return {};
}

Status Attacher::remove_markers(const Record& record) const {
  const auto folder = parts_.markers / record.claim.uid;
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return errno_error(error.value(), "remove " + folder.native());
  return {};
}

}  // namespace drasriov::claim
