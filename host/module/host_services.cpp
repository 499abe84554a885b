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

const void* get_service(drasriov_host* /*host*/, drasriov_string id) noexcept {
  const std::string_view name = to_view(id);
  if (name == DRASRIOV_SERVICE_PATHS_1) return &kPaths;
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
