// SPDX-License-Identifier: Apache-2.0
//
// HeldHost: a host that takes runtime events and answers when the test says so. Any thread; every
// wait has a limit of 10 s.
#pragma once

#include <drasriov/sdk/testing/fake_host.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace drasriov::runtime_nri::testing {

class HeldHost : public sdk::testing::FakeHost {
 public:
  struct Event {
    sdk::EventKind kind = sdk::EventKind::kDisconnected;
    std::chrono::nanoseconds budget{0};
    std::string sandbox;  ///< id
    std::string netns;
    std::string container;                 ///< id
    std::vector<std::string> sandboxes;    ///< ids, of kSynchronised
    std::vector<std::string> containers;   ///< likewise
    std::vector<std::string> netns_paths;  ///< of the sandboxes
    drasriov_reply_fn reply = nullptr;
    void* context = nullptr;
  };

  [[nodiscard]] sdk::RuntimeEvents runtime_events() { return {host(), &kTable}; }

  /// Hooks that wait for answer(); all else is answered at once. Before the module starts.
  void hold_hooks() { hold_ = true; }
  /// Runs inside submit, which must not block: what a broken host does to the module.
  void set_on_submit(std::function<void(const Event&)> on_submit) {
    on_submit_ = std::move(on_submit);
  }

  /// The i-th event since the start.
  [[nodiscard]] std::optional<Event> event(std::size_t i) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kLimit, [&] { return events_.size() > i; })) return {};
    return events_[i];
  }
  [[nodiscard]] std::size_t count() {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }
  /// Whether the event whose place is i is cancelled within the limit.
  [[nodiscard]] bool cancelled(std::size_t i) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] {
      return std::find(cancelled_.begin(), cancelled_.end(), i + 1) != cancelled_.end();
    });
  }
  static void answer(const Event& event, sdk::Code code = sdk::Code::kOk,
                     std::string_view message = {}) {
    event.reply(event.context, static_cast<drasriov_status>(code), sdk::to_abi(message));
  }

 private:
  static constexpr std::chrono::seconds kLimit{10};

  static std::uint64_t submit(drasriov_host* handle, const drasriov_runtime_event* abi,
                              drasriov_reply_fn reply, void* context) {
    auto& self = of(handle);
    Event event;
    event.kind = static_cast<sdk::EventKind>(abi->kind);
    event.budget = std::chrono::nanoseconds(abi->budget_ns);
    if (abi->sandbox != nullptr) {
      event.sandbox = sdk::from_abi(abi->sandbox->pod->sandbox_id);
      event.netns = sdk::from_abi(abi->sandbox->netns_path);
    }
    if (abi->container != nullptr) event.container = sdk::from_abi(abi->container->id);
    for (std::size_t i = 0; i < abi->sandbox_count; ++i) {
      event.sandboxes.emplace_back(sdk::from_abi(abi->sandboxes[i].pod->sandbox_id));
      event.netns_paths.emplace_back(sdk::from_abi(abi->sandboxes[i].netns_path));
    }
    for (std::size_t i = 0; i < abi->container_count; ++i) {
      event.containers.emplace_back(sdk::from_abi(abi->containers[i].id));
    }
    event.reply = reply;
    event.context = context;
    if (self.on_submit_) self.on_submit_(event);
    const bool held = self.hold_ && event.kind != sdk::EventKind::kSynchronised &&
                      event.kind != sdk::EventKind::kDisconnected;
    std::uint64_t id = 0;
    {
      const std::lock_guard lock(self.mutex_);
      self.events_.push_back(event);
      id = self.events_.size();
    }
    if (!held) answer(event);
    self.changed_.notify_all();
    return id;
  }
  static void cancel(drasriov_host* handle, std::uint64_t id) {
    auto& self = of(handle);
    {
      const std::lock_guard lock(self.mutex_);
      self.cancelled_.push_back(id);
    }
    self.changed_.notify_all();
  }
  static HeldHost& of(drasriov_host* handle) {
    return static_cast<HeldHost&>(*reinterpret_cast<FakeHost*>(handle));
  }

  static constexpr drasriov_runtime_events_v1 kTable{
      .struct_size = sizeof(drasriov_runtime_events_v1), .submit = &submit, .cancel = &cancel};

  bool hold_ = false;
  std::function<void(const Event&)> on_submit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::vector<std::uint64_t> cancelled_;
};

}  // namespace drasriov::runtime_nri::testing
