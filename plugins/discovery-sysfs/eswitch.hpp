// SPDX-License-Identifier: Apache-2.0
//
// EswitchModes: asks for the eswitch mode of PFs with a deadline. The kernel answers a devlink
// request inside the sender's sendmsg() and takes the device's devlink lock for it; drivers hold
// that lock while they create VFs or change the mode, which can take seconds. So the asking is done
// by a thread of its own, and a scan waits only as long as it can afford.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace drasriov::discovery_sysfs {

enum class EswitchMode : std::uint8_t { kLegacy, kSwitchdev };

/// "legacy", "switchdev": the values of the attribute EswitchMode.
[[nodiscard]] std::string_view to_text(EswitchMode mode) noexcept;

/// Who knows eswitch modes.
class EswitchSource {
 public:
  virtual ~EswitchSource() = default;
  /// May block in the kernel. kUnimplemented when this kernel knows no devlink.
  [[nodiscard]] virtual sdk::Result<EswitchMode> mode(const std::string& pf_address) = 0;
};

class EswitchModes {
 public:
  using Clock = std::chrono::steady_clock;

  /// What is known of a PF when the deadline has come.
  struct Answer {
    std::optional<EswitchMode> mode;  ///< with `late`: that of an earlier scan
    std::optional<sdk::Error> error;
    bool late = false;  ///< the kernel has not answered yet
  };

  /// late_answer: called on the thread when an answer that an ask() no longer waited for has come.
  EswitchModes(std::unique_ptr<EswitchSource> source, std::function<void()> late_answer)
      : source_(std::move(source)),
        late_answer_(std::move(late_answer)) {}
  EswitchModes(const EswitchModes&) = delete;
  EswitchModes& operator=(const EswitchModes&) = delete;
  ~EswitchModes() { stop(); }

  void start();
  /// Returns when the thread has ended: after the request that the kernel may be holding.
  void stop() noexcept;

  /// One answer for each PF, in order. One caller at a time. REQUIRES: started.
  [[nodiscard]] std::vector<Answer> ask(const std::vector<std::string>& pf_addresses,
                                        Clock::time_point deadline);

 private:
  /// What one ask() wants. Guarded by mutex_ but for `addresses`, which never changes.
  struct Batch {
    const std::vector<std::string> addresses;
    std::vector<std::optional<sdk::Result<EswitchMode>>>
        answers;             ///< as far as the thread has come
    bool abandoned = false;  ///< nobody waits any more
  };

  void run();
  /// Asks for the rest of a batch, until it is done or another has taken its place.
  void work(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Batch>& batch);

  const std::unique_ptr<EswitchSource> source_;
  const std::function<void()> late_answer_;

  std::mutex mutex_;
  std::condition_variable asked_;
  std::condition_variable answered_;
  // Guarded by mutex_:
  bool stopping_ = false;
  std::shared_ptr<Batch> batch_;  // to be worked on; null when there is nothing to do
  std::unordered_map<std::string, EswitchMode> last_known_;  // by PF address

  std::thread thread_;
};

}  // namespace drasriov::discovery_sysfs
