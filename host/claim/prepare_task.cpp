// SPDX-License-Identifier: Apache-2.0
//
// The steps, in order. Up to kSnapshot nothing is changed anywhere, and a transient error (API 5xx,
// runtime not synchronised, a device that is still being freed) restarts from a step before the
// devices were reserved, so that whoever has to free them can. From kIntent on an error is undone.
//
//   kFetch     GET claim; prepared before and still allocated the same → kRecall
//   kResolve   configuration; kNetworks: GET NetworkAttachmentDefinitions; kRuntime: container
//   runtime synchronised kDevices   tokens of the devices; kClear: undo what an older allocation of
//   this claim left kPlan      → the record in memory; kValidate: netconf; kSnapshot kIntent
//   durable, when a module will change the machine; kBind: modules in order, one step a round
//   kDocuments token of the pod, CDI documents; kCommit: durable, answer
#include "host/claim/prepare_task.hpp"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "host/base/fault_point.hpp"
#include "host/claim/binding_chain.hpp"
#include "host/claim/claim_specs.hpp"
#include "host/claim/undo.hpp"

namespace drasriov::claim {
namespace {

enum class Step {
  kFetch,
  kRecall,
  kResolve,
  kNetworks,
  kRuntime,
  kDevices,
  kClear,
  kPlan,
  kValidate,
  kSnapshot,
  kIntent,
  kBind,
  kDocuments,
  kCommit,
};

/// A claim that is prepared already waits for the API no longer than this before its record
/// answers.
constexpr std::chrono::seconds kRecallWait(5);
/// Whether the runtime is synchronised costs nothing to ask.
constexpr RunnerSettings::Duration kLongestRuntimePause(250);

/// What a step leaves behind when it did not fail.
enum class Flow {
  kNext,    ///< go on with step_
  kParked,  ///< a closure goes on
  kDone,    ///< answered
};

class PrepareTask : public std::enable_shared_from_this<PrepareTask> {
 public:
  PrepareTask(RunnerContext& context, ClaimRef ref, Deadline deadline, ClaimService::Prepared done)
      : context_(context),
        ref_(std::move(ref)),
        call_id_("prepare/" + ref_.uid),
        purpose_("prepare of claim " + ref_.to_string()),
        started_(WorkQueue::Clock::now()),
        deadline_(deadline.is_infinite() ? Deadline::after(context.settings.call_budget)
                                         : deadline),
        // A caller in a hurry still gets half of its time.
        work_deadline_(deadline_.earlier_by(std::min<WorkQueue::Clock::duration>(
            context.settings.answer_margin, deadline_.remaining() / 2))),
        backoff_(context.settings.retry_first, context.settings.retry_longest),
        done_(std::move(done)) {}

  void start() {
    auto parked = [self = shared_from_this()](Result<WorkQueue::Reservation> claim) {
      if (!claim) return self->answer(std::move(claim).error());
      self->claim_ = std::move(*claim);
      self->advance();
    };
    auto claim =
        queue().reserve({claim_key(ref_.uid)}, purpose_, work_deadline_, std::move(parked));
    if (!claim) return;
    claim_ = std::move(*claim);
    if (!queue().post([self = shared_from_this()] { self->advance(); })) answer(stopping());
  }

 private:
  void advance() {
    for (;;) {
      auto flow = run();
      if (!flow) return failed(std::move(flow).error());
      if (*flow != Flow::kNext) return;
    }
  }

  Result<Flow> run() {
    switch (step_) {
      case Step::kFetch: return fetch();
      case Step::kRecall: return recall();
      case Step::kResolve: return resolve_devices();
      case Step::kNetworks: return fetch_networks();
      case Step::kRuntime: return wait_for_runtime();
      case Step::kDevices: return reserve_devices();
      case Step::kClear: return clear();
      case Step::kPlan: return plan();
      case Step::kValidate: return validate();
      case Step::kSnapshot: return snapshot();
      case Step::kIntent: return intent();
      case Step::kBind: return bind();
      case Step::kDocuments: return documents();
      case Step::kCommit: break;
    }
    return commit();
  }

  Flow go(Step next) {
    step_ = next;
    return Flow::kNext;
  }

  // --- what is asked for
  // ---------------------------------------------------------------------------------------------

  Result<Flow> fetch() {
    if (context_.parts.inventory()->version() == 0) {
      return Error(Code::kUnavailable, "the devices of this node are not known yet",
                   "the log tells when a scan fails");
    }
    known_ = journal().find(ref_.uid);
    const bool prepared = known_ != nullptr && known_->state == RecordState::kPrepared &&
                          !journal().is_stale(*known_);
    const Deadline deadline = prepared
                                  ? Deadline::earliest(work_deadline_, Deadline::after(kRecallWait))
                                  : work_deadline_;
    auto object = context_.parts.cluster.get(cluster::resource_claims(),
                                             {ref_.namespace_, ref_.name}, deadline);
    fault_point("prepare.fetched");
    if (!object) {
      // Without the API nobody can say that the record is out of date: it wins (KEP-4381: prepare
      // is idempotent).
      if (prepared && object.error().code() != Code::kNotFound && devices_are_there(*known_))
        return go(Step::kRecall);
      if (object.error().code() == Code::kNotFound) {
        return object.error().with_hint(
            "the pod names a claim that is gone: create it, or delete the pod");
      }
      return std::move(object).error();
    }
    auto claim = decode_claim(*object, ref_, settings().driver_name);
    if (!claim) return std::move(claim).error();
    asked_ = std::move(*claim);
    if (prepared && same_allocation(*known_, asked_->devices) && devices_are_there(*known_))
      return go(Step::kRecall);
    object_ = std::move(*object);
    return go(Step::kResolve);
  }

  /// Whether the devices are still those that were prepared.
  [[nodiscard]] bool devices_are_there(const Record& record) const {
    const auto inventory = context_.parts.inventory();
    return std::ranges::all_of(record.devices, [&](const DeviceRecord& device) {
      return presence_of(device, *inventory) == Presence::kSame;
    });
  }

  /// The same answer as before. Who may use the claim can have changed meanwhile (shared claims):
  /// modules and names go by it, the answer does not.
  Result<Flow> recall() {
    if (asked_ && !asked_->consumers.empty() && asked_->consumers != known_->consumers) {
      auto record = std::make_shared<Record>(*known_);
      record->consumers = asked_->consumers;
      if (auto ok = journal().write(record); ok) {
        known_ = std::move(record);
      } else {
        context_.outbox.warning(ref_, "JournalFailed", ok.error().to_string());
      }
    }
    if (auto ok = keep_hook(*known_); !ok) return std::move(ok).error();
    if (auto flow = reserve_pod(known_->pod_uid); flow != Flow::kNext) return flow;
    // Their folder is often a tmpfs that others may clear; documents that are there are only read.
    if (fault_leaves_out("specs.rewrite")) return prepared(known_);
    if (auto ok = write_specs(context_, call(), *known_); !ok) return std::move(ok).error();
    return prepared(known_);
  }

  Result<Flow> resolve_devices() {
    const auto& modules = context_.parts.modules;
    auto configs = decode_configs(object_, settings().driver_name, module_fields(modules));
    if (!configs) return std::move(configs).error();
    configs_ = std::move(*configs);
    if (auto ok = look_at_devices(); !ok) return std::move(ok).error();
    return go(Step::kNetworks);
  }

  /// Takes the devices as the newest inventory shows them.
  Status look_at_devices() {
    auto inventory = context_.parts.inventory();
    if (inventory == inventory_) return {};
    auto devices = resolve(*asked_, configs_, *inventory, settings(), context_.parts.modules);
    if (!devices) return std::move(devices).error();
    devices_ = std::move(*devices);
    inventory_ = std::move(inventory);
    return {};
  }

  Result<Flow> fetch_networks() {
    for (const cluster::ObjectKey& key : networks_of(devices_)) {
      if (networks_.contains(key)) continue;
      const auto named = [&key](const Error& error) {
        return error.with_context("NetworkAttachmentDefinition " + key.to_string());
      };
      const auto object = context_.parts.networks(key, work_deadline_);
      if (!object && object.error().code() == Code::kNotFound) {
        return named(object.error())
            .with_hint("create it, or correct netAttachDefName in the claim's parameters");
      }
      if (!object) return named(object.error());
      auto config = network_config(*object);
      if (!config) return named(config.error());
      networks_[key] = std::move(*config);
    }
    return go(networks_.empty() ? Step::kDevices : Step::kRuntime);
  }

  Result<Flow> wait_for_runtime() {
    if (auto ok = context_.parts.runtime(); !ok)
      return ok.error().with_context("its network needs the container runtime");
    return go(Step::kDevices);
  }

  // --- reservation and plan
  // ------------------------------------------------------------------------------------------

  Result<Flow> reserve_devices() {
    std::vector<std::string> keys;
    if (known_ != nullptr) keys = device_keys(*known_);
    for (const ResolvedDevice& device : devices_) {
      if (!device.allocated.admin_access) keys.push_back(device_key(device.allocated.device));
    }
    step_ = Step::kClear;
    return reserve(std::move(keys), tokens_);
  }

  /// An older allocation of this claim, or an attempt that could not be undone, goes first.
  Result<Flow> clear() {
    if (known_ == nullptr) return go(Step::kPlan);
    if (journal().is_stale(*known_) &&
        std::ranges::all_of(known_->devices, [](const DeviceRecord& device) {
          return device.attachments.empty();
        })) {
      return go(Step::kPlan);  // it goes with the first write; until then it says which interface
                               // names there were
    }
    undo(context_, *known_, undo_deadline(), [self = shared_from_this()](const Status& undone) {
      if (!undone) {
        return self->failed(
            undone.error().with_context("what an earlier prepare left could not be undone"));
      }
      self->known_ = nullptr;
      self->step_ = Step::kPlan;
      self->advance();
    });
    return Flow::kParked;
  }

  Result<Flow> plan() {
    // While we waited for the tokens another claim may have put the devices back.
    if (auto ok = look_at_devices(); !ok) return std::move(ok).error();
    // Again when another claim of the same pod took a name between the two calls; it has it then,
    // so this ends.
    do {
      auto made = make_plan(*asked_, devices_, networks_, journal().surroundings(*asked_),
                            settings(), context_.parts.modules);
      if (!made) return std::move(made).error();
      changes_machine_ = made->changes_machine();
      record_ = record_of(std::move(*made), journal().boot_id());
    } while (!journal().reserve(std::make_shared<const Record>(record_)));
    reserved_ = true;
    fault_point("prepare.planned");
    return go(Step::kValidate);
  }

  Result<Flow> validate() {
    module::Netconf* netconf = context_.parts.modules.netconf;
    for (const DeviceRecord& device : record_.devices) {
      if (device.plan.netconf_json.empty()) continue;
      module::NetconfRequest request;
      request.config_json = device.plan.netconf_json;
      request.interface_name = device.plan.interface_name;
      Status ok = netconf->validate(call(), request);
      if (ok) ok = netconf->status(call(), request);
      if (!ok)
        return ok.error().with_context(describe(device.plan.allocated) + ": " +
                                       netconf->instance());
    }
    if (auto ok = keep_hook(record_); !ok) return std::move(ok).error();
    return go(Step::kSnapshot);
  }

  /// A container whose hook is missing does not start; better that the claim says so.
  [[nodiscard]] Status keep_hook(const Record& record) const {
    return has_network(record) ? context_.parts.hook.keep() : Status();
  }

  Result<Flow> snapshot() {
    if (auto ok = take_snapshots(context_.parts.modules, call(), record_); !ok)
      return std::move(ok).error();
    fault_point("prepare.snapshot");
    return go(changes_machine_ ? Step::kIntent : Step::kDocuments);
  }

  // --- the machine
  // ---------------------------------------------------------------------------------------------------

  Result<Flow> intent() {
    auto ok = journal().write(std::make_shared<const Record>(record_));
    fault_point("prepare.intent");
    if (!ok) return std::move(ok).error();
    // What slices show of the device is frozen before a module changes it.
    context_.outbox.deliver();
    backoff_.reset();
    return go(Step::kBind);
  }

  Result<Flow> bind() {
    while (device_ < record_.devices.size()) {
      if (module_ == record_.devices[device_].steps.size()) {
        ++device_;
        module_ = 0;
        continue;
      }
      const auto put_state = [this](const Record& record) {
        return journal().write(std::make_shared<const Record>(record));
      };
      auto ok = prepare_step(context_.parts.modules, call(), record_, device_, module_, put_state,
                             journal_failed_);
      if (!ok) return std::move(ok).error();
      ++module_;
    }
    return go(Step::kDocuments);
  }

  Result<Flow> documents() {
    if (auto flow = reserve_pod(record_.pod_uid); flow != Flow::kNext) return flow;
    const CdiClaimInput input = cdi_input(record_);
    for (DeviceRecord& device : record_.devices) {
      device.cdi_device_ids =
          cdi_device_ids(settings().driver_name, input, device.plan.allocated.device);
    }
    if (auto ok = write_specs(context_, call(), record_); !ok) return std::move(ok).error();
    return go(Step::kCommit);
  }

  Result<Flow> commit() {
    record_.state = RecordState::kPrepared;
    auto record = std::make_shared<const Record>(record_);
    auto ok = journal().write(record);
    fault_point("prepare.committed");
    if (!ok) return std::move(ok).error();
    return prepared(record);
  }

  // --- the end
  // -------------------------------------------------------------------------------------------------------

  Flow prepared(const RecordPtr& record) {
    context_.outbox.status(*record);
    answer(answer_of(*record));
    return Flow::kDone;
  }

  void answer(Result<std::vector<PreparedDevice>> result) {
    pod_.release();
    tokens_.release();
    claim_.release();
    if (result) {
      done_(std::move(result));
    } else {
      tell(result.error());
      done_(result.error().with_context("claim " + ref_.to_string()));
    }
    context_.outbox.deliver();
  }

  /// The claim's event. Without how long it was tried for, so that the same again is the same event.
  void tell(const Error& error) {
    if (queue().stopping()) return;
    context_.outbox.warning(ref_, "PrepareFailed", cause_.value_or(error).to_string());
  }

  void failed(Error error) {
    // An interrupted prepare is left as it is: its intent is durable, the next start undoes it.
    if (queue().stopping()) return give_up(std::move(error));
    if (may_retry(error) && retry()) return;
    cause_ = error;
    if (attempts_ > 0) {
      const auto spent =
          std::chrono::duration_cast<std::chrono::milliseconds>(WorkQueue::Clock::now() - started_);
      error = Error(error.code(),
                    error.message() + " (tried for " + std::to_string(spent.count()) + " ms)",
                    error.hint());
    }
    if (!began()) return give_up(std::move(error));
    roll_back(std::move(error));
  }

  /// Whether something durable or on the machine may be there.
  [[nodiscard]] bool began() const { return step_ >= Step::kIntent; }

  [[nodiscard]] bool may_retry(const Error& error) const {
    if (!error.retryable() || journal_failed_) return false;
    switch (step_) {
      case Step::kRecall:
      case Step::kClear:
      case Step::kIntent:
      case Step::kDocuments:
      case Step::kCommit:
        return false;  // a disk does not heal within seconds; a failed undo comes again by itself
      case Step::kRuntime:
        return WorkQueue::Clock::now() - started_ < context_.settings.runtime_wait;
      default: return true;
    }
  }

  /// Comes again after a pause, unless the time is over.
  bool retry() {
    auto pause = backoff_.next();
    if (step_ == Step::kRuntime) pause = std::min(pause, kLongestRuntimePause);
    const auto when = WorkQueue::Clock::now() + pause;
    if (when >= work_deadline_.when()) return false;
    if (step_ > Step::kDevices && !began()) {
      drop_reservation();
      step_ = Step::kDevices;
    }
    ++attempts_;
    return queue().post_at(when, [self = shared_from_this()] {
      if (self->queue().stopping()) return self->give_up(stopping());
      self->advance();
    });
  }

  void give_up(Error error) {
    drop_reservation();
    answer(std::move(error));
  }

  void drop_reservation() {
    if (std::exchange(reserved_, false)) journal().cancel_reservation(ref_.uid);
    tokens_.release();
  }

  void roll_back(Error error) {
    pod_.release();
    // What was never begun is not undone.
    for (std::size_t d = 0; d < record_.devices.size(); ++d) {
      auto& steps = record_.devices[d].steps;
      for (std::size_t s = 0; s < steps.size(); ++s) {
        const bool begun =
            step_ != Step::kIntent && (d < device_ || (d == device_ && s <= module_));
        steps[s].undone = !begun;
      }
    }
    record_.state = RecordState::kPreparing;
    undo(context_, record_, undo_deadline(),
         [self = shared_from_this(), error = std::move(error)](const Status& undone) {
           if (undone) return self->answer(error);
           std::string hint = error.hint();
           const std::string& more = undone.error().hint();
           if (!hint.empty() && !more.empty() && more != hint) hint += "; ";
           if (more != hint) hint += more;
           self->answer(Error(error.code(),
                              error.message() + "; putting the devices back failed as well: " +
                                  undone.error().message(),
                              std::move(hint)));
         });
  }

  // --- small things
  // --------------------------------------------------------------------------------------------------

  Flow reserve(std::vector<std::string> keys, WorkQueue::Reservation& into) {
    auto parked = [self = shared_from_this(), &into](Result<WorkQueue::Reservation> reservation) {
      if (!reservation) return self->failed(std::move(reservation).error());
      into = std::move(*reservation);
      self->advance();
    };
    auto reservation =
        queue().reserve(std::move(keys), purpose_, work_deadline_, std::move(parked));
    if (!reservation) return Flow::kParked;
    into = std::move(*reservation);
    return Flow::kNext;
  }

  /// The pod's token; at once when the claim has no pod of its own or the token is held already.
  Flow reserve_pod(const std::optional<std::string>& pod_uid) {
    if (!pod_uid || pod_.held()) return Flow::kNext;
    return reserve({pod_key(*pod_uid)}, pod_);
  }

  [[nodiscard]] module::Call call() const {
    module::Call call;
    call.deadline = work_deadline_;
    call.id = call_id_;
    return call;
  }
  [[nodiscard]] Deadline undo_deadline() const {
    const auto least = Deadline::after(context_.settings.undo_budget);
    return deadline_.when() > least.when() ? deadline_ : least;
  }
  static Error stopping() { return Error(Code::kUnavailable, "the driver is stopping"); }
  [[nodiscard]] WorkQueue& queue() const { return context_.parts.queue; }
  [[nodiscard]] Journal& journal() const { return context_.parts.journal; }
  [[nodiscard]] const PlanSettings& settings() const { return context_.settings.plan; }

  RunnerContext& context_;
  const ClaimRef ref_;
  const std::string call_id_;
  const std::string purpose_;
  const WorkQueue::Clock::time_point started_;
  const Deadline deadline_;
  const Deadline
      work_deadline_;  ///< by when the work is over, so that there is time to undo and to answer
  Backoff backoff_;
  const ClaimService::Prepared done_;

  Step step_ = Step::kFetch;
  int attempts_ = 0;            ///< that failed and were repeated
  std::optional<Error> cause_;  ///< of the failure, once there is one
  RecordPtr known_;             ///< what the journal had
  nlohmann::json object_;
  std::optional<ClaimObject> asked_;
  std::vector<ConfigEntry> configs_;
  device::InventorySnapshot inventory_;  ///< that devices_ is from
  std::vector<ResolvedDevice> devices_;
  Networks networks_;
  Record record_;  ///< from kPlan on
  bool reserved_ = false;
  bool changes_machine_ = false;
  bool journal_failed_ = false;
  std::size_t device_ = 0;  ///< kBind: which step is next or under way
  std::size_t module_ = 0;

  WorkQueue::Reservation claim_;
  WorkQueue::Reservation tokens_;
  WorkQueue::Reservation pod_;
};

}  // namespace

void prepare_claim(RunnerContext& context, ClaimRef claim, Deadline deadline,
                   ClaimService::Prepared done) {
  std::make_shared<PrepareTask>(context, std::move(claim), deadline, std::move(done))->start();
}

}  // namespace drasriov::claim
