// SPDX-License-Identifier: Apache-2.0
#include "host/pod/claims_work.hpp"

#include <utility>

namespace drasriov::pod {

ClaimsWork::ClaimsWork(const PodContext& context, std::vector<std::string> claim_uids,
                       std::string purpose, Deadline deadline)
    : context_(context),
      uids_(std::move(claim_uids)),
      purpose_(std::move(purpose)),
      deadline_(deadline) {}

void ClaimsWork::reserve() {
  std::vector<std::string> keys;
  keys.reserve(uids_.size());
  for (const std::string& uid : uids_) keys.push_back(claim::claim_key(uid));
  auto parked = [self = shared_from_this()](Result<claim::WorkQueue::Reservation> claims) {
    if (!claims) return self->refused(std::move(claims).error());
    self->claims_ = std::move(*claims);
    self->with_claims();
  };
  claim::WorkQueue& queue = context_.parts.queue;
  auto claims = queue.reserve(std::move(keys), purpose_, deadline_, std::move(parked));
  if (!claims) return;
  claims_ = std::move(*claims);
  if (!queue.post([self = shared_from_this()] { self->with_claims(); })) {
    claims_.release();
    refused(Error(Code::kUnavailable, "the driver is stopping"));
  }
}

void ClaimsWork::with_claims() {
  std::vector<std::string> keys = more_keys();
  for (const std::string& uid : uids_) {
    const claim::RecordPtr record = context_.parts.journal.find(uid);
    if (record == nullptr) continue;
    records_.push_back(*record);
    for (std::string& key : claim::device_keys(*record)) keys.push_back(std::move(key));
  }
  auto parked = [self = shared_from_this()](Result<claim::WorkQueue::Reservation> devices) {
    if (!devices) {
      self->claims_.release();
      return self->refused(std::move(devices).error());
    }
    self->devices_ = std::move(*devices);
    self->with_devices();
  };
  auto devices =
      context_.parts.queue.reserve(std::move(keys), purpose_, deadline_, std::move(parked));
  if (!devices) return;
  devices_ = std::move(*devices);
  with_devices();
}

void ClaimsWork::with_devices() {
  work(std::move(records_));
  devices_.release();
  claims_.release();
}

}  // namespace drasriov::pod
