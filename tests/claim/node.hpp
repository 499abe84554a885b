// SPDX-License-Identifier: Apache-2.0
//
// A node for tests of ClaimRunner: modules, cluster and CDI folder that survive a restart of the
// driver, and a driver that can be started, stopped and started again over the same data directory.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "host/claim/claim_runner.hpp"
#include "tests/claim/fakes.hpp"

namespace drasriov::claim::testing {

/// Names of the files in `folder`, sorted; none when it is not there. A previous record beside its record is left out.
inline std::vector<std::string> record_files(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    std::filesystem::path record = entry.path();
    if (record.extension() == ".previous" && exists(record.replace_extension(".json"))) continue;
    names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

/// Parameters of claims, and the first devices of every Node.
inline const Json kVfio = {{"driver", "vfio-pci"}};
inline const Json kBoth = {{"driver", "vfio-pci"}, {"addVhostMount", true}};
inline const std::string kVf0 = "0000-08-00-0";
inline const std::string kVf1 = "0000-08-00-1";

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "claim-test-XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Keeps what it is told.
class FakeEvents : public ClaimEvents {
 public:
  void status(const ClaimRef& claim, std::vector<DeviceStatus> devices) override {
    const std::lock_guard lock(mutex_);
    statuses_[claim.uid] = std::move(devices);
  }
  void recovered(const ClaimRef& claim, std::vector<DeviceStatus> devices) override {
    status(claim, std::move(devices));
  }
  void forgotten(const ClaimRef& claim) override {
    const std::lock_guard lock(mutex_);
    statuses_.erase(claim.uid);
  }
  void event(const ClaimRef& claim, bool warning, std::string reason,
             std::string message) override {
    const std::lock_guard lock(mutex_);
    events_.push_back((warning ? "Warning " : "Normal ") + reason + " " + claim.uid + ": " +
                      message);
    changed_.notify_all();
  }
  void held_changed(HeldSnapshot held) override {
    const std::lock_guard lock(mutex_);
    held_ = std::move(held);
    changed_.notify_all();
  }

  [[nodiscard]] std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  [[nodiscard]] std::vector<DeviceStatus> status_of(const std::string& uid) const {
    const std::lock_guard lock(mutex_);
    const auto found = statuses_.find(uid);
    return found == statuses_.end() ? std::vector<DeviceStatus>() : found->second;
  }
  /// Device name → "<claim uid> <state>".
  [[nodiscard]] std::map<std::string, std::string> held() const {
    const std::lock_guard lock(mutex_);
    return as_text(held_);
  }
  /// Waits until the held devices are these; false after ten seconds.
  [[nodiscard]] bool wait_for_held(const std::map<std::string, std::string>& wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return as_text(held_) == wanted; });
  }
  [[nodiscard]] bool wait_for_event(const std::string& part) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return std::ranges::any_of(
          events_, [&](const auto& line) { return line.find(part) != std::string::npos; });
    });
  }
  [[nodiscard]] HeldSnapshot held_snapshot() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  static std::map<std::string, std::string> as_text(const HeldSnapshot& held) {
    std::map<std::string, std::string> out;
    if (held == nullptr) return out;
    for (const auto& [name, device] : *held) out[name] = device->claim.uid + " " + device->state;
    return out;
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<DeviceStatus>> statuses_;
  std::vector<std::string> events_;
  HeldSnapshot held_;
};

using Answer = Result<std::vector<PreparedDevice>>;

class Node {
 public:
  Node() {
    modules.binding = {&vf_state, &vfio, &vhost};
    modules.netconf = &netconf;
    modules.runtime_hooks = {&hooks};
    modules.cdi = &cdi;
    vf_state.takes_part = [](const module::BindingRequest& request, bool) {
      return !request.netconf_json.empty();
    };
    std::filesystem::create_directory(hook_program().parent_path());
    std::ofstream(hook_program()) << "the program";
    settings.data_directory = "/data";
    settings.plan.driver_name = kDriverName;
    settings.plan.pool_name = "node-1";
    settings.retry_first = std::chrono::milliseconds(1);
    settings.retry_longest = std::chrono::milliseconds(5);
    settings.undo_retry_first = std::chrono::milliseconds(5);
    settings.undo_retry_longest = std::chrono::milliseconds(20);
    std::vector<device::Device> devices;
    for (int i = 0; i < 128; ++i) devices.push_back(virtual_function(i));
    set_devices(std::move(devices));
    cluster.put(cluster::network_attachment_definitions(),
                net_attach_def("tenant", "net-a", R"({"type":"sriov","name":"net-a"})"));
  }
  ~Node() { stop(); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Starts the driver: journal, runner, recovery.
  [[nodiscard]] Status start(unsigned threads = 4) {
    auto opened = Journal::open(claims(), boot_id);
    if (!opened) return std::move(opened).error();
    journal = std::move(*opened);
    if (auto installed = hook.install(); !installed) return installed;
    attacher = std::make_unique<Attacher>(
        AttacherParts{modules, *journal,
                      [this] {
                        const std::lock_guard lock(mutex_);
                        return inventory_;
                      },
                      [this](const std::string& path) { return namespaces.open(path); },
                      directory.path() / "attached"});
    queue = std::make_unique<WorkQueue>(threads);
    events = std::make_unique<FakeEvents>();
    runner = std::make_unique<ClaimRunner>(
        settings, RunnerParts{*queue, *journal, modules, *attacher, hook, cluster,
                              [this](const cluster::ObjectKey& key, Deadline deadline) {
                                return cluster.get(cluster::network_attachment_definitions(), key,
                                                   deadline);
                              },
                              [this] {
                                const std::lock_guard lock(mutex_);
                                return inventory_;
                              },
                              [this] {
                                const std::lock_guard lock(mutex_);
                                return runtime_;
                              },
                              *events, quarantine_released});
    return runner->recover(Deadline::after(recovery_budget));
  }
  void stop() {
    if (queue) queue->stop();
    runner.reset();
    queue.reset();
    attacher.reset();
    journal.reset();
  }
  [[nodiscard]] Status restart() {
    stop();
    return start();
  }

  void set_devices(std::vector<device::Device> devices,
                   std::vector<device::Problem> problems = {}) {
    const std::lock_guard lock(mutex_);
    inventory_ =
        std::make_shared<device::Inventory>(++version_, std::move(devices), std::move(problems));
  }
  /// As before the first scan, or after one that failed.
  void forget_devices() {
    const std::lock_guard lock(mutex_);
    inventory_ = std::make_shared<device::Inventory>(0, std::vector<device::Device>{},
                                                     std::vector<device::Problem>{});
  }
  void set_runtime(Status status) {
    const std::lock_guard lock(mutex_);
    runtime_ = std::move(status);
  }

  [[nodiscard]] std::future<Answer> prepare_later(
      const ClaimRef& claim, std::chrono::milliseconds budget = std::chrono::seconds(20)) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    runner->prepare(claim, Deadline::after(budget),
                    [promise](Answer answer) { promise->set_value(std::move(answer)); });
    return future;
  }
  [[nodiscard]] Answer prepare(const ClaimRef& claim,
                               std::chrono::milliseconds budget = std::chrono::seconds(20)) {
    return prepare_later(claim, budget).get();
  }
  [[nodiscard]] std::future<Status> unprepare_later(
      const ClaimRef& claim, std::chrono::milliseconds budget = std::chrono::seconds(20)) {
    auto promise = std::make_shared<std::promise<Status>>();
    auto future = promise->get_future();
    runner->unprepare(claim, Deadline::after(budget),
                      [promise](Status status) { promise->set_value(std::move(status)); });
    return future;
  }
  [[nodiscard]] Status unprepare(const ClaimRef& claim,
                                 std::chrono::milliseconds budget = std::chrono::seconds(20)) {
    return unprepare_later(claim, budget).get();
  }

  /// Puts an allocated claim into the cluster: VF numbers for request "main", VfConfig fields for
  /// all of it.
  ClaimRef add_claim(int number, const std::vector<int>& functions, Json fields = Json::object(),
                     Json reserved = Json::array({reserved_for("pod-a")})) {
    const ClaimRef ref{"tenant", "claim-" + std::to_string(number),
                       "uid-" + std::to_string(number)};
    Json results = Json::array();
    for (const int index : functions)
      results.push_back(result_of("main", virtual_function(index).name));
    cluster.put(cluster::resource_claims(),
                claim_object(ref, std::move(results),
                             {config_of("FromClaim", {}, std::move(fields))}, std::move(reserved)));
    return ref;
  }

  [[nodiscard]] std::filesystem::path hook_program() const {
    return directory.path() / "image" / "program";
  }
  [[nodiscard]] std::filesystem::path claims() const { return directory.path() / "claims"; }
  /// Names of the files in the journal's folder, sorted.
  [[nodiscard]] std::vector<std::string> journal_files() const { return record_files(claims()); }
  /// Nothing of any claim is left anywhere.
  void expect_pristine() const {
    EXPECT_EQ(journal_files(), std::vector<std::string>());
    EXPECT_TRUE(cdi.specs().empty());
    EXPECT_EQ(netconf.attached(), (std::map<std::string, std::string>()));
    for (const FakeBinding* binding : {&vf_state, &vfio, &vhost}) {
      EXPECT_TRUE(binding->machine().empty()) << binding->instance();
      EXPECT_EQ(binding->violations(), std::vector<std::string>());
    }
  }

  TempDir directory;
  HookFile hook{hook_program(), directory.path() / "hook"};
  std::string boot_id = "boot-1";
  Recording recording;
  FakeBinding vf_state{"vf-state", {}, recording};
  FakeBinding vfio{"vfio", {"driver"}, recording};
  FakeBinding vhost{"vhost", {"addVhostMount"}, recording};
  FakeNetconf netconf{recording};
  FakeHooks hooks;
  FakeNamespaces namespaces;
  FakeCdi cdi{recording};
  FakeCluster cluster;
  module::Modules modules;
  RunnerSettings settings;
  std::function<void(const Record&)> quarantine_released = [](const Record&) {};
  std::chrono::milliseconds recovery_budget = std::chrono::seconds(10);

  std::unique_ptr<Journal> journal;
  std::unique_ptr<Attacher> attacher;
  std::unique_ptr<WorkQueue> queue;
  std::unique_ptr<FakeEvents> events;
  std::unique_ptr<ClaimRunner> runner;

 private:
  std::mutex mutex_;
  device::InventorySnapshot inventory_;
  std::uint64_t version_ = 0;
  Status runtime_;
};

}  // namespace drasriov::claim::testing
