// SPDX-License-Identifier: Apache-2.0
//
// Session: one connection to the runtime, from RegisterPlugin to its end, without I/O: bytes, the
// host's answers and the time go in; bytes for the runtime and events for the host come out. Each
// hook is answered before the runtime's own deadline whatever the host does. A value that is used
// once, by one thread.
#pragma once

#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "messages.hpp"
#include "mux.hpp"
#include "refusal.hpp"
#include "ttrpc.hpp"

namespace drasriov::runtime_nri {

/// "2000 ms", for messages.
[[nodiscard]] std::string milliseconds(std::chrono::nanoseconds duration);

/// How long before the runtime's deadline an answer is written: 5 %, at least 100 ms, at most half.
[[nodiscard]] std::chrono::nanoseconds answer_reserve(std::chrono::nanoseconds timeout) noexcept;

class Session {
 public:
  using Clock = std::chrono::steady_clock;

  /// Who we are among the runtime's plugins, and how we refuse.
  struct Identity {
    std::string name;
    std::string index;  ///< two digits
    RefuseAt refuse_at = RefuseAt::kAuto;
  };

  /// The runtime has told who it is.
  struct Configured {
    ConfigureRequest request;
    bool refuses_sandboxes = true;  ///< else what the host refuses at RunPodSandbox goes on
  };
  /// The runtime's sandboxes and containers are complete; hooks come from now on.
  struct Synchronised {
    std::vector<sdk::Sandbox> sandboxes;
    std::vector<sdk::Container> containers;
  };
  /// The host has to answer(token), before answer_by.
  struct Hook {
    std::uint64_t token = 0;
    std::string_view name;  ///< "RunPodSandbox", static
    sdk::RuntimeEvent event;
    Clock::time_point runtime_deadline;
  };
  /// The runtime has its answer, a refusal: the time of the hook was over.
  struct Late {
    std::uint64_t token = 0;
    std::string_view name;  ///< static
    std::string message;    ///< why
  };
  /// A sandbox that the host does not hear of goes on, as the runtime must not be refused it.
  struct Unheard {
    std::string message;  ///< why
  };
  using Event = std::variant<Configured, Synchronised, Hook, Late, Unheard>;

  /// How long the runtime may take from the connection to Configure. It serves one plugin after
  /// the other, so that a stuck one delays us.
  static constexpr std::chrono::seconds kRegistrationPatience{30};
  /// More calls at once than any runtime makes: each has one, NRI gives them one at a time.
  static constexpr std::size_t kMaxPending = 1024;

  Session(const Identity& identity, Clock::time_point now);

  /// What came from the runtime. An error: it is no NRI runtime or has refused us; close.
  [[nodiscard]] sdk::Status receive(std::string_view bytes, Clock::time_point now);
  /// The host's answer. One that comes too late, or twice, is dropped: false.
  bool answer(std::uint64_t token, sdk::Code code, std::string_view message);
  /// Answers the hooks whose time is over. An error: the runtime has not completed the handshake;
  /// close. (Runtimes up to NRI 0.6 leave a plugin connected and deaf after a failed Synchronize.)
  [[nodiscard]] sdk::Status expire(Clock::time_point now);
  /// When expire has something to do.
  [[nodiscard]] Clock::time_point next_deadline() const;

  /// Bytes to write; the caller takes away what it has written.
  [[nodiscard]] std::string& output() noexcept { return output_; }
  [[nodiscard]] std::vector<Event> take_events() noexcept { return std::exchange(events_, {}); }

  [[nodiscard]] bool synchronised() const noexcept { return synchronised_; }
  /// Hooks that the host has not answered.
  [[nodiscard]] std::vector<std::uint64_t> pending() const;

 private:
  struct Pending {
    std::uint32_t stream = 0;
    std::string_view name;
    std::string pod;  ///< "namespace/name"
    std::chrono::nanoseconds timeout{0};
    Clock::time_point answer_by;
  };

  [[nodiscard]] sdk::Status take_request(Message&& message, Clock::time_point now);
  [[nodiscard]] sdk::Status take_response(const Message& message);
  [[nodiscard]] sdk::Status dispatch(std::uint32_t stream, const Request& request,
                                     Clock::time_point now);
  [[nodiscard]] sdk::Status configure(std::uint32_t stream, std::string_view payload,
                                      Clock::time_point now);
  [[nodiscard]] sdk::Status synchronize(std::uint32_t stream, std::string_view payload);
  void hook(std::uint32_t stream, std::string_view name, sdk::EventKind kind,
            sdk::Result<HookRequest> request, std::chrono::nanoseconds timeout,
            Clock::time_point now);
  void state_change(std::uint32_t stream, const Request& request, Clock::time_point now);

  /// The runtime hears of a refused hook: as an error, or at the pod's containers.
  void refuse(const Pending& hook, sdk::Code code, std::string_view message);
  /// The same for a hook that the host is not told of.
  void refuse_unheard(std::uint32_t stream, std::string_view name, sdk::Code code,
                      std::string_view message);
  /// Whether the runtime is told success whatever the answer is.
  [[nodiscard]] bool goes_on(std::string_view name) const noexcept;
  void reply(std::uint32_t stream, std::string_view payload);
  void refuse(std::uint32_t stream, sdk::Code code, std::string_view message);

  MuxReader mux_;
  MessageReader plugin_reader_;
  MessageReader runtime_reader_;
  std::uint32_t last_stream_ = 0;
  std::uint64_t last_token_ = 0;
  const RefuseAt refuse_at_;
  ConfigureRequest runtime_;
  bool refuses_sandboxes_ = true;
  SynchronizeRequest collected_;  ///< parts of a Synchronize that is not complete
  bool synchronised_ = false;
  bool registered_ = false;
  Clock::time_point handshake_by_;
  std::string_view handshake_step_ = "Configure";
  std::map<std::uint64_t, Pending> pending_;
  std::string output_;
  std::vector<Event> events_;
};

}  // namespace drasriov::runtime_nri
