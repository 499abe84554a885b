// SPDX-License-Identifier: Apache-2.0
#include "host/pod/live_sandboxes.hpp"

#include <utility>

namespace drasriov::pod {

void LiveSandboxes::synchronised(const std::string& source,
                                 std::vector<module::Sandbox> sandboxes) {
  const MutexLock lock(mutex_);
  std::erase_if(sandboxes_, [&](const auto& entry) { return entry.second.source == source; });
  for (module::Sandbox& sandbox : sandboxes) {
    std::string id = sandbox.pod.sandbox_id;
    sandboxes_.insert_or_assign(std::move(id), Entry{source, std::move(sandbox)});
  }
  synchronised_.insert(source);
}

void LiveSandboxes::disconnected(std::string_view source) {
  const MutexLock lock(mutex_);
  if (const auto found = synchronised_.find(source); found != synchronised_.end())
    synchronised_.erase(found);
}

void LiveSandboxes::started(const std::string& source, const module::Sandbox& sandbox) {
  const MutexLock lock(mutex_);
  sandboxes_.insert_or_assign(sandbox.pod.sandbox_id, Entry{source, sandbox});
}

void LiveSandboxes::stopped(std::string_view sandbox_id) {
  const MutexLock lock(mutex_);
  if (const auto found = sandboxes_.find(sandbox_id); found != sandboxes_.end())
    sandboxes_.erase(found);
}

bool LiveSandboxes::any_synchronised() const {
  const MutexLock lock(mutex_);
  return !synchronised_.empty();
}

bool LiveSandboxes::contains(std::string_view sandbox_id) const {
  const MutexLock lock(mutex_);
  return sandboxes_.contains(sandbox_id);
}

std::vector<module::Sandbox> LiveSandboxes::all() const {
  const MutexLock lock(mutex_);
  std::vector<module::Sandbox> all;
  all.reserve(sandboxes_.size());
  for (const auto& [id, entry] : sandboxes_) all.push_back(entry.sandbox);
  return all;
}

}  // namespace drasriov::pod
