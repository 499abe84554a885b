// SPDX-License-Identifier: Apache-2.0
#include "tests/fake_kernel/kernel_thread.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace drasriov::testing {
namespace fs = std::filesystem;

KernelThread::KernelThread(FakeKernel& kernel, const fs::path& sys)
    : kernel_(kernel),
      events_(::inotify_init1(IN_CLOEXEC)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  std::vector<fs::path> watched = {sys / "bus/pci/drivers_probe"};
  for (const auto& entry : fs::directory_iterator(sys / "bus/pci/drivers")) {
    watched.push_back(entry.path() / "unbind");
  }
  for (const fs::path& file : watched) {
    const int watch = ::inotify_add_watch(events_, file.c_str(), IN_CLOSE_WRITE);
    if (watch < 0) {
      throw std::system_error(errno, std::generic_category(), "watch " + file.string());
    }
    files_[watch] = file;
  }
  thread_ = std::thread([this] { run(); });
}

KernelThread::~KernelThread() {
  const std::uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(events_);
  ::close(stop_);
}

void KernelThread::run() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (;;) {
    std::array<pollfd, 2> waiting = {pollfd{events_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
      return;
    }
    if (waiting[1].revents != 0) {
      return;
    }
    const ssize_t size = ::read(events_, buffer.data(), buffer.size());
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      const fs::path& file = files_[event->wd];
      std::ifstream in(file);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      if (text.empty()) {
        continue;
      }
      (void)!::truncate(file.c_str(), 0);  // raises no IN_CLOSE_WRITE
      (void)kernel_.write(file, text);
    }
  }
}

}  // namespace drasriov::testing
