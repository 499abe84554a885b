// SPDX-License-Identifier: Apache-2.0
//
// FakeHost: the host that a module's test needs, in the test's process: roots in a temporary
// folder, log lines, metrics, programs and runtime events recorded. Owns the folder; may be called
// from any thread, like the real host.
//
//   FakeHost host;
//   MyModule module(host.host(), "mine", *Config::parse("{}"));
//   RecordedScan found;                                            // recorders.hpp
//   DeviceSink sink = found.sink();
//   ASSERT_TRUE(module.scan(host.call(), sink).ok());
#pragma once

#include <drasriov/abi/module.h>
#include <drasriov/abi/runtime_hooks.h>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {
namespace testing {

struct LogLine {
  Level level = Level::kDebug;
  std::string message;
  std::vector<Entry> pairs;
  std::string call_id;

  [[nodiscard]] std::string value(std::string_view key) const {
    for (const Entry& pair : pairs) {
      if (pair.key == key) {
        return pair.value;
      }
    }
    return {};
  }
};

struct MetricSample {
  std::string kind;  ///< counter, gauge or histogram
  std::string name;
  std::vector<Entry> labels;
  double value = 0;
};

/// What a failing function left behind. The test's drasriov_error.
struct CapturedError {
  Code code = Code::kOk;
  std::string message;
  std::string hint;

  [[nodiscard]] drasriov_error* handle() noexcept {
    return reinterpret_cast<drasriov_error*>(this);
  }
};

/// One running call. The test's drasriov_call.
struct FakeCall {
  std::string id = "test";
  std::optional<Call::Clock::time_point> deadline;  ///< nothing = none
  std::atomic<bool> cancelled = false;

  [[nodiscard]] const drasriov_call* handle() const noexcept {
    return reinterpret_cast<const drasriov_call*>(this);
  }
};

class FakeHost {
 public:
  using Exec = std::function<Result<ExecResult>(const ExecRequest&, const Call&)>;
  using Answer = std::function<std::pair<Code, std::string>(const RuntimeEvent&)>;

  /// Throws std::system_error when the temporary folder cannot be made.
  FakeHost() : folder_(make_folder()) {
    for (const auto& [root, name] : kFolders) {
      std::filesystem::create_directories(folder_ / name);
      roots_[root] = (folder_ / name).string();
    }
  }
  ~FakeHost() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  /// What a module class is constructed with.
  [[nodiscard]] Host host() { return {table(), handle()}; }
  /// A call without deadline.
  [[nodiscard]] Call call() const noexcept { return call(default_call_); }
  [[nodiscard]] Call call(const FakeCall& call) const noexcept { return {table(), call.handle()}; }

  [[nodiscard]] static const drasriov_host_table* table() noexcept { return &kTable; }
  [[nodiscard]] drasriov_host* handle() noexcept { return reinterpret_cast<drasriov_host*>(this); }
  [[nodiscard]] static const drasriov_runtime_events_v1* events_table() noexcept {
    return &kEvents;
  }
  [[nodiscard]] RuntimeEvents events() { return {host(), events_table()}; }

  // ---- what the test sets up, before the module runs ----

  [[nodiscard]] std::filesystem::path root(Root root) const { return roots_.at(root); }
  /// For a fixture tree. REQUIRES: absolute.
  void set_root(Root root, const std::filesystem::path& path) { roots_[root] = path.string(); }
  void set_sys_is_live(bool live) noexcept { sys_is_live_ = live; }
  /// An older host: from now on get_service(id) is null.
  void remove_service(std::string_view id) { removed_services_.emplace(id); }
  /// What exec does; default: kUnimplemented. run_program (program.hpp) runs it for real.
  void set_exec(Exec exec) { exec_ = std::move(exec); }
  /// The host's answer to runtime events, given before submit returns; default: kOk.
  void set_answer(Answer answer) { answer_ = std::move(answer); }

  // ---- what the module did ----

  [[nodiscard]] std::vector<LogLine> logs() const { return copy(logs_); }
  [[nodiscard]] std::vector<MetricSample> metrics() const { return copy(metrics_); }
  [[nodiscard]] std::vector<ExecRequest> executed() const { return copy(executed_); }
  [[nodiscard]] std::vector<RuntimeEvent> submitted() const { return copy(submitted_); }
  [[nodiscard]] std::vector<std::uint64_t> cancelled_events() const { return copy(cancelled_); }

 private:
  static constexpr std::pair<Root, const char*> kFolders[] = {
      {Root::kSys, "sys"},         {Root::kDev, "dev"},   {Root::kProc, "proc"},
      {Root::kNetns, "run/netns"}, {Root::kData, "data"}, {Root::kCdi, "run/cdi"},
  };

  static std::filesystem::path make_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "drasriov-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp " + pattern);
    }
    return pattern;
  }

  template <class List>
  List copy(const List& list) const {
    const std::lock_guard lock(mutex_);
    return list;
  }
  template <class List, class Element>
  void record(List& list, Element element) {
    const std::lock_guard lock(mutex_);
    list.push_back(std::move(element));
  }

  static FakeHost& self(drasriov_host* host) noexcept { return *reinterpret_cast<FakeHost*>(host); }
  static const FakeCall* self(const drasriov_call* call) noexcept {
    return reinterpret_cast<const FakeCall*>(call);
  }
  static std::vector<Entry> entries(const drasriov_pair* pairs, std::size_t count) {
    std::vector<Entry> copy;
    for (const Pair pair : PairList(std::span(pairs, count))) {
      copy.push_back({std::string(pair.key), std::string(pair.value)});
    }
    return copy;
  }

  // ---- drasriov_host_table ----

  static void set_error(drasriov_error* error, drasriov_status code, drasriov_string message,
                        drasriov_string hint) {
    if (error != nullptr) {
      *reinterpret_cast<CapturedError*>(error) = {
          static_cast<Code>(code), std::string(from_abi(message)), std::string(from_abi(hint))};
    }
  }
  static void log(drasriov_host* host, const drasriov_call* call, std::int32_t level,
                  drasriov_string message, const drasriov_pair* pairs, std::size_t count) {
    self(host).record(self(host).logs_,
                      LogLine{static_cast<Level>(level), std::string(from_abi(message)),
                              entries(pairs, count), call == nullptr ? "" : self(call)->id});
  }
  static const void* get_service(drasriov_host* host, drasriov_string id) {
    if (self(host).removed_services_.contains(std::string(from_abi(id)))) {
      return nullptr;
    }
    if (from_abi(id) == DRASRIOV_SERVICE_PATHS_1) {
      return &kPaths;
    }
    if (from_abi(id) == DRASRIOV_SERVICE_METRICS_1) {
      return &kMetrics;
    }
    if (from_abi(id) == DRASRIOV_SERVICE_EXEC_1) {
      return &kExec;
    }
    return nullptr;
  }
  static std::int64_t call_deadline_ns(const drasriov_call* call) {
    const auto& deadline = self(call)->deadline;
    return deadline ? std::chrono::nanoseconds(deadline->time_since_epoch()).count() : INT64_MAX;
  }
  static std::int32_t call_is_cancelled(const drasriov_call* call) {
    return self(call)->cancelled ? 1 : 0;
  }
  static drasriov_string call_id(const drasriov_call* call) { return to_abi(self(call)->id); }

  // ---- services ----

  static drasriov_string root_of(drasriov_host* host, std::int32_t which) {
    const auto& roots = self(host).roots_;
    const auto found = roots.find(static_cast<Root>(which));
    return found == roots.end() ? drasriov_string{nullptr, 0} : to_abi(found->second);
  }
  static std::int32_t sys_is_live(drasriov_host* host) { return self(host).sys_is_live_ ? 1 : 0; }

  static void counter_add(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                          std::size_t count, double amount) {
    self(host).sample("counter", name, labels, count, amount);
  }
  static void gauge_set(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                        std::size_t count, double value) {
    self(host).sample("gauge", name, labels, count, value);
  }
  static void histogram_observe(drasriov_host* host, drasriov_string name,
                                const drasriov_pair* labels, std::size_t count, double value) {
    self(host).sample("histogram", name, labels, count, value);
  }
  void sample(const char* kind, drasriov_string name, const drasriov_pair* labels,
              std::size_t count, double value) {
    record(metrics_,
           MetricSample{kind, std::string(from_abi(name)), entries(labels, count), value});
  }

  static drasriov_status run(drasriov_host* host, const drasriov_call* call,
                             const drasriov_exec_request* abi,
                             void (*done)(void* context, const drasriov_exec_result* result),
                             void* context) {
    FakeHost& fake = self(host);
    ExecRequest request;
    request.path = from_abi(abi->path);
    for (const std::string_view arg : StringList(std::span(abi->args, abi->arg_count))) {
      request.args.emplace_back(arg);
    }
    for (const std::string_view variable : StringList(std::span(abi->env, abi->env_count))) {
      request.env.emplace_back(variable);
    }
    request.input = from_abi(abi->input);
    request.output_limit = abi->output_limit;
    request.mount = static_cast<Mount>(abi->mount);
    request.netns_fd = abi->netns_fd;
    fake.record(fake.executed_, request);
    const Result<ExecResult> outcome =
        fake.exec_ ? fake.exec_(request, Call(&kTable, call))
                   : Error(Code::kUnimplemented, "the test set no FakeHost::set_exec");
    drasriov_exec_result result{};
    result.struct_size = sizeof(result);
    result.exit_code = -1;
    if (outcome) {
      result.exit_code = outcome->exit_code;
      result.signal = outcome->signal;
      result.truncated = outcome->truncated ? 1 : 0;
      result.output = to_abi_bytes(outcome->output);
      result.diagnostics = to_abi_bytes(outcome->diagnostics);
    } else {
      result.failure = to_abi(outcome.error().message());
    }
    done(context, &result);
    return outcome ? DRASRIOV_OK : static_cast<drasriov_status>(outcome.error().code());
  }

  // ---- drasriov_runtime_events_v1 ----

  static Sandbox sandbox(const drasriov_sandbox* abi) {
    Sandbox copy;
    copy.pid = abi->pid;
    copy.netns_path = from_abi(abi->netns_path);
    copy.runtime_handler = from_abi(abi->runtime_handler);
    copy.pod = {std::string(from_abi(abi->pod->uid)),
                std::string(from_abi(abi->pod->namespace_)),
                std::string(from_abi(abi->pod->name)),
                std::string(from_abi(abi->pod->sandbox_id)),
                entries(abi->pod->labels, abi->pod->label_count),
                entries(abi->pod->annotations, abi->pod->annotation_count)};
    return copy;
  }
  static Container container(const drasriov_container* abi) {
    return {std::string(from_abi(abi->id)), std::string(from_abi(abi->name)),
            std::string(from_abi(abi->sandbox_id)), abi->running != 0};
  }
  static std::uint64_t submit(drasriov_host* host, const drasriov_runtime_event* abi,
                              drasriov_reply_fn reply, void* context) {
    RuntimeEvent event;
    event.kind = static_cast<EventKind>(abi->kind);
    event.budget = std::chrono::nanoseconds(abi->budget_ns);
    if (abi->sandbox != nullptr) {
      event.sandbox = sandbox(abi->sandbox);
    }
    if (abi->container != nullptr) {
      event.container = container(abi->container);
    }
    for (std::size_t i = 0; i < abi->sandbox_count; ++i) {
      event.sandboxes.push_back(sandbox(static_cast<const drasriov_sandbox*>(
          DRASRIOV_AT(abi->sandboxes, abi->sandbox_stride, i))));
    }
    for (std::size_t i = 0; i < abi->container_count; ++i) {
      event.containers.push_back(container(static_cast<const drasriov_container*>(
          DRASRIOV_AT(abi->containers, abi->container_stride, i))));
    }
    FakeHost& fake = self(host);
    const auto [code, message] = fake.answer_ ? fake.answer_(event) : std::pair(Code::kOk, "");
    std::uint64_t id = 0;
    {
      const std::lock_guard lock(fake.mutex_);
      fake.submitted_.push_back(std::move(event));
      id = fake.submitted_.size();
    }
    reply(context, static_cast<drasriov_status>(code), to_abi(message));
    return id;
  }
  static void cancel(drasriov_host* host, std::uint64_t id) {
    self(host).record(self(host).cancelled_, id);
  }

  static constexpr drasriov_host_table kTable{
      .struct_size = sizeof(drasriov_host_table),
      .abi_minor = DRASRIOV_ABI_MINOR,
      .set_error = &set_error,
      .log = &log,
      .get_service = &get_service,
      .call_deadline_ns = &call_deadline_ns,
      .call_is_cancelled = &call_is_cancelled,
      .call_id = &call_id,
  };
  static constexpr drasriov_paths_v1 kPaths{
      .struct_size = sizeof(drasriov_paths_v1), .root = &root_of, .sys_is_live = &sys_is_live};
  static constexpr drasriov_metrics_v1 kMetrics{
      .struct_size = sizeof(drasriov_metrics_v1),
      .counter_add = &counter_add,
      .gauge_set = &gauge_set,
      .histogram_observe = &histogram_observe,
  };
  static constexpr drasriov_exec_v1 kExec{.struct_size = sizeof(drasriov_exec_v1), .run = &run};
  static constexpr drasriov_runtime_events_v1 kEvents{
      .struct_size = sizeof(drasriov_runtime_events_v1), .submit = &submit, .cancel = &cancel};

  const std::filesystem::path folder_;
  const FakeCall default_call_;
  std::map<Root, std::string> roots_;
  bool sys_is_live_ = false;
  std::set<std::string> removed_services_;
  Exec exec_;
  Answer answer_;

  mutable std::mutex mutex_;
  std::vector<LogLine> logs_;
  std::vector<MetricSample> metrics_;
  std::vector<ExecRequest> executed_;
  std::vector<RuntimeEvent> submitted_;
  std::vector<std::uint64_t> cancelled_;
};

}  // namespace testing
}  // namespace abi_v1
}  // namespace drasriov::sdk
