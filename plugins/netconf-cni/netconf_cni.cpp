// SPDX-License-Identifier: Apache-2.0
#include "netconf_cni.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "answer.hpp"
#include "plugin_path.hpp"
#include "result.hpp"

namespace drasriov::netconf_cni {
namespace {

using sdk::Call;
using sdk::Code;
using sdk::Error;
using sdk::NetconfRequest;
using sdk::Status;

constexpr std::size_t kMostLoggedBytes = 4096;
constexpr std::string_view kOldestWithCheck = "0.4.0";
constexpr std::string_view kOldestWithGc = "1.1.0";
/// The host's ABI asks for 1.0.0 or newer.
constexpr std::string_view kOldestReported = "1.0.0";

/// "K=V;K=V", the pod's own first, as container runtimes and Multus write it.
sdk::Result<std::string> cni_args(const NetconfRequest& request) {
  std::string text = "IgnoreUnknown=true";
  Status ok;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (key.empty() || key.find_first_of(";=") != std::string_view::npos ||
        value.find_first_of(";=") != std::string_view::npos) {
      ok = Error(Code::kInvalidArgument, "CNI_ARGS: \"" + excerpt(key, 64) +
                                             "\" or its value has "
                                             "';' or '='");
      return;
    }
    text.append(";").append(key).append("=").append(value);
  };
  const auto pod = request.pod();
  if (pod.present()) {
    add("K8S_POD_NAMESPACE", pod.namespace_());
    add("K8S_POD_NAME", pod.name());
    add("K8S_POD_INFRA_CONTAINER_ID", request.container_id());
    add("K8S_POD_UID", pod.uid());
  }
  for (const sdk::Pair arg : request.args()) add(arg.key, arg.value);
  if (!ok) return ok.error();
  return text;
}

/// runtimeConfig of the plugins that declare the capability: the conventional MAC, IP and GUID of
/// CNI_ARGS, and the device.
Json capability_args(const NetconfRequest& request, const std::string& device_id) {
  Json args = Json::object();
  if (!device_id.empty()) args["deviceID"] = device_id;
  for (const sdk::Pair arg : request.args()) {
    if (arg.key == "MAC") args["mac"] = arg.value;
    if (arg.key == "GUID") args["infinibandGUID"] = arg.value;
    if (arg.key != "IP") continue;
    Json ips = Json::array();
    std::string_view rest = arg.value;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) ips.push_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    args["ips"] = std::move(ips);
  }
  return args;
}

/// Zeros when there is nothing at the path. `root` is where the runtime has its namespaces; /proc/<pid>/ns/net is seen
/// from here alone.
NamespaceId namespace_at(const std::string& root, const std::string& path) {
  struct stat status = {};
  if (stat_inside(root, path, status) != 0 && ::stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

std::string plugin_name(const Network& network, std::size_t plugin) {
  return "network " + network.name + ": CNI plugin " + network.type(plugin);
}

}  // namespace

sdk::Result<std::unique_ptr<NetconfCni>> NetconfCni::create(sdk::Host host,
                                                            std::string_view /*instance*/,
                                                            const sdk::Config& config) {
  auto settings = Settings::read(config);
  if (!settings) return settings.error();
  return std::make_unique<NetconfCni>(host, *std::move(settings));
}

NetconfCni::NetconfCni(sdk::Host host, Settings settings)
    : host_(host),
      settings_(std::move(settings)),
      root_(settings_.mount == sdk::Mount::kHost
                ? std::string(host.root(sdk::Root::kProc)) + "/1/root"
                : std::string()),
      cache_(std::filesystem::path(host.root(sdk::Root::kData)) / "results") {}

Status NetconfCni::validate(const Call& /*call*/, const NetconfRequest& request) {
  const auto network = Network::read(request.config_json());
  if (!network) return network.error();
  for (const std::string& executable : network->executables()) {
    const auto path = find_plugin(settings_.plugin_dirs, executable, root_);
    if (!path) return path.error().with_context("network " + network->name);
  }
  return {};
}

sdk::Result<std::string> NetconfCni::add(const Call& call, const NetconfRequest& request) {
  const auto network = Network::read(request.config_json());
  if (!network) return network.error();
  auto operation = this->operation("ADD", request);
  if (!operation) return operation.error().with_context("network " + network->name);
  if (auto ok = check_names(*network, request.container_id(), request.interface_name()); !ok)
    return ok.error().with_context("network " + network->name);

  for (std::size_t i = 0; i < network->plugins.size(); ++i) {
    const auto output = run(call, *network, i, *operation);
    if (!output) return output.error();
    auto result = read_result(*output, network->version);
    if (!result) return result.error().with_context(plugin_name(*network, i) + ": ADD");
    operation->additions.previous_result = *std::move(result);
  }

  CachedAdd done;
  done.network = network->name;
  done.container_id = operation->container_id;
  done.interface_name = operation->interface_name;
  done.netns_path = operation->netns_path;
  done.netns = namespace_at(root_, operation->netns_path);
  done.config_json = request.config_json();
  done.device_id = operation->additions.device_id;
  done.args = operation->args;
  done.capability_args = operation->additions.capability_args;
  done.result = std::move(operation->additions.previous_result);
  if (auto ok = cache_.store(done); !ok) return ok.error().with_context("network " + network->name);

  const auto version = done.result["cniVersion"].get<std::string>();
  return convert_result(std::move(done.result),
                        at_least(version, kOldestReported) ? version : kOldestReported)
      .dump();
}

Status NetconfCni::del(const Call& call, const NetconfRequest& request) {
  const auto network = Network::read(request.config_json());
  if (!network) return network.error();
  if (auto ok = check_names(*network, request.container_id(), request.interface_name()); !ok)
    return ok.error().with_context("network " + network->name);
  auto operation = this->operation("DEL", request);
  if (!operation) return operation.error().with_context("network " + network->name);
  if (auto previous = previous_result(*network, request); previous) {
    operation->additions.previous_result = *std::move(previous);
  } else {
    // What cannot be read must not keep a device in a sandbox for ever: plugins know to do without.
    host_.log(call).warning("DEL goes on without the result of the ADD: " +
                            previous.error().message());
  }
  if (auto ok = undo(call, *network, *operation); !ok) return ok;
  return cache_.remove(network->name, operation->container_id, operation->interface_name);
}

Status NetconfCni::check(const Call& call, const NetconfRequest& request) {
  const auto network = Network::read(request.config_json());
  if (!network) return network.error();
  if (network->disable_check) return {};
  if (!at_least(network->version, kOldestWithCheck)) {
    return Error(Code::kUnimplemented,
                 "network " + network->name + ": CHECK needs CNI 0.4.0, its cniVersion is " +
                     network->version,
                 "set a newer cniVersion in spec.config");
  }
  auto operation = this->operation("CHECK", request);
  if (!operation) return operation.error().with_context("network " + network->name);
  auto previous = previous_result(*network, request);
  if (!previous) return previous.error();
  if (previous->is_null()) {
    return Error(Code::kFailedPrecondition, "network " + network->name + ": CHECK of sandbox " +
                                                operation->container_id +
                                                " needs the result of its ADD, which is unknown");
  }
  operation->additions.previous_result = *std::move(previous);
  for (std::size_t i = 0; i < network->plugins.size(); ++i) {
    if (auto output = run(call, *network, i, *operation); !output) return output.error();
  }
  return {};
}

Status NetconfCni::status(const Call& call, const NetconfRequest& request) {
  const auto network = Network::read(request.config_json());
  if (!network) return network.error();
  if (!at_least(network->version, kOldestWithGc)) return {};
  Operation operation;
  operation.command = "STATUS";
  for (std::size_t i = 0; i < network->plugins.size(); ++i) {
    if (auto output = run(call, *network, i, operation); !output) return output.error();
  }
  return {};
}

Status NetconfCni::gc(const Call& call, std::string_view config_json, sdk::AttachmentList alive) {
  const auto network = Network::read(config_json);
  if (!network) return network.error();
  if (network->disable_gc) return {};
  const auto is_alive = [&alive](const CachedAdd& add) {
    for (const sdk::Attachment attachment : alive) {
      if (attachment.container_id == add.container_id &&
          attachment.interface_name == add.interface_name)
        return true;
    }
    return false;
  };
  // Errors are collected and the rest goes on (CNI specification, "GC").
  Status first;
  const auto keep_first = [&first](Status ok) {
    if (!ok && first) first = std::move(ok);
  };
  for (CachedAdd& add : cache_.of_network(network->name)) {
    if (is_alive(add)) continue;
    const auto added_with = Network::read(add.config_json);
    if (!added_with) {
      keep_first(added_with.error());
      continue;
    }
    Operation operation{"DEL", add.container_id, add.netns_path, add.interface_name, add.args, {}};
    // Without a namespace plugins give back what is outside of it (CNI specification, "DEL").
    const NamespaceId now = namespace_at(root_, add.netns_path);
    if (now == NamespaceId() || (add.netns != NamespaceId() && add.netns != now))
      operation.netns_path.clear();
    operation.additions = {add.device_id, std::move(add.capability_args), {}};
    if (at_least(added_with->version, kOldestWithCheck)) {
      operation.additions.previous_result =
          convert_result(std::move(add.result), added_with->version);
    }
    Status ok = undo(call, *added_with, operation);
    if (ok) ok = cache_.remove(add.network, add.container_id, add.interface_name);
    keep_first(std::move(ok));
  }
  if (!at_least(network->version, kOldestWithGc)) return first;

  Json valid = Json::array();
  for (const sdk::Attachment attachment : alive) {
    valid.push_back(
        {{"containerID", attachment.container_id}, {"ifname", attachment.interface_name}});
  }
  Operation operation;
  operation.command = "GC";
  for (std::size_t i = 0; i < network->plugins.size(); ++i) {
    Json input = plugin_input(*network, i, operation.additions);
    // The name of the specification, and the one that plugins of the first 1.1 libraries read.
    input["cni.dev/valid-attachments"] = valid;
    input["cni.dev/attachments"] = valid;
    if (auto output = run(call, *network, i, operation, input); !output) keep_first(output.error());
  }
  return first;
}

sdk::Result<NetconfCni::Operation> NetconfCni::operation(std::string command,
                                                         const NetconfRequest& request) {
  Operation operation;
  operation.command = std::move(command);
  operation.container_id = request.container_id();
  operation.netns_path = request.netns_path();
  operation.interface_name = request.interface_name();
  auto args = cni_args(request);
  if (!args) return args.error();
  operation.args = *std::move(args);
  operation.additions.device_id =
      std::string(request.device().fact(DRASRIOV_FACT_PCI_ADDRESS).value_or(""));
  operation.additions.capability_args = capability_args(request, operation.additions.device_id);
  return operation;
}

sdk::Result<Json> NetconfCni::previous_result(const Network& network,
                                              const NetconfRequest& request) const {
  if (!at_least(network.version, kOldestWithCheck)) return Json();
  if (!request.result_json().empty()) {
    auto result = read_result(request.result_json(), network.version);
    if (!result) return result.error();
    return convert_result(*std::move(result), network.version);
  }
  // The host was killed before it knew the result.
  auto cached = cache_.load(network.name, request.container_id(), request.interface_name());
  return cached ? convert_result(std::move(cached->result), network.version) : Json();
}

Status NetconfCni::undo(const Call& call, const Network& network,
                        const Operation& operation) const {
  for (std::size_t i = network.plugins.size(); i-- > 0;) {
    if (auto output = run(call, network, i, operation); !output) return output.error();
  }
  return {};
}

sdk::Result<std::string> NetconfCni::run(const Call& call, const Network& network,
                                         std::size_t plugin, const Operation& operation,
                                         const Json& input) const {
  const std::string type = network.type(plugin);
  // Without the sandbox, which is the call's id in the log: the same failure has the same words in the next one.
  const std::string what = plugin_name(network, plugin) + ": " + operation.command;
  const auto path = find_plugin(settings_.plugin_dirs, type, root_);
  if (!path) return path.error().with_context(what);

  std::string search;
  for (const std::string& dir : settings_.plugin_dirs) search += (search.empty() ? "" : ":") + dir;
  sdk::ExecRequest request;
  request.path = *path;
  request.env = {"CNI_COMMAND=" + operation.command,
                 "CNI_CONTAINERID=" + operation.container_id,
                 "CNI_NETNS=" + operation.netns_path,
                 "CNI_IFNAME=" + operation.interface_name,
                 "CNI_ARGS=" + operation.args,
                 "CNI_PATH=" + search,
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  request.input = input.dump();
  request.output_limit = kMostOutputBytes;
  request.mount = settings_.mount;

  const auto began = std::chrono::steady_clock::now();
  const auto ended = host_.exec(call, request);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const bool good = ended && ended->exit_code == 0;
  host_.histogram_observe(
      "cni_seconds", took.count(),
      {{"plugin", type}, {"command", operation.command}, {"outcome", good ? "ok" : "failed"}});
  if (!ended) {
    const bool late = ended.error().code() == Code::kDeadlineExceeded;
    return ended.error().with_context(what).with_hint(
        late
            ? "it hung and was killed with all that it had started: look for what it waits for "
              "(a daemon, a lock, DHCP)"
            : "the plugin is on the node but could not be run: check that it is a program for this "
              "machine, and the driver's privileges");
  }
  if (!ended->diagnostics.empty()) {
    host_.log(call).info(what + " says: " + excerpt(ended->diagnostics, kMostLoggedBytes));
  }
  if (!good) {
    const PluginFailure failure = read_failure(*ended);
    if (operation.command == "DEL" && nothing_to_delete(failure)) return std::string();
    return failure.error.with_context(what);
  }
  if (operation.command == "ADD" && ended->truncated && ended->output.size() == kMostOutputBytes) {
    return Error(
        Code::kDataLoss,
        what + ": it wrote more than " + std::to_string(kMostOutputBytes) + " bytes of output",
        "a CNI result is a few hundred bytes: the plugin is broken, or writes its log to "
        "standard output");
  }
  return ended->output;
}

}  // namespace drasriov::netconf_cni
