// SPDX-License-Identifier: Apache-2.0
#include "mount_vhost.hpp"

#include <drasriov/sdk/cdi_edits.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
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
  return std::string();  // what is made is found by the names of claim and device
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
    const auto directory = socket_directory(settings_, request.claim_uid(), device);
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

sdk::Status MountVhost::unprepare(const sdk::Call& /*call*/, const sdk::BindingRequest& request,
                                  std::string_view /*snapshot*/, std::string_view /*state*/) {
  if (settings_.socket_dir.empty()) {
    return {};
  }
  const auto directory = socket_directory(settings_, request.claim_uid(), request.device().name());
  return directory ? remove_socket_directory(*directory) : sdk::Status(directory.error());
}

}  // namespace drasriov::mount_vhost
