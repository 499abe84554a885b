// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/collect.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "host/claim/hook_file.hpp"
#include "host/doctor/collect_parts.hpp"
#include "host/module/entry_file.hpp"

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

std::string errno_text(int number) {
  return std::generic_category().message(number);
}

Directory look_at(std::string name, const fs::path& path, DirectoryUse use) {
  Directory directory;
  directory.name = std::move(name);
  directory.path = path.native();
  directory.use = use;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    directory.error = errno_text(errno);
    return directory;
  }
  if (!S_ISDIR(status.st_mode)) {
    directory.error = "not a directory";
    return directory;
  }
  directory.exists = true;
  const auto may = [&](int mode) {
    if (::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0) return true;
    directory.error = errno_text(errno);
    return false;
  };
  directory.readable = may(R_OK | X_OK);
  if (use == DirectoryUse::kKubelet || use == DirectoryUse::kState)
    directory.writable = may(W_OK | X_OK);
  struct statfs file_system {};
  if (::statfs(path.c_str(), &file_system) == 0) {
    const auto block = static_cast<std::uint64_t>(file_system.f_bsize);
    directory.on_tmpfs = file_system.f_type == TMPFS_MAGIC || file_system.f_type == RAMFS_MAGIC;
    directory.total_bytes = file_system.f_blocks * block;
    directory.free_bytes = file_system.f_bavail * block;
    directory.total_inodes = file_system.f_files;
    directory.free_inodes = file_system.f_ffree;
  }
  return directory;
}

std::vector<Directory> look_at_directories(const config::Configuration& c) {
  return {
      look_at("roots.sys", c.roots.sys, DirectoryUse::kRoot),
      look_at("roots.dev", c.roots.dev, DirectoryUse::kRoot),
      look_at("roots.proc", c.roots.proc, DirectoryUse::kRoot),
      look_at("roots.netns", c.roots.netns, DirectoryUse::kNetns),
      look_at("kubeletPluginsDirectory", c.kubelet_plugins_directory, DirectoryUse::kKubelet),
      look_at("kubeletRegistrarDirectory", c.kubelet_registrar_directory, DirectoryUse::kKubelet),
      look_at("data directory", c.data_directory(), DirectoryUse::kState),
      look_at("cdiRoot", c.cdi_root, DirectoryUse::kState)};
}

bool offers(const config::Configuration& configuration, std::string_view capability) {
  return std::ranges::any_of(configuration.modules, [&](const config::ModuleEntry& entry) {
    return entry.enabled &&
           std::ranges::find(entry.capabilities, capability) != entry.capabilities.end();
  });
}

Setup setup_of(const config::Configuration& c) {
  Setup setup;
  setup.driver_name = c.driver_name;
  setup.node_name = c.node_name;
  setup.filter_namespace = c.namespace_;
  setup.cluster = c.cluster_directory.empty() ? "kube" : "dir:" + c.cluster_directory.native();
  setup.plugins_directory = c.kubelet_plugins_directory.native();
  setup.registrar_directory = c.kubelet_registrar_directory.native();
  setup.data_directory = c.data_directory().native();
  setup.cdi_root = c.cdi_root.native();
  setup.uses_hooks = offers(c, "runtime-hooks/1");
  setup.uses_binding = offers(c, "binding/1");
  setup.uses_netconf = offers(c, "netconf/1");
  return setup;
}

Module look_at_module(const config::ModuleEntry& entry, const CollectOptions& options) {
  Module module;
  module.name = entry.name;
  module.required = entry.failure_policy == config::FailurePolicy::kFail;
  const module::FileSource source{options.builtin_directory, options.verify.insecure_dev};
  const auto refuse = [&module](const Error& error) {
    module.problem = error.message();
    module.hint = error.hint();
    return module;
  };
  const auto path = module::module_path(entry.module, source);
  if (!path) return refuse(path.error());
  module.file = path->native();
  const auto file = module::open_entry_file(entry, source);
  if (!file) return refuse(file.error());
  module.sha256 = file->file.sha256();
  const module::VerifyReport report = module::verify_module(*path, options.verify);
  module.passed = report.passed();
  for (const module::VerifyStep& step : report.steps) {
    if (step.verdict != module::VerifyStep::Verdict::kFailed) continue;
    module.problem = step.name + ": " + step.message;
    module.hint = step.hint;
    break;
  }
  return module;
}

}  // namespace

Facts collect(const config::Configuration& configuration, const CollectOptions& options) {
  Facts facts;
  facts.setup = setup_of(configuration);
  facts.directories = look_at_directories(configuration);

  const fs::path& proc = configuration.roots.proc;
  const auto host =
      HostFiles::open(options.host_root.empty() ? proc / "1" / "root" : options.host_root);
  const HostFiles* files = host ? &*host : nullptr;
  facts.host_visible = host.ok();

  facts.permissions = collect_permissions(proc);
  facts.kernel = collect_kernel(configuration.roots, files);
  collect_functions(configuration.roots.sys, facts);
  collect_daemons(proc, files, facts);
  for (const config::ModuleEntry& entry : configuration.modules) {
    if (entry.enabled) facts.modules.push_back(look_at_module(entry, options));
  }
  facts.claims = collect_claims(configuration.data_directory(), proc);
  facts.hook = collect_hook(configuration.effective_hook_directory() / claim::kHookName, proc);
  facts.instances = collect_instances(configuration.data_directory(), proc);
  return facts;
}

}  // namespace drasriov::doctor
