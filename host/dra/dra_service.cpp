// SPDX-License-Identifier: Apache-2.0
#include "host/dra/dra_service.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/base/names.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::dra {
namespace {

/// The call's own deadline when it has one, but never later than kCallBudget from now.
Deadline call_deadline(const grpc::CallbackServerContext& context) {
  const auto now_wall = std::chrono::system_clock::now();
  const auto left =
      std::min<std::chrono::system_clock::duration>(context.deadline() - now_wall, kCallBudget);
  return Deadline::after(std::chrono::duration_cast<Deadline::Clock::duration>(left));
}

/// Collects the answers of one call; the last one finishes it. Shared by the claims' callbacks.
template <typename Response>
class Collector {
 public:
  Collector(grpc::ServerUnaryReactor* reactor, Response* response, std::size_t expected)
      : reactor_(reactor),
        response_(response),
        open_(expected) {}

  /// `fill` writes into the claim's entry of the response.
  template <typename Fill>
  void answer(const std::string& uid, Fill fill) {
    bool last = false;
    {
      const MutexLock lock(mutex_);
      fill((*response_->mutable_claims())[uid]);
      last = --open_ == 0;
    }
    if (last) reactor_->Finish(grpc::Status::OK);
  }

 private:
  grpc::ServerUnaryReactor* const reactor_;
  Mutex mutex_;
  Response* const response_;
  std::size_t open_ DRASRIOV_GUARDED_BY(mutex_);
};

/// The claims of a request, each UID once.
template <typename Request>
std::vector<claim::ClaimRef> claims_of(const Request& request) {
  std::vector<claim::ClaimRef> claims;
  for (const auto& entry : request.claims()) {
    claim::ClaimRef ref{entry.namespace_(), entry.name(), entry.uid()};
    if (std::ranges::find(claims, ref.uid, &claim::ClaimRef::uid) == claims.end())
      claims.push_back(std::move(ref));
  }
  return claims;
}

/// Refuses what could not come from kubelet before it reaches a file name.
Status check(const claim::ClaimRef& claim) {
  if (is_object_uid(claim.uid) && is_dns_label(claim.namespace_) && is_dns_subdomain(claim.name))
    return {};
  return Error(Code::kInvalidArgument, "claim reference is malformed: namespace \"" +
                                           claim.namespace_ + "\", name \"" + claim.name +
                                           "\", uid \"" + claim.uid + "\"");
}

/// One line for each claim of a call. A failure is handled here, so it is logged here.
class AnswerLog {
 public:
  AnswerLog(telemetry::Log& log, const claim::ClaimRef& claim, std::string_view verb)
      : log_(log),
        claim_(claim.to_string()),
        verb_(verb) {}

  /// After the answer, so that it costs kubelet nothing.
  template <typename Outcome>
  void write(const Outcome& outcome) const {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
    const std::string after = std::string(verb_) + " after " + std::to_string(took.count()) + " µs";
    if (outcome) {
      log_.info("claim " + after, {{telemetry::key::kClaim, claim_}});
    } else {
      log_.error("claim not " + after + ": " + outcome.error().to_string(),
                 {{telemetry::key::kClaim, claim_}});
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  telemetry::Log& log_;
  std::string claim_;
  std::string_view verb_;  ///< "prepared", "unprepared": constants
  Clock::time_point begin_ = Clock::now();
};

template <typename Api, typename Entry>
void fill_devices(Entry& entry, const std::vector<claim::PreparedDevice>& devices) {
  for (const auto& device : devices) {
    auto& out = *entry.add_devices();
    out.mutable_request_names()->Add(device.request_names.begin(), device.request_names.end());
    out.set_pool_name(device.pool_name);
    out.set_device_name(device.device_name);
    out.mutable_cdi_device_ids()->Add(device.cdi_device_ids.begin(), device.cdi_device_ids.end());
    if constexpr (Api::kHasShareId) {
      if (device.share_id) out.set_share_id(*device.share_id);
    }
  }
}

}  // namespace

template <typename Api>
grpc::ServerUnaryReactor* DraService<Api>::NodePrepareResources(
    grpc::CallbackServerContext* context, const typename Api::PrepareRequest* request,
    typename Api::PrepareResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto claims = claims_of(*request);
  if (claims.empty()) {
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  const Deadline deadline = call_deadline(*context);
  const auto answers =
      std::make_shared<Collector<typename Api::PrepareResponse>>(reactor, response, claims.size());
  for (const auto& claim : claims) {
    const AnswerLog log(log_, claim, "prepared");
    if (const auto checked = check(claim); !checked) {
      answers->answer(claim.uid,
                      [&](auto& entry) { entry.set_error(checked.error().to_string()); });
      log.write(checked);
      continue;
    }
    claims_.prepare(
        claim, deadline,
        [answers, log, uid = claim.uid](Result<std::vector<claim::PreparedDevice>> result) {
          answers->answer(uid, [&](auto& entry) {
            if (result) {
              fill_devices<Api>(entry, *result);
            } else {
              entry.set_error(result.error().to_string());
            }
          });
          log.write(result);
        });
  }
  return reactor;
}

template <typename Api>
grpc::ServerUnaryReactor* DraService<Api>::NodeUnprepareResources(
    grpc::CallbackServerContext* context, const typename Api::UnprepareRequest* request,
    typename Api::UnprepareResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto claims = claims_of(*request);
  if (claims.empty()) {
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  const Deadline deadline = call_deadline(*context);
  const auto answers = std::make_shared<Collector<typename Api::UnprepareResponse>>(
      reactor, response, claims.size());
  for (const auto& claim : claims) {
    const AnswerLog log(log_, claim, "unprepared");
    if (const auto checked = check(claim); !checked) {
      answers->answer(claim.uid,
                      [&](auto& entry) { entry.set_error(checked.error().to_string()); });
      log.write(checked);
      continue;
    }
    claims_.unprepare(claim, deadline, [answers, log, uid = claim.uid](const Status& result) {
      answers->answer(uid, [&](auto& entry) {
        if (!result) entry.set_error(result.error().to_string());
      });
      log.write(result);
    });
  }
  return reactor;
}

template class DraService<ApiV1>;
template class DraService<ApiV1Beta1>;

}  // namespace drasriov::dra
