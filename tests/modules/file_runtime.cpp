// SPDX-License-Identifier: Apache-2.0
//
// A runtime-hooks module whose container runtime is two files below the `sys` root, or in the `folder` of its
// configuration: while "runtime-up" exists the runtime is connected and synchronised, with no sandbox; "sandbox" holds three
// words, an event of sandbox-1 (run, container, stop), the UID of its pod and the path of its network namespace or "host",
// and the answer goes to "sandbox-answer" ("OK" or the refusal). It waits `budgetSeconds` for it, or does not say how long.
#include <chrono>
#include <condition_variable>
#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/module.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace drasriov::tests {
namespace {

namespace fs = std::filesystem;

class FileRuntime {
 public:
  static constexpr std::string_view config_schema =
      R"({"type":"object","properties":{"folder":{"type":"string"},"budgetSeconds":{"type":"integer"}}})";

  FileRuntime(sdk::Host host, std::string_view /*instance*/, std::string_view config_json)
      : root_(host.root(sdk::Root::kSys)) {
    const auto config = sdk::Config::parse(config_json);
    if (!config) return;
    if (const auto folder = config->string("folder"); folder && *folder) root_ = **folder;
    if (const auto budget = config->integer("budgetSeconds"); budget && *budget)
      budget_ = std::chrono::seconds(**budget);
  }

  void set_events(sdk::RuntimeEvents events) { events_.emplace(events); }

  sdk::Status start() {
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void run() {
    bool up = false;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(2), [&] { return stopping_; })) {
      const bool now = fs::exists(root_ / "runtime-up");
      if (now != up) {
        up = now;
        sdk::RuntimeEvent event;
        event.kind = up ? sdk::EventKind::kSynchronised : sdk::EventKind::kDisconnected;
        events_->submit(event, [](sdk::Code, std::string_view) {});
      }
      if (fs::exists(root_ / "sandbox")) run_sandbox();
    }
  }

  void run_sandbox() {
    std::ifstream file(root_ / "sandbox");
    sdk::RuntimeEvent event;
    sdk::Sandbox sandbox;
    std::string kind;
    file >> kind >> sandbox.pod.uid >> sandbox.netns_path;
    event.kind = kind == "run"         ? sdk::EventKind::kRunPodSandbox
                 : kind == "container" ? sdk::EventKind::kCreateContainer
                                       : sdk::EventKind::kStopPodSandbox;
    if (sandbox.netns_path == "host") sandbox.netns_path.clear();
    sandbox.pod.namespace_ = "default";
    sandbox.pod.name = "pod";
    sandbox.pod.sandbox_id = "sandbox-1";
    event.sandbox = sandbox;
    event.budget = budget_;
    fs::remove(root_ / "sandbox");
    events_->submit(event, [this](sdk::Code code, std::string_view message) {
      std::ofstream(root_ / "sandbox-answer~")
          << (code == sdk::Code::kOk ? std::string_view("OK") : message);
      fs::rename(root_ / "sandbox-answer~", root_ / "sandbox-answer");
    });
  }

  fs::path root_;
  std::chrono::nanoseconds budget_{0};  // 0: the runtime does not say
  std::optional<sdk::RuntimeEvents> events_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
};

}  // namespace
}  // namespace drasriov::tests

DRASRIOV_EXPORT_MODULE(drasriov::tests::FileRuntime);
