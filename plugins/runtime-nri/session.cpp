// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace drasriov::runtime_nri {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kRegisterStream = 1;
/// Told to the runtime with RegisterPlugin, as Go plugins do.
constexpr std::chrono::nanoseconds kRegisterTimeout = 5s;
/// A runtime that does not read our answers has hung; ours are a few hundred bytes each.
constexpr std::size_t kMaxOutput = 8U << 20;

struct HookName {
  std::string_view method;
  StateChange state_change;
  sdk::EventKind kind;
};

constexpr std::string_view kRunPodSandbox = "RunPodSandbox";

/// Each comes as its own call (CreateContainer always, the others since NRI 0.12) or, but for
/// CreateContainer, as StateChange.
constexpr std::array kHooks = {
    HookName{kRunPodSandbox, StateChange::kRunPodSandbox, sdk::EventKind::kRunPodSandbox},
    HookName{"StopPodSandbox", StateChange::kStopPodSandbox, sdk::EventKind::kStopPodSandbox},
    HookName{"RemovePodSandbox", StateChange::kRemovePodSandbox, sdk::EventKind::kRemovePodSandbox},
    HookName{"CreateContainer", StateChange::kCreateContainer, sdk::EventKind::kCreateContainer},
};

}  // namespace

std::string milliseconds(std::chrono::nanoseconds duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
         " ms";
}

std::chrono::nanoseconds answer_reserve(std::chrono::nanoseconds timeout) noexcept {
  return std::min(std::max<std::chrono::nanoseconds>(timeout / 20, 100ms), timeout / 2);
}

Session::Session(const Identity& identity, Clock::time_point now)
    : refuse_at_(identity.refuse_at),
      handshake_by_(now + kRegistrationPatience) {
  const std::string message = encode_register_plugin(identity.name, identity.index);
  append_message(output_, kRuntimeConnection, kRegisterStream, kRequest,
                 encode_request({.service = kRuntimeService,
                                 .method = "RegisterPlugin",
                                 .payload = message,
                                 .timeout = kRegisterTimeout}));
}

sdk::Status Session::receive(std::string_view bytes, Clock::time_point now) {
  return mux_.feed(bytes, [&](std::uint32_t connection, std::string_view piece) -> sdk::Status {
    if (connection == kPluginConnection) {
      return plugin_reader_.feed(
          piece, [&](Message&& message) { return take_request(std::move(message), now); });
    }
    if (connection == kRuntimeConnection) {
      return runtime_reader_.feed(piece,
                                  [&](const Message& message) { return take_response(message); });
    }
    return {};  // of a newer NRI: for somebody else
  });
}

sdk::Status Session::take_request(Message&& message, Clock::time_point now) {
  if (message.type == kData) {
    refuse(message.stream, sdk::Code::kInvalidArgument, "this plugin has no streaming methods");
  } else if (message.type == kRequest) {
    if (message.stream % 2 == 0 || message.stream <= last_stream_) {
      refuse(message.stream, sdk::Code::kInvalidArgument,
             "stream id is even or not larger than the last one");
    } else {
      last_stream_ = message.stream;
      const auto request = parse_request(message.data);
      if (message.too_long) {
        refuse(message.stream, sdk::Code::kResourceExhausted,
               "the message is longer than " + std::to_string(kMaxReceivedMessage) + " bytes");
      } else if (!request) {
        refuse(message.stream, sdk::Code::kInvalidArgument, "the request is not protobuf");
      } else if (auto done = dispatch(message.stream, *request, now); !done) {
        return done;
      }
    }
  }
  if (output_.size() > kMaxOutput) {
    return sdk::Error(sdk::Code::kResourceExhausted, "the runtime does not read our answers");
  }
  return {};
}

sdk::Status Session::take_response(const Message& message) {
  if (message.type != kResponse || message.stream != kRegisterStream || registered_) return {};
  const auto response = parse_response(message.data);
  if (!response) {
    return sdk::Error(sdk::Code::kInvalidArgument, "the answer to RegisterPlugin is not protobuf");
  }
  if (response->code != sdk::Code::kOk) {
    return sdk::Error(sdk::Code::kFailedPrecondition,
                      "the runtime refuses RegisterPlugin: " + std::string(response->message),
                      "see nriPluginName and nriPluginIndex, and the runtime's log");
  }
  registered_ = true;
  return {};
}

sdk::Status Session::dispatch(std::uint32_t stream, const Request& request, Clock::time_point now) {
  if (request.service != kPluginService) {
    refuse(stream, sdk::Code::kUnimplemented, "service " + std::string(request.service));
    return {};
  }
  // The answer to RegisterPlugin may come after these.
  if (request.method == "Configure") return configure(stream, request.payload, now);
  if (request.method == "Synchronize") return synchronize(stream, request.payload);
  if (request.method == "StateChange") {
    state_change(stream, request, now);
    return {};
  }
  if (request.method == "Shutdown") {
    reply(stream, {});
    return {};
  }
  const auto* found = std::ranges::find(kHooks, request.method, &HookName::method);
  if (found == kHooks.end()) {
    refuse(stream, sdk::Code::kUnimplemented, "method " + std::string(request.method));
    return {};
  }
  hook(stream, found->method, found->kind, parse_hook(request.payload), request.timeout, now);
  return {};
}

sdk::Status Session::configure(std::uint32_t stream, std::string_view payload,
                               Clock::time_point now) {
  auto request = parse_configure(payload);
  if (!request) {
    refuse(stream, sdk::Code::kInternal, request.error().message());
    return {};
  }
  runtime_ = *std::move(request);
  refuses_sandboxes_ = refuse_at_ == RefuseAt::kSandbox ||
                       (refuse_at_ == RefuseAt::kAuto &&
                        !keeps_refused_sandboxes(runtime_.runtime_name, runtime_.runtime_version));
  if (!synchronised_) {
    handshake_by_ = now + runtime_.registration_timeout + 2 * runtime_.request_timeout + 5s;
    handshake_step_ = "Synchronize";
  }
  events_.emplace_back(Configured{runtime_, refuses_sandboxes_});
  reply(stream, encode_configure_response(kSubscribedEvents));
  return {};
}

sdk::Status Session::synchronize(std::uint32_t stream, std::string_view payload) {
  auto part = parse_synchronize(payload);
  if (!part) {
    refuse(stream, sdk::Code::kInternal, part.error().message());
    return {};
  }
  if (collected_.sandboxes.size() + part->sandboxes.size() > kMaxSandboxes ||
      collected_.containers.size() + part->containers.size() > kMaxContainers) {
    return sdk::Error(sdk::Code::kResourceExhausted,
                      "the runtime tells more sandboxes or containers than any node has");
  }
  const auto append = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(collected_.sandboxes, part->sandboxes);
  append(collected_.containers, part->containers);
  reply(stream, encode_synchronize_response(part->more));
  if (part->more) return {};
  synchronised_ = true;
  auto whole = std::exchange(collected_, {});
  events_.emplace_back(Synchronised{.sandboxes = std::move(whole.sandboxes),
                                    .containers = std::move(whole.containers)});
  return {};
}

void Session::state_change(std::uint32_t stream, const Request& request, Clock::time_point now) {
  auto change = parse_state_change(request.payload);
  if (change) {
    const auto* found =
        std::ranges::find(kHooks, static_cast<StateChange>(change->event), &HookName::state_change);
    if (found == kHooks.end()) {
      reply(stream, {});  // an event that we have not subscribed to
      return;
    }
    hook(stream, found->method, found->kind, std::move(change), request.timeout, now);
    return;
  }
  // It may be a sandbox's start, and is none of a container, which comes as a call of its own.
  refuse_unheard(stream, kRunPodSandbox, sdk::Code::kInternal, change.error().message());
}

void Session::hook(std::uint32_t stream, std::string_view name, sdk::EventKind kind,
                   sdk::Result<HookRequest> request, std::chrono::nanoseconds timeout,
                   Clock::time_point now) {
  if (!request) {
    refuse_unheard(stream, name, sdk::Code::kInternal, request.error().message());
    return;
  }
  if (pending_.size() >= kMaxPending) {
    refuse_unheard(stream, name, sdk::Code::kResourceExhausted,
                   "more than " + std::to_string(kMaxPending) + " calls wait for an answer");
    return;
  }
  if (timeout <= 0ns || timeout > 24h) timeout = runtime_.request_timeout;
  const sdk::Pod& pod = request->sandbox.pod;
  const std::uint64_t token = ++last_token_;
  pending_[token] = {.stream = stream,
                     .name = name,
                     .pod = pod.namespace_ + "/" + pod.name,
                     .timeout = timeout,
                     .answer_by = now + timeout - answer_reserve(timeout)};
  sdk::RuntimeEvent event;
  event.kind = kind;
  event.budget = timeout;
  event.sandbox = std::move(request->sandbox);
  event.container = std::move(request->container);
  events_.emplace_back(Hook{
      .token = token, .name = name, .event = std::move(event), .runtime_deadline = now + timeout});
}

bool Session::answer(std::uint64_t token, sdk::Code code, std::string_view message) {
  const auto found = pending_.find(token);
  if (found == pending_.end()) return false;
  if (code == sdk::Code::kOk) {
    reply(found->second.stream, {});
  } else {
    refuse(found->second, code, message);
  }
  pending_.erase(found);
  return true;
}

sdk::Status Session::expire(Clock::time_point now) {
  for (auto next = pending_.begin(); next != pending_.end();) {
    const auto& [token, hook] = *next;
    if (hook.answer_by > now) {
      ++next;
      continue;
    }
    std::string message = "pod " + hook.pod + ": " + std::string(hook.name) +
                          ": the SR-IOV driver was not done within " +
                          milliseconds(hook.timeout - answer_reserve(hook.timeout)) +
                          " of the runtime's " + milliseconds(hook.timeout) +
                          "; it goes on, and the runtime tries again";
    refuse(hook, sdk::Code::kDeadlineExceeded, message);
    events_.emplace_back(Late{.token = token, .name = hook.name, .message = std::move(message)});
    next = pending_.erase(next);
  }
  if (!synchronised_ && now >= handshake_by_) {
    return sdk::Error(sdk::Code::kDeadlineExceeded,
                      "the runtime has not sent " + std::string(handshake_step_) + " in time");
  }
  return {};
}

Session::Clock::time_point Session::next_deadline() const {
  auto next = synchronised_ ? Clock::time_point::max() : handshake_by_;
  for (const auto& [token, hook] : pending_) next = std::min(next, hook.answer_by);
  return next;
}

std::vector<std::uint64_t> Session::pending() const {
  std::vector<std::uint64_t> tokens;
  for (const auto& [token, hook] : pending_) tokens.push_back(token);
  return tokens;
}

void Session::refuse(const Pending& hook, sdk::Code code, std::string_view message) {
  if (goes_on(hook.name)) return reply(hook.stream, {});
  refuse(hook.stream, code, message);
}

void Session::refuse_unheard(std::uint32_t stream, std::string_view name, sdk::Code code,
                             std::string_view message) {
  if (!goes_on(name)) return refuse(stream, code, message);
  events_.emplace_back(Unheard{std::string(name) + ": " + std::string(message) +
                               "; the sandbox goes on without its network, and its containers "
                               "are refused until they have it"});
  reply(stream, {});
}

bool Session::goes_on(std::string_view name) const noexcept {
  return name == kRunPodSandbox && !refuses_sandboxes_;
}

void Session::reply(std::uint32_t stream, std::string_view payload) {
  append_message(output_, kPluginConnection, stream, kResponse, encode_success(payload));
}

void Session::refuse(std::uint32_t stream, sdk::Code code, std::string_view message) {
  append_message(output_, kPluginConnection, stream, kResponse, encode_failure(code, message));
}

}  // namespace drasriov::runtime_nri
