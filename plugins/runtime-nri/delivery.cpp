// SPDX-License-Identifier: Apache-2.0
#include "delivery.hpp"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include "module_thread.hpp"

namespace drasriov::runtime_nri {

AnswerBox::AnswerBox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void AnswerBox::put(Answer answer) {
  {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  wake();
}

void AnswerBox::wake() const noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full: then it is readable already.
  [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);
}

std::vector<AnswerBox::Answer> AnswerBox::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(event_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(answers_, {});
}

Delivery::Delivery(sdk::Host host, sdk::RuntimeEvents events, std::string proc_root,
                   std::shared_ptr<AnswerBox> answers)
    : host_(host),
      events_(events),
      proc_root_(std::move(proc_root)),
      answers_(std::move(answers)),
      thread_(start_thread("drasriov-nri-ev", [this] { run(); })) {}

Delivery::~Delivery() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Delivery::submit(HookKey key, sdk::RuntimeEvent event, Clock::time_point runtime_deadline) {
  enqueue(Submit{key, std::move(event), runtime_deadline});
}
void Delivery::tell(sdk::RuntimeEvent event) {
  enqueue(Tell{std::move(event)});
}
void Delivery::cancel(HookKey key) {
  enqueue(Cancel{key});
}
void Delivery::forget(HookKey key) {
  enqueue(Forget{key});
}

void Delivery::enqueue(Item item) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(item));
  }
  changed_.notify_one();
}

void Delivery::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      std::visit([this](auto& it) { deliver(it); }, item);
    } catch (const std::exception& error) {  // the session answers the runtime when time is up
      host_.log().error(std::string("an event of the container runtime was lost: ") + error.what());
    }
    lock.lock();
  }
}

void Delivery::deliver(Submit& item) {
  using std::chrono::nanoseconds;
  if (is_host_network(item.event.sandbox.netns_path, proc_root_)) {
    item.event.sandbox.netns_path.clear();
  }
  // What is left; 0 would mean unknown.
  item.event.budget = std::max<nanoseconds>(item.runtime_deadline - Clock::now(), nanoseconds(1));
  const std::uint64_t id = events_.submit(
      item.event, [answers = answers_, key = item.key](sdk::Code code, std::string_view message) {
        answers->put({key, code, std::string(message)});
      });
  submitted_.emplace(item.key, id);
}

void Delivery::deliver(Tell& item) {
  for (sdk::Sandbox& sandbox : item.event.sandboxes) {
    if (is_host_network(sandbox.netns_path, proc_root_)) sandbox.netns_path.clear();
  }
  // What the host makes of it is in the host's log.
  events_.submit(item.event, [](sdk::Code, std::string_view) {});
}

void Delivery::deliver(const Cancel& item) {
  if (const auto found = submitted_.find(item.key); found != submitted_.end()) {
    events_.cancel(found->second);
    submitted_.erase(found);
  }
}

void Delivery::deliver(const Forget& item) {
  submitted_.erase(item.key);
}

bool is_host_network(const std::string& path, const std::string& proc_root) {
  struct stat of_path {};
  if (path.empty() || ::stat(path.c_str(), &of_path) != 0) return false;
  // Without the host's processes in sight our own namespace is the host's: the driver runs there.
  for (const char* process : {"/1/ns/net", "/self/ns/net"}) {
    struct stat of_host {};
    if (::stat((proc_root + process).c_str(), &of_host) == 0 && of_host.st_dev == of_path.st_dev &&
        of_host.st_ino == of_path.st_ino) {
      return true;
    }
  }
  return false;
}

}  // namespace drasriov::runtime_nri
