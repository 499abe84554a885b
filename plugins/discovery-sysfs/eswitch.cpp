// SPDX-License-Identifier: Apache-2.0
#include "eswitch.hpp"

#include <cstddef>
#include <utility>

#include "module_thread.hpp"

namespace drasriov::discovery_sysfs {

std::string_view to_text(EswitchMode mode) noexcept {
  return mode == EswitchMode::kSwitchdev ? "switchdev" : "legacy";
}

void EswitchModes::start() {
  stopping_ = false;
  thread_ = start_thread("drasriov-devlnk", [this] { run(); });
}

void EswitchModes::stop() noexcept {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

std::vector<EswitchModes::Answer> EswitchModes::ask(const std::vector<std::string>& pf_addresses,
                                                    Clock::time_point deadline) {
  const auto batch = std::make_shared<Batch>(Batch{.addresses = pf_addresses});
  std::unique_lock lock(mutex_);
  batch_ = batch;
  asked_.notify_one();
  const auto done = [&] { return batch->answers.size() == batch->addresses.size(); };
  batch->abandoned = !answered_.wait_until(lock, deadline, done);

  std::vector<Answer> answers(pf_addresses.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    Answer& answer = answers[i];
    if (i >= batch->answers.size()) {
      answer.late = true;
      const auto known = last_known_.find(pf_addresses[i]);
      if (known != last_known_.end()) {
        answer.mode = known->second;
      }
    } else if (const sdk::Result<EswitchMode>& result = *batch->answers[i]; result) {
      answer.mode = *result;
    } else {
      answer.error = result.error();
    }
  }
  return answers;
}

void EswitchModes::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return stopping_ || batch_ != nullptr; });
    if (stopping_) {
      return;
    }
    const std::shared_ptr<Batch> batch = batch_;
    work(lock, batch);
    if (batch_ != batch) {
      continue;
    }
    batch_.reset();
    answered_.notify_one();
    if (batch->abandoned) {
      lock.unlock();
      late_answer_();
      lock.lock();
    }
  }
}

void EswitchModes::work(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Batch>& batch) {
  for (const std::string& address : batch->addresses) {
    lock.unlock();
    sdk::Result<EswitchMode> result = source_->mode(address);
    lock.lock();
    if (result) {
      last_known_.insert_or_assign(address, *result);
    }
    batch->answers.emplace_back(std::move(result));
    if (stopping_ || batch_ != batch) {
      return;
    }
  }
}

}  // namespace drasriov::discovery_sysfs
