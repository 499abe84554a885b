// SPDX-License-Identifier: Apache-2.0
#include "host/dra/endpoint.hpp"

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

#include "host/base/durable_file.hpp"
#include "host/base/encoding.hpp"
#include "host/base/unique_fd.hpp"
#include "host/dra/dra_service.hpp"
#include "host/dra/registration_service.hpp"
#include "host/dra/socket_path.hpp"

namespace drasriov::dra {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often a missing registrar directory is looked for; it has no inotify watch.
constexpr milliseconds kMissingDirectoryPoll{1000};
/// Kubelet 1.34.0 and 1.34.1 stop dead when a DRA connection was idle for 30 minutes; a real
/// disconnect before is harmless.
constexpr int kMaxConnectionIdleMs = 10 * 60 * 1000;

/// A gRPC server on one published socket.
class SocketServer {
 public:
  SocketServer(std::string public_path, std::string_view prefix)
      : socket_(std::move(public_path), prefix) {}

  [[nodiscard]] PublishedSocket& socket() noexcept { return socket_; }
  [[nodiscard]] bool running() const noexcept { return server_ != nullptr; }

  [[nodiscard]] Status start(std::initializer_list<grpc::Service*> services) {
    socket_.remove_stale();
    if (auto place = socket_.check_place(); !place) return place;
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kMaxConnectionIdleMs);
    int bound = 0;
    builder.AddListeningPort(socket_.address(), grpc::InsecureServerCredentials(), &bound);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    if (!server_ || bound == 0) {
      server_.reset();
      return Error(Code::kUnavailable,
                   "socket " + socket_.path() + ": gRPC cannot listen beside it",
                   "the lines of gRPC before this one say why");
    }
    if (auto published = socket_.publish(); !published) {
      stop(milliseconds(0));
      return published;
    }
    return {};
  }

  void stop(milliseconds budget) {
    if (!server_) return;
    socket_.withdraw();
    server_->Shutdown(std::chrono::system_clock::now() + budget);
    server_->Wait();
    server_.reset();
  }

 private:
  PublishedSocket socket_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

class Endpoint::Impl {
 public:
  Impl(EndpointSettings settings, claim::ClaimService& claims, telemetry::Log& log)
      : settings_(std::move(settings)),
        claims_(claims),
        log_(log),
        v1_(claims, log),
        v1beta1_(claims, log) {}

  ~Impl() { stop(milliseconds(0)); }

  [[nodiscard]] Status start();
  void stop(milliseconds budget);

  const EndpointSettings settings_;
  claim::ClaimService& claims_;
  telemetry::Log& log_;
  DraService<ApiV1> v1_;
  DraService<ApiV1Beta1> v1beta1_;
  DeviceHealthService health_;
  std::optional<RegistrationService> registration_service_;
  std::optional<SocketServer> dra_;
  std::optional<SocketServer> registration_;
  std::atomic<bool> registered_{false};

 private:
  void watch();
  void look_at_sockets();
  void look_at_dra();
  void look_at_registration();
  void add_watches();
  void wake() noexcept;
  void on_registration_result(bool registered, const std::string& error);
  void register_again_if_due();
  [[nodiscard]] milliseconds until_next_action() const;
  void report_once(const Error& error);

  UniqueFd inotify_;
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;

  // Of the watching thread (and of start() before it runs).
  Clock::time_point next_repeat_;
  std::string last_report_;
  milliseconds refused_backoff_{0};
  std::optional<Clock::time_point> register_at_;
  std::atomic<bool> refused_{false};
};

Status Endpoint::Impl::start() {
  auto dra_path = dra_socket_path(settings_.data_directory);
  if (!dra_path) return std::move(dra_path).error();
  auto registration_path =
      registration_socket_path(settings_.registrar_directory, settings_.driver_name);
  if (!registration_path) return std::move(registration_path).error();
  if (auto made = make_directories(settings_.data_directory, 0750); !made) return made;

  registration_service_.emplace(settings_.driver_name, *dra_path,
                                [this](bool registered, const std::string& error) {
                                  on_registration_result(registered, error);
                                });
  dra_.emplace(*dra_path, "dra");
  // The folder belongs to all drivers of the node: the prefix tells ours.
  registration_.emplace(*registration_path,
                        "reg-" + sha256_hex(settings_.driver_name).substr(0, 6));

  // Kubelet calls as soon as it sees the registration socket: DRA has to be there.
  if (auto started = dra_->start({&v1_, &v1beta1_, &health_}); !started) return started;
  if (std::filesystem::is_directory(settings_.registrar_directory)) {
    if (auto started = registration_->start({&*registration_service_}); !started) return started;
  } else {
    log_.warning(
        "no directory " + settings_.registrar_directory.native() +
        ": waiting for kubelet to create it — hint: check kubelet-registrar-directory-path");
  }

  inotify_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  wake_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!inotify_ || !wake_) {
    return errno_error(errno, "watch kubelet's directories",
                       "raise fs.inotify.max_user_instances on this node");
  }
  add_watches();
  next_repeat_ = Clock::now() + settings_.health_repeat;
  refused_backoff_ = settings_.refused_backoff;
  thread_ = std::thread([this] { watch(); });
  return {};
}

void Endpoint::Impl::stop(milliseconds budget) {
  if (stopping_.exchange(true)) return;
  if (thread_.joinable()) {
    wake();
    thread_.join();
  }
  const auto until = Clock::now() + budget;
  // Registration first: kubelet then chooses us for nothing new.
  if (registration_) registration_->stop(milliseconds(100));
  health_.close();
  if (dra_) {
    dra_->stop(
        std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(until - Clock::now())));
  }
}

void Endpoint::Impl::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof(one));
}

void Endpoint::Impl::add_watches() {
  constexpr std::uint32_t kMask = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  for (const auto& directory : {settings_.data_directory, settings_.registrar_directory}) {
    // Adding a watch twice changes nothing; a directory made anew needs a new one.
    (void)::inotify_add_watch(inotify_.get(), directory.c_str(), kMask);
  }
}

void Endpoint::Impl::watch() {
  std::array<char, 4096> buffer{};
  while (!stopping_) {
    std::array<pollfd, 2> fds{pollfd{inotify_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    (void)::poll(fds.data(), fds.size(), static_cast<int>(until_next_action().count()));
    // What happened is read off the sockets themselves, so the events' content does not matter, not
    // even lost ones.
    while (::read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
    }
    while (::read(wake_.get(), buffer.data(), sizeof(std::uint64_t)) > 0) {
    }
    if (stopping_) break;
    look_at_sockets();
    register_again_if_due();
    if (Clock::now() >= next_repeat_) {
      next_repeat_ = Clock::now() + settings_.health_repeat;
      health_.repeat();
    }
  }
}

milliseconds Endpoint::Impl::until_next_action() const {
  auto next = next_repeat_;
  if (register_at_) next = std::min(next, *register_at_);
  auto wait = std::chrono::ceil<milliseconds>(next - Clock::now());
  if (!registration_->running() || !dra_->running()) wait = std::min(wait, kMissingDirectoryPoll);
  return std::max(wait, milliseconds(0));
}

void Endpoint::Impl::look_at_sockets() {
  add_watches();
  look_at_dra();
  look_at_registration();
}

void Endpoint::Impl::look_at_dra() {
  Status status;
  if (dra_->running()) {
    switch (dra_->socket().state()) {
      case PublishedSocket::State::kOurs: return;
      case PublishedSocket::State::kMissing:
        log_.info("socket " + dra_->socket().path() + " was removed: published again");
        status = dra_->socket().publish();
        break;
      case PublishedSocket::State::kForeign:
        report_once(Error(Code::kAlreadyExists,
                          "socket " + dra_->socket().path() + ": another process replaced it",
                          "stop the other driver of this name"));
        return;
      case PublishedSocket::State::kGone:
        health_.close();
        dra_->stop(kCallBudget);
        health_.open();
        break;
    }
  }
  if (!dra_->running()) {
    status = make_directories(settings_.data_directory, 0750);
    if (status) status = dra_->start({&v1_, &v1beta1_, &health_});
    if (status) log_.info("socket " + dra_->socket().path() + " serves again");
    // Kubelet follows the registration, not the socket: make it look again.
    if (status && registration_->running()) registration_->stop(milliseconds(100));
  }
  if (!status) report_once(status.error());
}

void Endpoint::Impl::look_at_registration() {
  if (!dra_->running()) return;
  Status status;
  if (registration_->running()) {
    switch (registration_->socket().state()) {
      case PublishedSocket::State::kOurs: return;
      case PublishedSocket::State::kMissing:
        log_.info("socket " + registration_->socket().path() + " was removed: published again");
        status = registration_->socket().publish();
        break;
      case PublishedSocket::State::kForeign:
        report_once(
            Error(Code::kAlreadyExists,
                  "socket " + registration_->socket().path() + ": another process replaced it",
                  "stop the other driver of this name"));
        return;
      case PublishedSocket::State::kGone:
        registered_ = false;
        registration_->stop(milliseconds(100));
        break;
    }
  }
  if (!registration_->running()) {
    if (!std::filesystem::is_directory(settings_.registrar_directory)) return;
    status = registration_->start({&*registration_service_});
    if (status) {
      log_.info("socket " + registration_->socket().path() + " serves");
      last_report_.clear();
    }
  }
  if (!status) report_once(status.error());
}

void Endpoint::Impl::on_registration_result(bool registered, const std::string& error) {
  registered_ = registered;
  if (registered) {
    log_.info("kubelet registered the driver " + settings_.driver_name);
  } else {
    log_.error("kubelet refused the driver " + settings_.driver_name + ": " + error +
               " — hint: see kubelet's log; the driver registers again by itself");
  }
  refused_ = !registered;
  wake();
}

void Endpoint::Impl::register_again_if_due() {
  if (!refused_) {
    register_at_.reset();
    if (registered_) refused_backoff_ = settings_.refused_backoff;
    return;
  }
  if (!register_at_) {
    register_at_ = Clock::now() + refused_backoff_;
    refused_backoff_ = std::min(refused_backoff_ * 2, settings_.refused_backoff * 12);
    return;
  }
  if (Clock::now() < *register_at_) return;
  // A socket that goes and comes is a new plugin to kubelet; 1.34 and 1.35 do not retry by
  // themselves.
  refused_ = false;
  register_at_.reset();
  registration_->socket().withdraw();
  if (auto published = registration_->socket().publish(); !published)
    report_once(published.error());
}

void Endpoint::Impl::report_once(const Error& error) {
  std::string text = error.to_string();
  if (text == last_report_) return;
  log_.error(text);
  last_report_ = std::move(text);
}

Endpoint::Endpoint(EndpointSettings settings, claim::ClaimService& claims, telemetry::Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), claims, log)) {}

Endpoint::~Endpoint() = default;

Status Endpoint::start() {
  return impl_->start();
}

void Endpoint::stop(milliseconds budget) {
  impl_->stop(budget);
}

void Endpoint::publish_health(const std::vector<DeviceHealth>& devices) {
  impl_->health_.publish(devices);
}

bool Endpoint::registered() const noexcept {
  return impl_->registered_;
}

std::string Endpoint::registration_socket() const {
  return impl_->registration_->socket().path();
}

std::string Endpoint::dra_socket() const {
  return impl_->dra_->socket().path();
}

}  // namespace drasriov::dra
