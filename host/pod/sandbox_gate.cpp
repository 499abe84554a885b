// SPDX-License-Identifier: Apache-2.0
#include "host/pod/sandbox_gate.hpp"

#include <utility>

namespace drasriov::pod {

void SandboxGate::serve(NeedsNetwork needs_network) {
  const MutexLock lock(mutex_);
  needs_network_ = std::move(needs_network);
}

Status SandboxGate::runtime_ready() const {
  const MutexLock lock(mutex_);
  if (!synchronised_.empty()) return {};
  return Error(
      Code::kUnavailable,
      "the container runtime is not connected, or has not told its sandboxes yet",
      "check that NRI is enabled in the runtime and that its socket is mounted into the driver");
}

std::uint64_t SandboxGate::submit(module::RuntimeEvent event, Reply reply) {
  std::uint64_t id = 0;
  {
    const MutexLock lock(mutex_);
    id = ++last_event_;
  }
  reply(judge(event));
  return id;
}

void SandboxGate::cancel(std::uint64_t /*event_id*/) {}

Status SandboxGate::judge(const module::RuntimeEvent& event) {
  using Kind = module::RuntimeEvent::Kind;
  switch (event.kind) {
    case Kind::kSynchronised: {
      const MutexLock lock(mutex_);
      synchronised_.insert(event.source);
      return {};
    }
    case Kind::kDisconnected: {
      const MutexLock lock(mutex_);
      synchronised_.erase(event.source);
      return {};
    }
    case Kind::kRunPodSandbox:
    case Kind::kCreateContainer: return admit(event.sandbox.pod);
    case Kind::kStopPodSandbox:
    case Kind::kRemovePodSandbox: return {};  // nothing was attached: the sandbox was refused
  }
  return Error(Code::kUnimplemented, "unknown event of the container runtime");
}

Status SandboxGate::admit(const module::Pod& pod) const {
  NeedsNetwork needs_network;
  {
    const MutexLock lock(mutex_);
    needs_network = needs_network_;
  }
  const std::string who = "pod " + pod.namespace_ + "/" + pod.name;
  if (!needs_network) {
    return Error(Code::kUnavailable,
                 who + ": the SR-IOV driver is starting and does not know its claims yet",
                 "the runtime tries again by itself");
  }
  if (!needs_network(pod.uid)) return {};
  return Error(Code::kUnimplemented,
               who + ": its SR-IOV interface cannot be attached by this version of the driver",
               "leave netAttachDefName empty and attach with Multus");
}

}  // namespace drasriov::pod
