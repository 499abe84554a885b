// SPDX-License-Identifier: Apache-2.0
#include "host/claim/undo.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "host/base/fault_point.hpp"
#include "host/claim/binding_chain.hpp"
#include "host/claim/claim_specs.hpp"

namespace drasriov::claim {
namespace {

/// One undo() on its way; kept alive by the closures that continue it.
class Undo : public std::enable_shared_from_this<Undo> {
 public:
  Undo(RunnerContext& context, Record record, Deadline deadline, std::function<void(Status)> done)
      : context_(context),
        record_(std::move(record)),
        before_(context.parts.journal.find(record_.claim.uid)),
        call_id_("unprepare/" + record_.claim.uid),
        deadline_(deadline),
        done_(std::move(done)) {}

  void start() {
    if (auto ok = context_.parts.attacher.detach(call(), record_); !ok) {
      error_ = std::move(ok);
      return finish();
    }
    // Drivers, addresses and links did not survive the reboot: a snapshot of then says nothing
    // about now.
    const bool rebooted = context_.parts.journal.is_stale(record_);
    if (!rebooted && !all_undone(record_)) {
      if (auto ok = make_undoing_durable(); !ok) return done_(std::move(ok));
      error_ = undo_steps(context_.parts.modules, call(), *context_.parts.inventory(), record_,
                          [this](std::string what) {
                            context_.outbox.warning(record_.claim, "DeviceLost", std::move(what));
                          });
      fault_point("unprepare.undone");
    }
    if (!record_.pod_uid) return remove_documents();
    auto parked = [self = shared_from_this()](Result<WorkQueue::Reservation> pod) {
      if (!pod) {
        if (self->error_) self->error_ = std::move(pod).error();
        return self->finish();
      }
      self->pod_ = std::move(*pod);
      self->remove_documents();
    };
    auto pod = context_.parts.queue.reserve({pod_key(*record_.pod_uid)},
                                            "undo of claim " + record_.claim.to_string(), deadline_,
                                            std::move(parked));
    if (!pod) return;
    pod_ = std::move(*pod);
    remove_documents();
  }

 private:
  [[nodiscard]] module::Call call() const {
    module::Call call;
    call.deadline = deadline_;
    call.id = call_id_;
    return call;
  }

  /// Between here and the end the devices are neither prepared nor free; a restart has to know. An
  /// intent says so already.
  [[nodiscard]] Status make_undoing_durable() {
    if (before_ == nullptr || before_->state != RecordState::kPrepared) return {};
    record_.state = RecordState::kUndoing;
    record_.last_error = "being undone";
    auto ok = context_.parts.journal.write(std::make_shared<const Record>(record_));
    fault_point("unprepare.begun");
    return ok;
  }

  void remove_documents() {
    if (auto ok = remove_specs(context_, call(), record_); !ok && error_) error_ = std::move(ok);
    finish();
  }

  void finish() {
    Journal& journal = context_.parts.journal;
    if (error_) {
      error_ = journal.erase(record_.claim.uid);
      fault_point("unprepare.erased");
    }
    pod_.release();
    if (error_) {
      context_.undo_retries.forget(record_.claim.uid);
      return done_({});
    }
    const std::string reason = error_.error().to_string();
    const bool known = before_ != nullptr && before_->state == RecordState::kUndoing &&
                       before_->last_error == reason;
    record_.state = RecordState::kUndoing;
    record_.last_error = reason;
    if (!known) {
      context_.outbox.warning(
          record_.claim, "UndoFailed",
          "the devices of the claim could not be put back and stay blocked: " + reason);
      if (auto ok = journal.write(std::make_shared<const Record>(record_)); !ok) {
        context_.outbox.warning(record_.claim, "JournalFailed", ok.error().to_string());
        // The record on disk, if any, is an earlier one of this claim: the devices are blocked by
        // it all the same. Without one no module was called, and only CDI documents are left, which
        // the next start removes.
        if (before_ == nullptr || journal.is_stale(*before_))
          journal.cancel_reservation(record_.claim.uid);
      }
    }
    undo_in_background_later();
    done_(error_);
  }

  void undo_in_background_later() {
    const std::string& uid = record_.claim.uid;
    const auto pause = context_.undo_retries.schedule(uid, context_.settings);
    if (!pause) return;
    // At stop() nothing is queued any more: the record is durable, the next start goes on.
    (void)context_.parts.queue.post_at(WorkQueue::Clock::now() + *pause,
                                       [&context = context_, uid] {
                                         context.undo_retries.fired(uid);
                                         if (!context.parts.queue.stopping())
                                           undo_in_background(context, uid, {});
                                       });
  }

  RunnerContext& context_;
  Record record_;
  const RecordPtr before_;  ///< as the journal had it
  const std::string call_id_;
  const Deadline deadline_;
  const std::function<void(Status)> done_;
  WorkQueue::Reservation pod_;
  Status error_;
};

/// Takes the tokens of a claim and of the devices of its record, then runs `undo` on it. The record
/// may change until the claim's token is there, so its devices are looked up only then.
class ReservedUndo : public std::enable_shared_from_this<ReservedUndo> {
 public:
  /// Called with the claim's token held; the record may be null. False = there is nothing to do.
  using Wanted = bool (*)(const RecordPtr& record);

  ReservedUndo(RunnerContext& context, std::string uid, std::string purpose, Deadline deadline,
               Wanted wanted, std::function<void(Status)> done)
      : context_(context),
        uid_(std::move(uid)),
        purpose_(std::move(purpose)),
        deadline_(deadline),
        wanted_(wanted),
        done_(std::move(done)) {}

  /// Stands in line for the claim at once, so that calls keep their order; never works on the
  /// caller's thread.
  void start() {
    auto parked = [self = shared_from_this()](Result<WorkQueue::Reservation> claim) {
      if (!claim) return self->finish(std::move(claim).error());
      self->claim_ = std::move(*claim);
      self->with_claim();
    };
    WorkQueue& queue = context_.parts.queue;
    auto claim = queue.reserve({claim_key(uid_)}, purpose_, deadline_, std::move(parked));
    if (!claim) return;
    claim_ = std::move(*claim);
    if (!queue.post([self = shared_from_this()] { self->with_claim(); })) {
      finish(Error(Code::kUnavailable, "the driver is stopping"));
    }
  }

 private:
  void with_claim() {
    record_ = context_.parts.journal.find(uid_);
    if (!wanted_(record_)) return finish({});
    auto parked = [self = shared_from_this()](Result<WorkQueue::Reservation> devices) {
      if (!devices) return self->finish(std::move(devices).error());
      self->devices_ = std::move(*devices);
      self->with_devices();
    };
    auto devices =
        context_.parts.queue.reserve(device_keys(*record_), purpose_, deadline_, std::move(parked));
    if (!devices) return;
    devices_ = std::move(*devices);
    with_devices();
  }

  void with_devices() {
    const auto least = Deadline::after(context_.settings.undo_budget);
    const Deadline deadline = deadline_.when() > least.when() ? deadline_ : least;
    undo(context_, *record_, deadline,
         [self = shared_from_this()](Status status) { self->finish(std::move(status)); });
  }

  void finish(Status status) {
    devices_.release();
    claim_.release();
    done_(std::move(status));
    context_.outbox.deliver();
  }

  RunnerContext& context_;
  const std::string uid_;
  const std::string purpose_;
  const Deadline deadline_;
  const Wanted wanted_;
  const std::function<void(Status)> done_;
  RecordPtr record_;
  WorkQueue::Reservation claim_;
  WorkQueue::Reservation devices_;
};

/// What the claim's record in quarantine says, nullptr when there is none that can be read.
RecordPtr quarantined_record(const Journal& journal, std::string_view uid) {
  for (const Quarantined& bad : journal.quarantined()) {
    if (bad.uid == uid) return bad.claimed;
  }
  return nullptr;
}

}  // namespace

void undo(RunnerContext& context, Record record, Deadline deadline,
          std::function<void(Status)> done) {
  std::make_shared<Undo>(context, std::move(record), deadline, std::move(done))->start();
}

void undo_in_background(RunnerContext& context, const std::string& uid,
                        std::function<void()> done) {
  const RecordPtr known = context.parts.journal.find(uid);
  const std::string purpose = "undo of claim " + (known ? known->claim.to_string() : uid);
  const auto wanted = [](const RecordPtr& record) {
    return record != nullptr && record->state != RecordState::kPrepared;
  };
  const auto finished = [&context, done = std::move(done),
                         claim =
                             known ? known->claim : ClaimRef{"", "", uid}](const Status& status) {
    if (status && context.parts.journal.find(claim.uid) == nullptr) context.outbox.forgotten(claim);
    if (done) done();
  };
  std::make_shared<ReservedUndo>(context, uid, purpose, Deadline::infinite(), wanted, finished)
      ->start();
}

void unprepare_claim(RunnerContext& context, const ClaimRef& claim, Deadline deadline,
                     ClaimService::Unprepared done) {
  const auto wanted = [](const RecordPtr& record) { return record != nullptr; };
  const auto finished = [&context, claim, done = std::move(done)](Status status) {
    const RecordPtr bad = quarantined_record(context.parts.journal, claim.uid);
    if (status) status = context.parts.journal.release_quarantined(claim.uid);
    if (status && bad) context.parts.quarantine_released(*bad);
    if (!status) return done(status.error().with_context("claim " + claim.to_string()));
    context.outbox.forgotten(claim);
    done({});
  };
  const std::string uid = claim.uid;
  std::make_shared<ReservedUndo>(context, uid, "unprepare of claim " + claim.to_string(), deadline,
                                 wanted, finished)
      ->start();
}

}  // namespace drasriov::claim
