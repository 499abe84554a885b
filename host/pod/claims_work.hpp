// SPDX-License-Identifier: Apache-2.0
//
// ClaimsWork: reserves some claims, then the devices and sandboxes of their records, then works on a thread of the queue. The records may
// change until their claims' tokens are there, so that they are looked up only then. Internal to pod/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/record.hpp"
#include "host/claim/work_queue.hpp"
#include "host/pod/pod_context.hpp"

namespace drasriov::pod {

class ClaimsWork : public std::enable_shared_from_this<ClaimsWork> {
 public:
  ClaimsWork(const PodContext& context, std::vector<std::string> claim_uids, std::string purpose,
             Deadline deadline);
  virtual ~ClaimsWork() = default;
  ClaimsWork(const ClaimsWork&) = delete;
  ClaimsWork& operator=(const ClaimsWork&) = delete;

 protected:
  /// Called once. Returns at once, and never works on the caller's thread.
  void reserve();
  /// With all tokens; `records` are those that are still there. The tokens go when it returns.
  virtual void work(std::vector<claim::Record> records) = 0;
  /// Tokens to hold beside those of the records.
  [[nodiscard]] virtual std::vector<std::string> more_keys() const { return {}; }
  /// Instead of work(): the tokens were not free in time, or the driver is stopping.
  virtual void refused(Error error) = 0;

  const PodContext& context_;

 private:
  void with_claims();
  void with_devices();

  const std::vector<std::string> uids_;
  const std::string purpose_;
  const Deadline deadline_;
  std::vector<claim::Record> records_;
  claim::WorkQueue::Reservation claims_;
  claim::WorkQueue::Reservation devices_;
};

}  // namespace drasriov::pod
