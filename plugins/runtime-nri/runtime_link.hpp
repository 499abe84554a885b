// SPDX-License-Identifier: Apache-2.0
//
// RuntimeLink: the connection to the runtime, kept for ever: connects, runs one Session after the
// other over the socket, waits with jitter between them. One thread reads, writes and keeps the
// deadlines; Delivery has the other.
#pragma once

#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backoff.hpp"
#include "delivery.hpp"
#include "descriptor.hpp"
#include "session.hpp"

namespace drasriov::runtime_nri {

class RuntimeLink {
 public:
  /// Begins to connect. request_timeout_ns is set to what the runtime tells and outlives the link.
  /// Throws std::system_error without threads or descriptors.
  RuntimeLink(sdk::Host host, sdk::RuntimeEvents events, std::string socket_path,
              Session::Identity identity, Backoff backoff,
              std::atomic<std::int64_t>& request_timeout_ns);
  /// Disconnects, tells the host so, ends both threads.
  ~RuntimeLink();
  RuntimeLink(const RuntimeLink&) = delete;
  RuntimeLink& operator=(const RuntimeLink&) = delete;

 private:
  using Clock = Session::Clock;
  struct Arrival {
    std::string_view hook;
    Clock::time_point at;
  };

  void run();
  [[nodiscard]] sdk::Result<Descriptor> connect() const;
  /// Until the connection ends, which is why. Success = the link is being stopped.
  [[nodiscard]] sdk::Status serve(int socket);
  [[nodiscard]] sdk::Status exchange(int socket, Session& session);
  [[nodiscard]] sdk::Status wait(int socket, Session& session) const;
  [[nodiscard]] sdk::Status read_some(int socket, Session& session);
  [[nodiscard]] static sdk::Status write_some(int socket, std::string& output);
  void take_answers(Session& session);
  void pass_on(std::vector<Session::Event> events);
  void pass_on(Session::Configured& event);
  void pass_on(Session::Synchronised& event);
  void pass_on(Session::Hook& event);
  void pass_on(Session::Late& event);
  void pass_on(const Session::Unheard& event);
  void observe(std::uint64_t token, std::string_view outcome);
  /// One line when it becomes another state, not one for each try.
  void report(const sdk::Error& error);
  void pause(std::chrono::milliseconds duration) const;

  const sdk::Host host_;
  const std::string socket_path_;
  const Session::Identity identity_;
  const std::shared_ptr<AnswerBox> answers_;
  std::atomic<std::int64_t>& request_timeout_ns_;
  std::atomic<bool> stopping_ = false;

  // Of thread_.
  std::uint64_t connection_ = 0;
  std::map<std::uint64_t, Arrival> arrivals_;  // by token, of this connection
  std::vector<char> buffer_;
  Backoff backoff_;
  std::string reported_;
  std::string runtime_;  // name and version

  Delivery delivery_;
  std::thread thread_;
};

}  // namespace drasriov::runtime_nri
