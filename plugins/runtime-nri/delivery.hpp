// SPDX-License-Identifier: Apache-2.0
//
// Delivery: the way of events to the host and of its answers back, on a thread of its own, so that
// the thread that reads the socket and keeps the deadlines waits for nobody. Owned by RuntimeLink.
#pragma once

#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "descriptor.hpp"

namespace drasriov::runtime_nri {

/// A hook of one connection: an answer that comes after a reconnection is for nobody.
struct HookKey {
  std::uint64_t connection = 0;
  std::uint64_t token = 0;
  friend auto operator<=>(const HookKey&, const HookKey&) = default;
};

/// Answers from the host's threads to the link's. Any thread.
class AnswerBox {
 public:
  struct Answer {
    HookKey key;
    sdk::Code code = sdk::Code::kOk;
    std::string message;
  };

  /// Throws std::system_error without an eventfd.
  AnswerBox();

  void put(Answer answer);
  /// Without an answer: makes descriptor() readable.
  void wake() const noexcept;
  [[nodiscard]] std::vector<Answer> take();
  /// Readable after put and wake, until take.
  [[nodiscard]] int descriptor() const noexcept { return event_.get(); }

 private:
  Descriptor event_;
  std::mutex mutex_;
  std::vector<Answer> answers_;
};

class Delivery {
 public:
  using Clock = std::chrono::steady_clock;

  /// proc_root: where process 1 tells which network namespace is the host's.
  Delivery(sdk::Host host, sdk::RuntimeEvents events, std::string proc_root,
           std::shared_ptr<AnswerBox> answers);
  /// Delivers what is queued, then ends.
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// All [any], in order.
  void submit(HookKey key, sdk::RuntimeEvent event, Clock::time_point runtime_deadline);
  /// An event whose answer nobody waits for.
  void tell(sdk::RuntimeEvent event);
  /// Nobody waits for the answer any more.
  void cancel(HookKey key);
  /// The answer has come.
  void forget(HookKey key);

 private:
  struct Submit {
    HookKey key;
    sdk::RuntimeEvent event;
    Clock::time_point runtime_deadline;
  };
  struct Tell {
    sdk::RuntimeEvent event;
  };
  struct Cancel {
    HookKey key;
  };
  struct Forget {
    HookKey key;
  };
  using Item = std::variant<Submit, Tell, Cancel, Forget>;

  void enqueue(Item item);
  void run();
  void deliver(Submit& item);
  void deliver(Tell& item);
  void deliver(const Cancel& item);
  void deliver(const Forget& item);

  const sdk::Host host_;
  const sdk::RuntimeEvents events_;
  const std::string proc_root_;
  const std::shared_ptr<AnswerBox> answers_;
  std::map<HookKey, std::uint64_t> submitted_;  // event ids; of thread_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

/// Whether path is the network namespace of the host: CRI-O pins it for a pod of the host's network
/// like any other. False when it cannot be told, as for a path that is gone.
[[nodiscard]] bool is_host_network(const std::string& path, const std::string& proc_root);

}  // namespace drasriov::runtime_nri
