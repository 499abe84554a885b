// SPDX-License-Identifier: Apache-2.0
//
// Fakes of what claim/ uses: modules that record their calls into one Recording, and a cluster in
// memory. Thread-safe.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/base/network_namespace.hpp"
#include "host/claim/claim_service.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim::testing {

using Json = nlohmann::json;

/// What happened, in order, over all fakes of a test: "vfio.prepare 0000-08-00-2".
class Recording {
 public:
  void add(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
  }
  [[nodiscard]] std::size_t count(std::string_view line) const {
    const auto all = lines();
    return static_cast<std::size_t>(std::ranges::count(all, line));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// A binding module over a pretended machine: prepare sets the device's owner, unprepare puts back
/// what the snapshot says. Checks the ABI's promises: never two calls for one claim or one device
/// at once, same snapshot back.
class FakeBinding : public module::Binding {
 public:
  FakeBinding(std::string instance, std::vector<std::string> fields, Recording& recording)
      : instance_(std::move(instance)),
        fields_(std::move(fields)),
        recording_(recording) {}

  /// Called inside a step ("snapshot", "prepare", "unprepare") with the device's name; its error is
  /// the step's.
  using Hook = std::function<Status(const std::string& device, module::PrepareSink* sink)>;
  void on(const std::string& step, Hook hook) {
    const std::lock_guard lock(mutex_);
    hooks_[step] = std::move(hook);
  }
  std::function<bool(const module::BindingRequest&, bool)>
      takes_part;                                 ///< set before use; empty = field_set
  std::function<Status(std::string_view)> check;  ///< of parameters

  [[nodiscard]] const std::string& instance() const noexcept override { return instance_; }
  [[nodiscard]] const std::vector<std::string>& claim_fields() const noexcept override {
    return fields_;
  }
  [[nodiscard]] Status check_parameters(std::string_view json) const override {
    return check ? check(json) : Status();
  }
  [[nodiscard]] bool handles(const module::BindingRequest& request, bool field_set) override {
    return takes_part ? takes_part(request, field_set) : field_set;
  }

  [[nodiscard]] Result<std::string> snapshot(const module::Call&,
                                             const module::BindingRequest& request) override {
    const Busy busy(*this, request);
    if (auto ok = run("snapshot", request, nullptr); !ok) return std::move(ok).error();
    const std::lock_guard lock(mutex_);
    const auto it = machine_.find(request.device->name);
    return instance_ + " found " + (it == machine_.end() ? "nothing" : it->second);
  }
  [[nodiscard]] Status prepare(const module::Call&, const module::BindingRequest& request,
                               std::string_view snapshot, module::PrepareSink& sink) override {
    const Busy busy(*this, request);
    {
      const std::lock_guard lock(mutex_);
      snapshots_[std::string(request.claim_uid) + "/" + request.device->name] = snapshot;
      facts_seen_[request.device->name] = request.device->facts;
      machine_[request.device->name] = request.claim_uid;
    }
    return run("prepare", request, &sink);
  }
  [[nodiscard]] Status settle(const module::Call&, const module::BindingRequest& request,
                              std::string_view) override {
    const Busy busy(*this, request);
    return run("settle", request, nullptr);
  }
  [[nodiscard]] Status unprepare(const module::Call&, const module::BindingRequest& request,
                                 std::string_view snapshot, std::string_view state) override {
    const Busy busy(*this, request);
    if (auto ok = run("unprepare", request, nullptr); !ok) return ok;
    const std::lock_guard lock(mutex_);
    last_unprepare_ = {std::string(snapshot), std::string(state)};
    const std::string found = instance_ + " found ";
    if (snapshot.substr(0, found.size()) != found)
      violations_.push_back("unprepare with a snapshot that is not ours");
    const std::string before(snapshot.substr(std::min(found.size(), snapshot.size())));
    if (before == "nothing") {
      machine_.erase(request.device->name);
    } else {
      machine_[request.device->name] = before;
    }
    return {};
  }

  [[nodiscard]] Result<std::string> adopt(const module::Call&,
                                          const module::BindingRequest& request) override {
    const Busy busy(*this, request);
    if (auto ok = run("adopt", request, nullptr); !ok) return std::move(ok).error();
    const std::string* driver = request.device->fact(device::fact::kDriver);
    return instance_ + " found " + (driver == nullptr ? "nothing" : *driver);
  }

  /// Device name → claim UID of what is bound now; empty = the machine is as it was.
  [[nodiscard]] std::map<std::string, std::string> machine() const {
    const std::lock_guard lock(mutex_);
    return machine_;
  }
  [[nodiscard]] std::vector<std::string> violations() const {
    const std::lock_guard lock(mutex_);
    return violations_;
  }
  [[nodiscard]] std::pair<std::string, std::string> last_unprepare() const {
    const std::lock_guard lock(mutex_);
    return last_unprepare_;
  }
  [[nodiscard]] device::Fields<std::string> facts_seen(const std::string& device) const {
    const std::lock_guard lock(mutex_);
    const auto it = facts_seen_.find(device);
    return it == facts_seen_.end() ? device::Fields<std::string>() : it->second;
  }

 private:
  /// One call under way for a claim and a device.
  class Busy {
   public:
    Busy(FakeBinding& owner, const module::BindingRequest& request)
        : owner_(owner),
          keys_{"claim " + std::string(request.claim_uid), "device " + request.device->name} {
      const std::lock_guard lock(owner_.mutex_);
      for (const auto& key : keys_) {
        if (!owner_.busy_.insert(key).second)
          owner_.violations_.push_back("two calls at once for " + key);
      }
    }
    ~Busy() {
      const std::lock_guard lock(owner_.mutex_);
      for (const auto& key : keys_) owner_.busy_.erase(key);
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    FakeBinding& owner_;
    std::vector<std::string> keys_;
  };

  Status run(const std::string& step, const module::BindingRequest& request,
             module::PrepareSink* sink) {
    recording_.add(instance_ + "." + step + " " + request.device->name);
    Hook hook;
    {
      const std::lock_guard lock(mutex_);
      const auto it = hooks_.find(step);
      if (it != hooks_.end()) hook = it->second;
    }
    return hook ? hook(request.device->name, sink) : Status();
  }

  std::string instance_;
  std::vector<std::string> fields_;
  Recording& recording_;
  mutable std::mutex mutex_;
  std::map<std::string, Hook> hooks_;
  std::map<std::string, std::string> machine_;
  std::map<std::string, std::string> snapshots_;
  std::map<std::string, device::Fields<std::string>> facts_seen_;
  std::set<std::string> busy_;
  std::vector<std::string> violations_;
  std::pair<std::string, std::string> last_unprepare_;
};

/// Network namespaces by path, each with a number of its own.
class FakeNamespaces {
 public:
  void put(const std::string& path) {
    const std::lock_guard lock(mutex_);
    inodes_[path] = ++last_;
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    inodes_.erase(path);
  }
  [[nodiscard]] Result<NetworkNamespace> open(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const auto found = inodes_.find(path);
    if (found == inodes_.end())
      return Error(Code::kNotFound,
                   "open network namespace " + path + ": No such file or directory");
    NetworkNamespace opened;
    opened.fd = UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    opened.inode = found->second;
    return opened;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> inodes_;
  std::uint64_t last_ = 0;
};

/// A netconf module over a pretended machine: knows which device is in which container.
class FakeNetconf : public module::Netconf {
 public:
  explicit FakeNetconf(Recording& recording) : recording_(recording) {}
  std::function<Status()> on_validate;
  /// Called inside "add" and "del"; its error is the answer. An add that fails has moved the device all the same.
  using Hook = std::function<Status(const module::Call&, const module::NetconfRequest&)>;
  void on(const std::string& step, Hook hook) {
    const std::lock_guard lock(mutex_);
    hooks_[step] = std::move(hook);
  }
  /// Device name → container id.
  [[nodiscard]] std::map<std::string, std::string> attached() const {
    const std::lock_guard lock(mutex_);
    return attached_;
  }

  [[nodiscard]] const std::string& instance() const noexcept override { return instance_; }
  [[nodiscard]] bool parallel_safe() const noexcept override { return false; }
  [[nodiscard]] Status validate(const module::Call&,
                                const module::NetconfRequest& request) override {
    recording_.add("netconf.validate " + std::string(request.interface_name));
    return on_validate ? on_validate() : Status();
  }
  [[nodiscard]] Result<std::string> add(const module::Call& call,
                                        const module::NetconfRequest& request) override {
    recording_.add("netconf.add " + request.device->name + " " + std::string(request.container_id));
    {
      const std::lock_guard lock(mutex_);
      attached_[request.device->name] = request.container_id;
    }
    if (auto ok = run("add", call, request); !ok) return std::move(ok).error();
    return Json{{"cniVersion", "1.0.0"},
                {"interfaces",
                 {{{"name", request.interface_name},
                   {"mac", "0a:00:00:00:00:01"},
                   {"sandbox", request.netns_path}}}},
                {"ips", {{{"address", "10.0.0.2/24"}, {"interface", 0}}}}}
        .dump();
  }
  [[nodiscard]] Status del(const module::Call& call,
                           const module::NetconfRequest& request) override {
    recording_.add("netconf.del " + request.device->name + " " + std::string(request.container_id) +
                   (request.netns_fd < 0 ? " gone" : ""));
    if (auto ok = run("del", call, request); !ok) return ok;
    const std::lock_guard lock(mutex_);
    const auto found = attached_.find(request.device->name);
    if (found != attached_.end() && found->second == request.container_id) attached_.erase(found);
    return {};
  }
  [[nodiscard]] Status check(const module::Call& call,
                             const module::NetconfRequest& request) override {
    return run("check", call, request);
  }
  [[nodiscard]] Status status(const module::Call&, const module::NetconfRequest&) override {
    return {};
  }
  /// Called inside "gc": the network's configuration and what is alive, "<container id> <interface>".
  using Collect = std::function<Status(std::string_view, const std::set<std::string>&)>;
  void on_gc(Collect collect) {
    const std::lock_guard lock(mutex_);
    collect_ = std::move(collect);
  }
  [[nodiscard]] Status gc(const module::Call&, std::string_view config,
                          const std::vector<Attachment>& alive) override {
    Collect collect;
    {
      const std::lock_guard lock(mutex_);
      collect = collect_;
    }
    if (!collect) return {};
    std::set<std::string> names;
    for (const Attachment& one : alive) names.insert(one.container_id + " " + one.interface_name);
    return collect(config, names);
  }

 private:
  Status run(const std::string& step, const module::Call& call,
             const module::NetconfRequest& request) {
    Hook hook;
    {
      const std::lock_guard lock(mutex_);
      const auto found = hooks_.find(step);
      if (found != hooks_.end()) hook = found->second;
    }
    return hook ? hook(call, request) : Status();
  }

  std::string instance_ = "netconf";
  Recording& recording_;
  mutable std::mutex mutex_;
  std::map<std::string, Hook> hooks_;
  Collect collect_;
  std::map<std::string, std::string> attached_;
};

class FakeHooks : public module::RuntimeHooks {
 public:
  [[nodiscard]] const std::string& instance() const noexcept override { return instance_; }
  void set_events(module::RuntimeEvents&) override {}
  [[nodiscard]] std::chrono::nanoseconds request_timeout() override { return {}; }

 private:
  std::string instance_ = "hooks";
};

/// CDI specs in memory, by id.
class FakeCdi : public module::CdiWriter {
 public:
  explicit FakeCdi(Recording& recording) : recording_(recording) {}
  /// Called in "write" and "remove" with the id.
  void on(const std::string& step, std::function<Status(const std::string&)> hook) {
    const std::lock_guard lock(mutex_);
    hooks_[step] = std::move(hook);
  }

  [[nodiscard]] const std::string& instance() const noexcept override { return instance_; }
  [[nodiscard]] Status write_spec(const module::Call&, std::string_view, std::string_view id,
                                  std::string_view spec_json) override {
    if (auto ok = run("write", std::string(id)); !ok) return ok;
    const std::lock_guard lock(mutex_);
    specs_[std::string(id)] = spec_json;
    return {};
  }
  [[nodiscard]] Status remove_spec(const module::Call&, std::string_view,
                                   std::string_view id) override {
    if (auto ok = run("remove", std::string(id)); !ok) return ok;
    const std::lock_guard lock(mutex_);
    specs_.erase(std::string(id));
    return {};
  }
  [[nodiscard]] Result<std::vector<std::string>> list_specs(const module::Call&,
                                                            std::string_view) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    for (const auto& [id, spec] : specs_) ids.push_back(id);
    return ids;
  }

  [[nodiscard]] std::map<std::string, std::string> specs() const {
    const std::lock_guard lock(mutex_);
    return specs_;
  }
  void set(const std::string& id, const std::string& spec) {
    const std::lock_guard lock(mutex_);
    specs_[id] = spec;
  }
  void lose_all() {
    const std::lock_guard lock(mutex_);
    specs_.clear();
  }

 private:
  Status run(const std::string& step, const std::string& id) {
    recording_.add("cdi." + step + " " + id);
    std::function<Status(const std::string&)> hook;
    {
      const std::lock_guard lock(mutex_);
      const auto it = hooks_.find(step);
      if (it != hooks_.end()) hook = it->second;
    }
    return hook ? hook(id) : Status();
  }

  std::string instance_ = "cdi";
  Recording& recording_;
  mutable std::mutex mutex_;
  std::map<std::string, std::function<Status(const std::string&)>> hooks_;
  std::map<std::string, std::string> specs_;
};

/// Objects in memory; only get() is there, as claim/ uses nothing else.
class FakeCluster : public cluster::ClusterApi {
 public:
  void put(const cluster::Resource& resource, Json object) {
    const std::lock_guard lock(mutex_);
    const auto& metadata = object.at("metadata");
    objects_[{resource.plural, metadata.value("namespace", ""),
              metadata.at("name").get<std::string>()}] = object;
  }
  void erase(const cluster::Resource& resource, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    objects_.erase({resource.plural, ns, name});
  }
  /// Runs before each get; its error is the answer.
  void on_get(std::function<Status(const cluster::ObjectKey&)> hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
  }

  [[nodiscard]] Result<Json> get(const cluster::Resource& resource, const cluster::ObjectKey& key,
                                 Deadline) override {
    std::function<Status(const cluster::ObjectKey&)> hook;
    {
      const std::lock_guard lock(mutex_);
      hook = hook_;
    }
    if (hook) {
      if (auto ok = hook(key); !ok) return std::move(ok).error();
    }
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find({resource.plural, key.namespace_, key.name});
    if (found == objects_.end()) {
      return Error(Code::kNotFound,
                   "get " + resource.plural + " " + key.to_string() + ": not found");
    }
    return found->second;
  }
  [[nodiscard]] Result<cluster::ObjectList> list(const cluster::Resource&, const cluster::Selector&,
                                                 Deadline) override {
    return unused();
  }
  [[nodiscard]] Result<std::unique_ptr<cluster::Watch>> watch(const cluster::Resource&,
                                                              const cluster::Selector&,
                                                              std::string_view,
                                                              cluster::WatchSink&) override {
    return unused();
  }
  [[nodiscard]] Result<Json> create(const cluster::Resource&, const Json&, Deadline) override {
    return unused();
  }
  [[nodiscard]] Result<Json> update(const cluster::Resource&, const Json&, Deadline) override {
    return unused();
  }
  [[nodiscard]] Status remove(const cluster::Resource&, const cluster::ObjectKey&,
                              const cluster::Preconditions&, Deadline) override {
    return unused();
  }
  [[nodiscard]] Result<Json> apply_status(const cluster::Resource&, const Json&, std::string_view,
                                          Deadline) override {
    return unused();
  }

 private:
  static Error unused() { return Error(Code::kUnimplemented, "claim/ only reads single objects"); }

  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, std::string>, Json> objects_;
  std::function<Status(const cluster::ObjectKey&)> hook_;
};

inline constexpr const char* kDriverName = "sriovnetwork.openshift.io";

/// A VF as discovery-sysfs reports it; index 0 is 0000-08-00-0.
inline device::Device virtual_function(int index, const std::string& incarnation = "1") {
  device::Device device;
  const std::string number = std::to_string(index % 8);
  const std::string slot =
      std::string(index / 8 < 16 ? "0" : "1") + "0123456789abcdef"[index / 8 % 16];
  device.name = "0000-08-" + slot + "-" + number;
  device.kind = "vf";
  device.parent = "0000-07-00-0";
  device.attributes["pciAddress"] = "0000:08:" + slot + "." + number;
  device.attributes["vfID"] = std::int64_t{index};
  device.facts["pciAddress"] = "0000:08:" + slot + "." + number;
  device.facts["incarnation"] = incarnation;
  device.module = "discovery-sysfs";
  return device;
}

inline Json result_of(const std::string& request, const std::string& device,
                      const std::string& pool = "node-1") {
  return {{"request", request}, {"driver", kDriverName}, {"pool", pool}, {"device", device}};
}

inline Json config_of(const std::string& source, std::vector<std::string> requests, Json fields) {
  fields["apiVersion"] = std::string(kDriverName) + "/v1alpha1";
  fields["kind"] = "VfConfig";
  Json entry = {{"source", source},
                {"opaque", {{"driver", kDriverName}, {"parameters", std::move(fields)}}}};
  if (!requests.empty()) entry["requests"] = std::move(requests);
  return entry;
}

inline Json reserved_for(const std::string& pod) {
  return {{"resource", "pods"}, {"name", pod}, {"uid", "uid-of-" + pod}};
}

/// An allocated ResourceClaim; `ref.namespace_` may be anything.
inline Json claim_object(const ClaimRef& ref, Json results, Json configs = Json::array(),
                         Json reserved = Json::array({reserved_for("pod-a")})) {
  return {{"apiVersion", "resource.k8s.io/v1"},
          {"kind", "ResourceClaim"},
          {"metadata", {{"namespace", ref.namespace_}, {"name", ref.name}, {"uid", ref.uid}}},
          {"status",
           {{"allocation",
             {{"devices", {{"results", std::move(results)}, {"config", std::move(configs)}}}}},
            {"reservedFor", std::move(reserved)}}}};
}

inline Json net_attach_def(const std::string& ns, const std::string& name,
                           const std::string& config) {
  return {{"apiVersion", "k8s.cni.cncf.io/v1"},
          {"kind", "NetworkAttachmentDefinition"},
          {"metadata", {{"namespace", ns}, {"name", name}}},
          {"spec", {{"config", config}}}};
}

}  // namespace drasriov::claim::testing
