// SPDX-License-Identifier: Apache-2.0
#include "runtime_link.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "module_thread.hpp"

namespace drasriov::runtime_nri {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kReadSize = 64U << 10;
/// Below it an attach that waits for its driver is cut off, and the pod fails.
constexpr auto kEnoughTime = 10s;

std::string timeout_setting(std::string_view runtime) {
  return runtime == "cri-o"
             ? "[crio.nri] nri_plugin_request_timeout = \"30s\""
             : "[plugins.\"io.containerd.nri.v1.nri\"] plugin_request_timeout = \"30s\"";
}

std::string_view outcome_of(sdk::Code code) {
  return code == sdk::Code::kOk ? "accepted" : "refused";
}

}  // namespace

RuntimeLink::RuntimeLink(sdk::Host host, sdk::RuntimeEvents events, std::string socket_path,
                         Session::Identity identity, Backoff backoff,
                         std::atomic<std::int64_t>& request_timeout_ns)
    : host_(host),
      socket_path_(std::move(socket_path)),
      identity_(std::move(identity)),
      answers_(std::make_shared<AnswerBox>()),
      request_timeout_ns_(request_timeout_ns),
      buffer_(kReadSize),
      backoff_(backoff),
      delivery_(host, events, std::string(host.root(sdk::Root::kProc)), answers_),
      thread_(start_thread("drasriov-nri", [this] { run(); })) {}

RuntimeLink::~RuntimeLink() {
  stopping_ = true;
  answers_->wake();
  thread_.join();
}

void RuntimeLink::run() {
  host_.gauge_set("runtime_connected", 0);
  while (!stopping_) {
    try {
      auto socket = connect();
      const sdk::Status ended = socket ? serve(socket->get()) : sdk::Status(socket.error());
      if (!ended) report(ended.error());
    } catch (const std::exception& error) {
      report({sdk::Code::kResourceExhausted, error.what()});
    }
    if (!stopping_) pause(backoff_.next());
  }
}

sdk::Result<Descriptor> RuntimeLink::connect() const {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return sdk::errno_error(errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path_.c_str(), socket_path_.size() + 1);
  // A unix socket connects at once or not at all: EAGAIN = the runtime's backlog is full.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return sdk::errno_error(errno, "connect " + socket_path_,
                            "start the container runtime, enable NRI in it and mount the socket's "
                            "directory into the driver");
  }
  return socket;
}

sdk::Status RuntimeLink::serve(int socket) {
  ++connection_;
  arrivals_.clear();
  Session session(identity_, Clock::now());
  sdk::Status ended;
  try {
    ended = exchange(socket, session);
  } catch (const std::exception& error) {  // out of memory: the host still hears that it has ended
    ended = sdk::Error(sdk::Code::kResourceExhausted, error.what());
  }
  pass_on(session.take_events());
  for (const std::uint64_t token : session.pending()) {
    delivery_.cancel({connection_, token});
    observe(token, "disconnected");
  }
  if (session.synchronised()) {
    backoff_.reset();
    host_.gauge_set("runtime_connected", 0);
    sdk::RuntimeEvent event;
    event.kind = sdk::EventKind::kDisconnected;
    delivery_.tell(std::move(event));
  }
  return ended;
}

sdk::Status RuntimeLink::exchange(int socket, Session& session) {
  while (!stopping_) {
    take_answers(session);
    if (auto in_time = session.expire(Clock::now()); !in_time) return in_time;
    pass_on(session.take_events());
    if (auto written = write_some(socket, session.output()); !written) return written;
    if (auto waited = wait(socket, session); !waited) return waited;
    if (auto received = read_some(socket, session); !received) return received;
  }
  return {};
}

sdk::Status RuntimeLink::wait(int socket, Session& session) const {
  const bool to_write = !session.output().empty();
  pollfd polled[] = {{socket, static_cast<short>(to_write ? POLLIN | POLLOUT : POLLIN), 0},
                     {answers_->descriptor(), POLLIN, 0}};
  const auto left = session.next_deadline() - Clock::now();
  // Rounded up: woken early it would turn once more for nothing.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(
      std::clamp<std::chrono::nanoseconds>(left, 0ns, 60s));
  if (::poll(polled, 2, static_cast<int>(ms.count())) < 0 && errno != EINTR) {
    return sdk::errno_error(errno, "poll");
  }
  return {};
}

sdk::Status RuntimeLink::read_some(int socket, Session& session) {
  const ssize_t size = ::recv(socket, buffer_.data(), buffer_.size(), 0);
  if (size > 0) {
    return session.receive({buffer_.data(), static_cast<std::size_t>(size)}, Clock::now());
  }
  if (size == 0) return sdk::Error(sdk::Code::kUnavailable, "the runtime closed the connection");
  if (errno == EAGAIN || errno == EINTR) return {};
  return sdk::errno_error(errno, "read from the runtime");
}

sdk::Status RuntimeLink::write_some(int socket, std::string& output) {
  while (!output.empty()) {
    const ssize_t size = ::send(socket, output.data(), output.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EAGAIN) return {};
    if (size < 0 && errno != EINTR) return sdk::errno_error(errno, "write to the runtime");
    if (size > 0) output.erase(0, static_cast<std::size_t>(size));
  }
  return {};
}

void RuntimeLink::take_answers(Session& session) {
  for (AnswerBox::Answer& answer : answers_->take()) {
    if (answer.key.connection == connection_ &&
        session.answer(answer.key.token, answer.code, answer.message)) {
      observe(answer.key.token, outcome_of(answer.code));
    }
    delivery_.forget(answer.key);
  }
}

void RuntimeLink::pass_on(std::vector<Session::Event> events) {
  for (Session::Event& event : events) {
    std::visit([this](auto& it) { pass_on(it); }, event);
  }
}

void RuntimeLink::pass_on(Session::Configured& event) {
  const auto& [name, version, registration_timeout, request_timeout] = event.request;
  if (!event.refuses_sandboxes && identity_.refuse_at == RefuseAt::kAuto) {
    host_.log().warning(
        "pods without their network are refused at their containers, not at their sandbox: " +
            name + " " + version +
            " would leave each refused sandbox behind — hint: containerd 2.2.6 and 2.3.3 do not",
        {{"runtime", name + " " + version}});
  }
  runtime_ = name + " " + version;
  request_timeout_ns_ = std::chrono::nanoseconds(request_timeout).count();
  if (request_timeout < kEnoughTime) {
    host_.log().warning("the container runtime gives its NRI plugins " +
                            milliseconds(request_timeout) +
                            " for each call; a pod whose interface takes longer fails to start — "
                            "hint: set " +
                            timeout_setting(name) + " and restart " + name,
                        {{"runtime", runtime_}});
  }
}

void RuntimeLink::pass_on(Session::Synchronised& event) {
  reported_.clear();
  host_.gauge_set("runtime_connected", 1);
  host_.log().info(
      "following the container runtime",
      {{"runtime", runtime_},
       {"sandboxes", std::to_string(event.sandboxes.size())},
       {"containers", std::to_string(event.containers.size())},
       {"requestTimeout", milliseconds(std::chrono::nanoseconds(request_timeout_ns_))}});
  sdk::RuntimeEvent told;
  told.kind = sdk::EventKind::kSynchronised;
  told.sandboxes = std::move(event.sandboxes);
  told.containers = std::move(event.containers);
  delivery_.tell(std::move(told));
}

void RuntimeLink::pass_on(Session::Hook& event) {
  arrivals_[event.token] = {event.name, Clock::now()};
  delivery_.submit({connection_, event.token}, std::move(event.event), event.runtime_deadline);
}

void RuntimeLink::pass_on(Session::Late& event) {
  host_.log().error(event.message);
  observe(event.token, "late");
  delivery_.cancel({connection_, event.token});
}

void RuntimeLink::pass_on(const Session::Unheard& event) {
  host_.log().error(event.message);
}

void RuntimeLink::observe(std::uint64_t token, std::string_view outcome) {
  const auto found = arrivals_.find(token);
  if (found == arrivals_.end()) return;
  const auto& [hook, at] = found->second;
  host_.histogram_observe("hook_seconds", std::chrono::duration<double>(Clock::now() - at).count(),
                          {{"hook", hook}, {"outcome", outcome}});
  arrivals_.erase(found);
}

void RuntimeLink::report(const sdk::Error& error) {
  if (stopping_ || error.message() == reported_) return;
  reported_ = error.message();
  std::string message = "not connected to the container runtime: " + error.message() +
                        "; tried again until it is. Pods that need an interface of this driver "
                        "wait, all others are not concerned";
  if (!error.hint().empty()) message += " — hint: " + error.hint();
  host_.log().warning(message, {{"socket", socket_path_}});
}

void RuntimeLink::pause(std::chrono::milliseconds duration) const {
  const auto until = Clock::now() + duration;
  while (!stopping_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left <= 0ms) return;
    pollfd polled{answers_->descriptor(), POLLIN, 0};
    (void)::poll(&polled, 1, static_cast<int>(left.count()));
    (void)answers_->take();  // of a connection that has ended
  }
}

}  // namespace drasriov::runtime_nri
