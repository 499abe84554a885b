// SPDX-License-Identifier: Apache-2.0
#include "watcher.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <utility>

#include "module_thread.hpp"

namespace drasriov::discovery_sysfs {
namespace {

/// ppoll wants a relative time; nullopt = for ever.
std::optional<timespec> time_until(std::optional<Debouncer::Clock::time_point> due) {
  if (!due) {
    return std::nullopt;
  }
  const auto left = std::max(*due - Debouncer::Clock::now(), Debouncer::Clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds);
  return timespec{.tv_sec = seconds.count(), .tv_nsec = rest.count()};
}

}  // namespace

Watcher::Watcher(std::unique_ptr<EventSource> source, Debouncer debouncer)
    : source_(std::move(source)),
      debouncer_(debouncer),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

sdk::Status Watcher::start(Notices notices) {
  if (!wake_) {
    return sdk::Error(sdk::Code::kResourceExhausted, "no eventfd for the device watcher",
                      "raise the limit of open files (LimitNOFILE)");
  }
  notices_ = std::move(notices);
  stopping_ = false;
  thread_ = start_thread("drasriov-watch", [this] { run(); });
  return {};
}

void Watcher::poke() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is woken already.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void Watcher::stop() noexcept {
  if (thread_.joinable()) {
    stopping_ = true;
    poke();
    thread_.join();
  }
}

void Watcher::run() {
  while (!stopping_) {
    std::array<pollfd, 2> ready = {{
        {.fd = wake_.get(), .events = POLLIN, .revents = 0},
        {.fd = source_alive_ ? source_->descriptor() : -1, .events = POLLIN, .revents = 0},
    }};
    const auto left = time_until(debouncer_.due());
    const int count = ::ppoll(ready.data(), ready.size(), left ? &*left : nullptr, nullptr);
    if (count > 0 && ready[0].revents != 0) {
      std::uint64_t pokes = 0;
      [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &pokes, sizeof(pokes));
      debouncer_.event(Debouncer::Clock::now());
    }
    if (count > 0 && ready[1].revents != 0) {
      take_events();
    }
    if (!stopping_ && debouncer_.take(Debouncer::Clock::now())) {
      source_->prepare_notice();
      notices_.changed();
    }
  }
}

void Watcher::take_events() {
  const Drained drained = source_->drain();
  if (drained.overflow) {
    notices_.overflow();
  }
  if (drained.error != 0) {
    source_alive_ = false;
    notices_.source_failed(drained.error);
  }
  if (drained.relevant || drained.overflow || drained.error != 0) {
    debouncer_.event(Debouncer::Clock::now());
  }
}

}  // namespace drasriov::discovery_sysfs
