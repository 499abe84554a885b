// SPDX-License-Identifier: Apache-2.0
//
// Host: what the host offers to one instance of a module: log lines, the roots of this machine,
// metrics, running programs. A small value that is copied freely; valid for the life of the
// instance; any thread. A service that an older host lacks is absent without harm: paths are empty,
// metrics go nowhere, exec answers kUnimplemented.
#pragma once

#include <drasriov/abi/host.h>
#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/view.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {

enum class Level : std::int32_t {
  kDebug = DRASRIOV_LOG_DEBUG,      ///< how a decision was made
  kInfo = DRASRIOV_LOG_INFO,        ///< what an operator acts on
  kWarning = DRASRIOV_LOG_WARNING,  ///< degraded, works
  kError = DRASRIOV_LOG_ERROR,      ///< something was not done
};

/// The roots of this machine; no module spells one of them.
enum class Root : std::int32_t {
  kSys = DRASRIOV_ROOT_SYS,
  kDev = DRASRIOV_ROOT_DEV,
  kProc = DRASRIOV_ROOT_PROC,
  kNetns = DRASRIOV_ROOT_NETNS,
  kData = DRASRIOV_ROOT_DATA,  ///< this instance's own directory
  kCdi = DRASRIOV_ROOT_CDI,
};

/// Which mount namespace a program runs in.
enum class Mount : std::int32_t {
  kContainer = DRASRIOV_MOUNT_CONTAINER,  ///< the driver's own
  kHost = DRASRIOV_MOUNT_HOST,            ///< the node's: CNI plugins expect it
};

struct ExecRequest {
  std::string path;                    ///< absolute, in that mount namespace
  std::vector<std::string> args;       ///< argv[1] and on
  std::vector<std::string> env;        ///< "NAME=value"; nothing is inherited
  std::string input;                   ///< standard input
  std::size_t output_limit = 1 << 20;  ///< bytes kept of each of stdout and stderr
  Mount mount = Mount::kContainer;
  int netns_fd = -1;  ///< network namespace to run in, -1 = the driver's
};

struct ExecResult {
  int exit_code = -1;       ///< -1 when a signal ended it
  int signal = 0;           ///< 0 when it exited
  bool truncated = false;   ///< output went over output_limit
  std::string output;       ///< stdout
  std::string diagnostics;  ///< stderr
};

namespace detail {

/// Up to eight pairs (all that a log line or a metric should have) without allocation.
class AbiPairs {
 public:
  explicit AbiPairs(std::span<const Pair> pairs) {
    drasriov_pair* to = small_;
    if (pairs.size() > std::size(small_)) {
      large_.resize(pairs.size());
      to = large_.data();
    }
    data_ = to;
    for (const Pair& pair : pairs) {
      *to++ = {to_abi(pair.key), to_abi(pair.value)};
    }
  }
  AbiPairs(const AbiPairs&) = delete;
  AbiPairs& operator=(const AbiPairs&) = delete;

  [[nodiscard]] const drasriov_pair* data() const noexcept { return data_; }

 private:
  drasriov_pair small_[8];
  std::vector<drasriov_pair> large_;
  const drasriov_pair* data_;
};

}  // namespace detail

/// Log lines of one instance, optionally of one call (its correlation id is added).
///   log.info("driver bound", {{"device", request.device().name()}, {"driver", "vfio-pci"}});
/// Keys that all of the driver uses: claim, device, module, pod, node.
class Logger {
 public:
  using Pairs = std::initializer_list<Pair>;

  Logger(const drasriov_host_table* table, drasriov_host* host,
         const drasriov_call* call = nullptr) noexcept
      : table_(table),
        host_(host),
        call_(call) {}

  void debug(std::string_view message, Pairs pairs = {}) const {
    write(Level::kDebug, message, pairs);
  }
  void info(std::string_view message, Pairs pairs = {}) const {
    write(Level::kInfo, message, pairs);
  }
  void warning(std::string_view message, Pairs pairs = {}) const {
    write(Level::kWarning, message, pairs);
  }
  void error(std::string_view message, Pairs pairs = {}) const {
    write(Level::kError, message, pairs);
  }

  void write(Level level, std::string_view message, std::span<const Pair> pairs) const {
    if (DRASRIOV_HAS(table_, log)) {
      const detail::AbiPairs abi(pairs);
      table_->log(host_, call_, static_cast<std::int32_t>(level), to_abi(message), abi.data(),
                  pairs.size());
    }
  }
  void write(Level level, std::string_view message, Pairs pairs) const {
    write(level, message, std::span<const Pair>(pairs.begin(), pairs.size()));
  }

 private:
  const drasriov_host_table* table_;
  drasriov_host* host_;
  const drasriov_call* call_;
};

class Host {
 public:
  using Labels = std::initializer_list<Pair>;

  Host(const drasriov_host_table* table, drasriov_host* host) noexcept
      : table_(table),
        host_(host),
        paths_(service<drasriov_paths_v1>(DRASRIOV_SERVICE_PATHS_1)),
        metrics_(service<drasriov_metrics_v1>(DRASRIOV_SERVICE_METRICS_1)),
        exec_(service<drasriov_exec_v1>(DRASRIOV_SERVICE_EXEC_1)) {}

  [[nodiscard]] Logger log() const noexcept { return {table_, host_}; }
  [[nodiscard]] Logger log(const Call& call) const noexcept {
    return {table_, host_, call.handle()};
  }

  /// Absolute path without a trailing '/', valid for the life of the process; empty when this host
  /// does not know the root.
  [[nodiscard]] std::string_view root(Root which) const noexcept {
    return DRASRIOV_HAS(paths_, root)
               ? from_abi(paths_->root(host_, static_cast<std::int32_t>(which)))
               : std::string_view();
  }
  /// Whether the kernel's uevents speak about Root::kSys; false for a captured tree.
  [[nodiscard]] bool sys_is_live() const noexcept {
    return DRASRIOV_HAS(paths_, sys_is_live) && paths_->sys_is_live(host_) != 0;
  }

  /// Names are [a-z_]+ without prefix; one name keeps one kind and one set of label keys.
  void counter_add(std::string_view name, double amount = 1, Labels labels = {}) const {
    if (DRASRIOV_HAS(metrics_, counter_add)) {
      observe(metrics_->counter_add, name, labels, amount);
    }
  }
  void gauge_set(std::string_view name, double value, Labels labels = {}) const {
    if (DRASRIOV_HAS(metrics_, gauge_set)) {
      observe(metrics_->gauge_set, name, labels, value);
    }
  }
  /// In base units: seconds, bytes.
  void histogram_observe(std::string_view name, double value, Labels labels = {}) const {
    if (DRASRIOV_HAS(metrics_, histogram_observe)) {
      observe(metrics_->histogram_observe, name, labels, value);
    }
  }

  /// Blocks until the program ends by itself or the call's deadline passes (its process group is
  /// then killed, kDeadlineExceeded). A program that ran and failed is a value with its exit code;
  /// one that could not be started is an error.
  [[nodiscard]] Result<ExecResult> exec(const Call& call, const ExecRequest& request) const;

  /// An optional service by id, or nullptr: for a service newer than this SDK or of a vendor's
  /// host.
  template <class Table>
  [[nodiscard]] const Table* service(std::string_view id) const noexcept {
    return DRASRIOV_HAS(table_, get_service)
               ? static_cast<const Table*>(table_->get_service(host_, to_abi(id)))
               : nullptr;
  }

  [[nodiscard]] const drasriov_host_table* table() const noexcept { return table_; }
  [[nodiscard]] drasriov_host* handle() const noexcept { return host_; }

 private:
  template <class Function>
  void observe(Function function, std::string_view name, Labels labels, double value) const {
    const detail::AbiPairs abi(std::span<const Pair>(labels.begin(), labels.size()));
    function(host_, to_abi(name), abi.data(), labels.size(), value);
  }

  const drasriov_host_table* table_;
  drasriov_host* host_;
  const drasriov_paths_v1* paths_;
  const drasriov_metrics_v1* metrics_;
  const drasriov_exec_v1* exec_;
};

namespace detail {

struct ExecOutcome {
  ExecResult result;
  std::string failure;
  bool out_of_memory = false;
};

inline void take_exec_result(void* context, const drasriov_exec_result* result) noexcept {
  auto& outcome = *static_cast<ExecOutcome*>(context);
  try {
    outcome.result.exit_code = get(result, &drasriov_exec_result::exit_code);
    outcome.result.signal = get(result, &drasriov_exec_result::signal);
    outcome.result.truncated = get(result, &drasriov_exec_result::truncated) != 0;
    outcome.result.output = from_abi(get(result, &drasriov_exec_result::output));
    outcome.result.diagnostics = from_abi(get(result, &drasriov_exec_result::diagnostics));
    outcome.failure = text(result, &drasriov_exec_result::failure);
  } catch (...) {
    outcome.out_of_memory = true;
  }
}

}  // namespace detail

inline Result<ExecResult> Host::exec(const Call& call, const ExecRequest& request) const {
  if (!DRASRIOV_HAS(exec_, run)) {
    return Error(Code::kUnimplemented, request.path + ": this host runs no programs",
                 "update dra-driver-sriov to a version with service exec/1");
  }
  std::vector<drasriov_string> args(request.args.size());
  std::transform(request.args.begin(), request.args.end(), args.begin(), to_abi);
  std::vector<drasriov_string> env(request.env.size());
  std::transform(request.env.begin(), request.env.end(), env.begin(), to_abi);
  const drasriov_exec_request abi{
      .struct_size = sizeof(drasriov_exec_request),
      .mount = static_cast<std::int32_t>(request.mount),
      .netns_fd = request.netns_fd,
      .path = to_abi(request.path),
      .args = args.data(),
      .arg_count = args.size(),
      .env = env.data(),
      .env_count = env.size(),
      .input = to_abi_bytes(request.input),
      .output_limit = request.output_limit,
  };
  detail::ExecOutcome outcome;
  const drasriov_status status =
      exec_->run(host_, call.handle(), &abi, &detail::take_exec_result, &outcome);
  if (status != DRASRIOV_OK) {
    if (outcome.failure.empty()) {
      outcome.failure = "the host could not run the program";
    }
    return Error(static_cast<Code>(status), request.path + ": " + outcome.failure);
  }
  if (outcome.out_of_memory) {
    return Error(Code::kResourceExhausted, request.path + ": no memory for its output");
  }
  return std::move(outcome.result);
}

}  // namespace abi_v1
}  // namespace drasriov::sdk
