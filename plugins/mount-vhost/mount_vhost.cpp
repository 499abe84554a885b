// SPDX-License-Identifier: Apache-2.0
#include "mount_vhost.hpp"

#include <drasriov/sdk/cdi_edits.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "socket_directory.hpp"

namespace drasriov::mount_vhost {
namespace {

namespace fs = std::filesystem;

/// For a call that has no deadline of its own: longer than any module takes to initialise.
constexpr std::chrono::seconds kLongestLoad{30};

/// A node of the kernel and the module behind it.
struct Node {
  const char* module;
  const char* path;  ///< below /dev
};
constexpr std::array<Node, 2> kNodes = {{{"vhost_net", "vhost-net"}, {"tun", "net/tun"}}};

constexpr const char* kSocketDir = "socketDir";  ///< key of the configuration and of the snapshot

std::string variable(std::string_view device_name) {
  std::string name(device_name);
  std::ranges::replace(name, '-', '_');
  return "SRIOVNETWORK_" + name + "_VHOST_SOCKET_DIR";
}

}  // namespace

sdk::Result<std::unique_ptr<MountVhost>> MountVhost::create(sdk::Host host,
                                                            std::string_view /*instance*/,
                                                            const sdk::Config& config) {
  auto settings = Settings::read(config);
  if (!settings) {
    return settings.error();
  }
  std::shared_ptr<kernel_modules::KernelModules> modules;
  if (host.sys_is_live()) {
    modules = std::make_shared<kernel_modules::Kmod>();
  } else {
    modules = std::make_shared<kernel_modules::NoKernel>();
  }
  return std::make_unique<MountVhost>(host, *std::move(settings), std::move(modules));
}

sdk::Result<std::string> MountVhost::snapshot(const sdk::Call& /*call*/,
                                              const sdk::BindingRequest& /*request*/) {
  if (settings_.socket_dir.empty()) {
    return std::string();
  }
  return nlohmann::json{{kSocketDir, settings_.socket_dir.native()}}.dump();
}

sdk::Status MountVhost::load(const sdk::Call& call, const std::string& module) {
  std::error_code none;
  if (fs::exists(fs::path(host_.root(sdk::Root::kSys)) / "module" / module, none)) {
    return {};
  }
  const auto deadline = std::min(call.deadline(), sdk::Call::Clock::now() + kLongestLoad);
  auto loaded = std::make_shared<sdk::Status>();
  if (!calls_.run(module, deadline,
                  [loaded, module, modules = modules_] { *loaded = modules->load(module); })) {
    return sdk::Error(sdk::Code::kDeadlineExceeded,
                      "load kernel module " + module + ": the kernel is still at it");
  }
  return *loaded;
}

sdk::Status MountVhost::prepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                std::string_view /*snapshot*/, sdk::PrepareSink& sink) {
  const fs::path dev = host_.root(sdk::Root::kDev);
  sdk::cdi::Edits edits;
  for (const Node& node : kNodes) {
    const auto loaded = load(call, node.module);
    const fs::path path = dev / node.path;
    std::error_code none;
    if (!fs::exists(path, none)) {
      return sdk::Error(sdk::Code::kFailedPrecondition,
                        "addVhostMount: " + path.native() + " does not exist" +
                            (loaded ? std::string() : "; " + loaded.error().message()),
                        "a container needs it: load the kernel module " + std::string(node.module) +
                            ", and let the driver see /dev of the node");
    }
    // A node that is there belongs to a driver that is built in, or is loaded when it is opened.
    if (!loaded) {
      host_.log(call).warning("a kernel module was not loaded",
                              {{"kernelModule", node.module}, {"cause", loaded.error().message()}});
    }
    edits.device_node(
        {.path = "/dev/" + std::string(node.path), .host_path = path.native(), .type = "c"});
  }
  if (!settings_.socket_dir.empty()) {
    const auto device = request.device().name();
    const auto directory = socket_directory(settings_.socket_dir, request.claim_uid(), device);
    if (!directory) {
      return directory.error();
    }
    if (auto made = make_socket_directory(settings_, *directory); !made) {
      return made;
    }
    const std::string path = settings_.socket_mount_path + "/" + std::string(device);
    edits.env(variable(device), path)
        .mount({.host_path = directory->native(),
                .container_path = path,
                .options = {"bind", "rw", "nosuid", "nodev", "noexec"}});
  }
  return sink.add_edits(edits.json());
}

sdk::Status MountVhost::unprepare(const sdk::Call& call, const sdk::BindingRequest& request,
                                  std::string_view snapshot, std::string_view /*state*/) {
  const auto kept = sdk::Config::parse(snapshot);
  const auto made_in = kept ? kept->string(kSocketDir) : kept.error();
  if (!made_in) {
    return made_in.error().with_context("the snapshot of mount-vhost");
  }
  // Without one the claim has no directory, or is of a driver that kept none: then it is where they are now.
  const fs::path socket_dir = *made_in ? fs::path(**made_in) : fs::path(settings_.socket_dir);
  if (socket_dir.empty()) {
    return {};
  }
  const auto directory = socket_directory(socket_dir, request.claim_uid(), request.device().name());
  if (!directory) {
    return directory.error();
  }
  std::error_code none;
  if (*made_in && !fs::exists(socket_dir, none)) {
    host_.log(call).warning(
        "a claim's socket directory is left, if it is still there: the driver does not see the "
        "socketDir that it was made in — hint: remove " +
        directory->parent_path().native() + " of the node by hand");
    return {};
  }
  return remove_socket_directory(*directory);
}

}  // namespace drasriov::mount_vhost
