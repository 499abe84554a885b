// SPDX-License-Identifier: Apache-2.0
#include "host/module/host_services.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "host/base/durable_file.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

constexpr std::size_t kMostLogFields = 64;
constexpr std::size_t kMostLabels = 16;

// Called by modules: nothing may throw out of these, so they are noexcept, and running out of
// memory ends the process.

void set_error(drasriov_error* error, drasriov_status code, drasriov_string message,
               drasriov_string hint) noexcept {
  if (error == nullptr) return;
  error->set = true;
  error->code = code;
  error->message = printable(to_view(message));
  error->hint = printable(to_view(hint));
}

void log_line(drasriov_host* host, const drasriov_call* call, int32_t level,
              drasriov_string message, const drasriov_pair* pairs, size_t pair_count) noexcept {
  if (host == nullptr) return;
  // The numbers of the ABI are those of telemetry; what lies outside is taken for the nearest.
  const auto severity =
      static_cast<telemetry::Level>(std::clamp(level, DRASRIOV_LOG_DEBUG, DRASRIOV_LOG_ERROR));
  telemetry::Log& log = host->services.log();
  if (!log.enabled(severity)) return;
  std::vector<telemetry::Field> fields = {{telemetry::key::kModule, host->instance}};
  if (call != nullptr && !call->call.id.empty())
    fields.push_back({telemetry::key::kCall, call->call.id});
  for (size_t i = 0; pairs != nullptr && i < pair_count && i < kMostLogFields; ++i) {
    fields.push_back({to_view(pairs[i].key), to_view(pairs[i].value)});
  }
  log.write(severity, to_view(message), fields, nullptr);
}

int64_t call_deadline_ns(const drasriov_call* call) noexcept {
  if (call == nullptr) return std::numeric_limits<int64_t>::max();
  // std::chrono::steady_clock of libstdc++ is CLOCK_MONOTONIC in nanoseconds; "infinite" is its
  // largest value.
  static_assert(std::is_same_v<Deadline::Clock::duration, std::chrono::nanoseconds>);
  return call->call.deadline.when().time_since_epoch().count();
}

int32_t call_is_cancelled(const drasriov_call* call) noexcept {
  return call != nullptr && call->call.cancelled != nullptr && (*call->call.cancelled)() ? 1 : 0;
}

drasriov_string call_id(const drasriov_call* call) noexcept {
  return call == nullptr ? drasriov_string{} : to_abi(call->call.id);
}

drasriov_string root_path(drasriov_host* host, int32_t which) noexcept {
  const MachinePaths& paths = host->services.paths();
  switch (which) {
    case DRASRIOV_ROOT_SYS: return to_abi(paths.roots.sys.native());
    case DRASRIOV_ROOT_DEV: return to_abi(paths.roots.dev.native());
    case DRASRIOV_ROOT_PROC: return to_abi(paths.roots.proc.native());
    case DRASRIOV_ROOT_NETNS: return to_abi(paths.roots.netns.native());
    case DRASRIOV_ROOT_CDI: return to_abi(paths.cdi.native());
    case DRASRIOV_ROOT_DATA: {
      if (paths.data.empty()) return {};
      // Made when it is asked for, each time: most modules keep no files, and someone may have
      // removed it.
      if (auto status = make_directories(host->data_directory, 0750); !status) {
        host->services.log().error(status.error(), {{telemetry::key::kModule, host->instance}});
        return {};
      }
      return to_abi(host->data_directory);
    }
    default: return {};
  }
}

int32_t sys_is_live(drasriov_host* host) noexcept {
  return host->services.sys_is_live() ? 1 : 0;
}

constexpr drasriov_paths_v1 kPaths = {
    .struct_size = sizeof(drasriov_paths_v1),
    .root = root_path,
    .sys_is_live = sys_is_live,
};

/// The module's name and labels as the host's metrics know them.
class MetricPoint {
 public:
  MetricPoint(const drasriov_host& host, drasriov_string name, const drasriov_pair* labels,
              size_t label_count)
      : name_("drasriov_module_") {
    name_ += to_view(name);
    labels_.push_back({"module", host.instance});
    for (size_t i = 0; labels != nullptr && i < label_count && i < kMostLabels; ++i) {
      labels_.push_back({to_view(labels[i].key), to_view(labels[i].value)});
    }
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::vector<telemetry::Label>& labels() const noexcept { return labels_; }

 private:
  std::string name_;
  std::vector<telemetry::Label> labels_;
};

void counter_add(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                 size_t label_count, double amount) noexcept {
  const MetricPoint point(*host, name, labels, label_count);
  host->services.metrics().counter_add(point.name(), point.labels(), amount);
}

void gauge_set(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
               size_t label_count, double value) noexcept {
  const MetricPoint point(*host, name, labels, label_count);
  host->services.metrics().gauge_set(point.name(), point.labels(), value);
}

void histogram_observe(drasriov_host* host, drasriov_string name, const drasriov_pair* labels,
                       size_t label_count, double value) noexcept {
  const MetricPoint point(*host, name, labels, label_count);
  host->services.metrics().histogram_observe(point.name(), point.labels(), value);
}

constexpr drasriov_metrics_v1 kMetrics = {
    .struct_size = sizeof(drasriov_metrics_v1),
    .counter_add = counter_add,
    .gauge_set = gauge_set,
    .histogram_observe = histogram_observe,
};

std::vector<std::string> texts_of(const drasriov_string* texts, size_t count) {
  std::vector<std::string> out;
  for (size_t i = 0; texts != nullptr && i < count; ++i) out.emplace_back(to_view(texts[i]));
  return out;
}

ProgramResult run_program(drasriov_host& host, const drasriov_call* call,
                          const drasriov_exec_request* request) {
  if (request == nullptr || !DRASRIOV_COVERS(request, output_limit)) {
    return {.status =
                Error(Code::kInvalidArgument, "exec/1: the request is shorter than that of ABI 1.0",
                      "report it to the module's vendor")};
  }
  if (request->mount != DRASRIOV_MOUNT_CONTAINER && request->mount != DRASRIOV_MOUNT_HOST) {
    return {.status = Error(Code::kInvalidArgument,
                            "exec/1: mount " + std::to_string(request->mount) + " is unknown",
                            "report it to the module's vendor")};
  }
  const Call no_deadline;
  return host.services.programs().run({.path = std::string(to_view(request->path)),
                                       .args = texts_of(request->args, request->arg_count),
                                       .environment = texts_of(request->env, request->env_count),
                                       .input = to_view(request->input),
                                       .output_limit = request->output_limit,
                                       .netns_fd = request->netns_fd,
                                       .host_mounts = request->mount == DRASRIOV_MOUNT_HOST},
                                      call == nullptr ? no_deadline : call->call);
}

drasriov_status exec_run(drasriov_host* host, const drasriov_call* call,
                         const drasriov_exec_request* request,
                         void (*done)(void* context, const drasriov_exec_result* result),
                         void* context) noexcept {
  const ProgramResult result = run_program(*host, call, request);
  const std::string failure = result.status ? std::string() : result.status.error().to_string();
  const drasriov_exec_result out = {.struct_size = sizeof(drasriov_exec_result),
                                    .exit_code = result.exit_code,
                                    .signal = result.signal,
                                    .truncated = result.truncated ? 1 : 0,
                                    .output = to_abi_bytes(result.output),
                                    .diagnostics = to_abi_bytes(result.diagnostics),
                                    .failure = to_abi(failure)};
  if (done != nullptr) done(context, &out);
  return result.status ? DRASRIOV_OK : static_cast<drasriov_status>(result.status.error().code());
}

constexpr drasriov_exec_v1 kExec = {
    .struct_size = sizeof(drasriov_exec_v1),
    .run = exec_run,
};

const void* get_service(drasriov_host* /*host*/, drasriov_string id) noexcept {
  const std::string_view name = to_view(id);
  if (name == DRASRIOV_SERVICE_PATHS_1) return &kPaths;
  if (name == DRASRIOV_SERVICE_METRICS_1) return &kMetrics;
  if (name == DRASRIOV_SERVICE_EXEC_1) return &kExec;
  return nullptr;
}

constexpr drasriov_host_table kTable = {
    .struct_size = sizeof(drasriov_host_table),
    .abi_minor = DRASRIOV_ABI_MINOR,
    .set_error = set_error,
    .log = log_line,
    .get_service = get_service,
    .call_deadline_ns = call_deadline_ns,
    .call_is_cancelled = call_is_cancelled,
    .call_id = call_id,
};

/// "/sys/" is "/sys" for a module that appends "/bus".
std::filesystem::path without_trailing_slash(const std::filesystem::path& path) {
  return path.has_filename() || path == path.root_path() ? path : path.parent_path();
}

MachinePaths tidied(MachinePaths paths) {
  for (auto* path : {&paths.roots.sys, &paths.roots.dev, &paths.roots.proc, &paths.roots.netns,
                     &paths.cdi, &paths.data}) {
    *path = without_trailing_slash(*path);
  }
  return paths;
}

bool is_sysfs(const std::filesystem::path& path) noexcept {
  struct statfs status = {};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == SYSFS_MAGIC;
}

}  // namespace

HostServices::HostServices(MachinePaths paths, telemetry::Log& log, telemetry::Metrics& metrics)
    : paths_(tidied(std::move(paths))),
      log_(log),
      metrics_(metrics),
      programs_(paths_.roots.proc),
      sys_is_live_(is_sysfs(paths_.roots.sys)) {}

const drasriov_host_table& HostServices::table() noexcept {
  return kTable;
}

}  // namespace drasriov::module

drasriov_host::drasriov_host(std::string instance_name,
                             const drasriov::module::HostServices& host_services)
    : instance(std::move(instance_name)),
      services(host_services),
      data_directory(host_services.paths().data / "modules" / instance) {}
