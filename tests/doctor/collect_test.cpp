// SPDX-License-Identifier: Apache-2.0
//
// What collect() reads from the files of a machine.
#include "host/doctor/collect.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "host/claim/record.hpp"
#include "host/cluster/directory/directory_cluster.hpp"
#include "host/doctor/collect_parts.hpp"
#include "tests/doctor/machine_tree.hpp"

namespace drasriov::doctor {
namespace {

const Directory& directory(const Facts& facts, std::string_view name) {
  return *std::ranges::find(facts.directories, name, &Directory::name);
}

const KernelModule& module_named(const Kernel& kernel, std::string_view name) {
  return *std::ranges::find(kernel.modules, name, &KernelModule::name);
}

class Collect : public testing::Test {
 protected:
  Facts facts() { return collect(tree_.configuration(), {}); }
  MachineTree tree_;
};

TEST_F(Collect, DirectoriesAsTheyAre) {
  std::filesystem::remove(tree_.path("netns"));
  std::filesystem::remove(tree_.path("dev"));
  tree_.put("dev", "a file");
  const Facts found = facts();
  EXPECT_TRUE(directory(found, "roots.sys").readable);
  EXPECT_FALSE(directory(found, "roots.netns").exists);
  EXPECT_EQ(directory(found, "roots.netns").error, "No such file or directory");
  EXPECT_FALSE(directory(found, "roots.dev").exists);
  EXPECT_EQ(directory(found, "roots.dev").error, "not a directory");
  EXPECT_TRUE(directory(found, "cdiRoot").writable);
  EXPECT_GT(directory(found, "cdiRoot").total_bytes, 0U);
  EXPECT_FALSE(directory(found, "data directory").exists);
}

TEST_F(Collect, Permissions) {
  EXPECT_FALSE(collect_permissions(tree_.path("proc")).known);
  tree_.put("proc/self/status", "Name:\tx\nCapEff:\t00000000a80425fb\n");
  tree_.put("proc/self/limits",
            "Limit                     Soft Limit           Hard Limit           Units     \n"
            "Max open files            1024                 524288               files     \n");
  tree_.put("proc/sys/fs/inotify/max_user_instances", "128\n");
  tree_.put("proc/sys/fs/inotify/max_user_watches", "8192\n");
  Permissions permissions = collect_permissions(tree_.path("proc"));
  EXPECT_TRUE(permissions.known);
  EXPECT_EQ(permissions.capabilities, 0xa80425fbU);
  EXPECT_EQ(permissions.open_files, 1024U);
  EXPECT_EQ(permissions.inotify_instances, 128U);
  EXPECT_EQ(permissions.inotify_watches, 8192U);
  tree_.put("proc/self/limits",
            "Max open files            unlimited            unlimited   files\n");
  permissions = collect_permissions(tree_.path("proc"));
  EXPECT_EQ(permissions.open_files, UINT64_MAX);
}

TEST_F(Collect, KernelAndItsModules) {
  tree_.put("proc/sys/kernel/osrelease", "6.1.0-test\n");
  tree_.put("proc/cmdline", "quiet intel_iommu=on\n");
  tree_.put("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n");
  tree_.put("sys/kernel/iommu_groups/0/type", "DMA\n");
  tree_.put("sys/kernel/iommu_groups/1/type", "DMA\n");
  tree_.put("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
  tree_.put_host("/lib/modules/6.1.0-test/modules.dep",
                 "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n");
  tree_.put_host("/lib/modules/6.1.0-test/modules.builtin", "kernel/drivers/net/tun.ko\n");
  const Kernel kernel = facts().kernel;
  EXPECT_EQ(kernel.release, "6.1.0-test");
  EXPECT_EQ(kernel.command_line, "quiet intel_iommu=on");
  EXPECT_EQ(kernel.cpu_vendor, "GenuineIntel");
  EXPECT_EQ(kernel.iommu_groups, 2U);
  EXPECT_TRUE(kernel.noiommu_mode);
  EXPECT_TRUE(kernel.modules_listed);
  EXPECT_TRUE(module_named(kernel, "vfio").loaded);
  EXPECT_TRUE(module_named(kernel, "vfio_pci").loadable);
  EXPECT_FALSE(module_named(kernel, "vfio_pci").loaded);
  EXPECT_TRUE(module_named(kernel, "tun").builtin);
  const KernelModule& vhost = module_named(kernel, "vhost_net");
  EXPECT_FALSE(vhost.loaded || vhost.builtin || vhost.loadable);
}

TEST_F(Collect, PhysicalAndVirtualFunctions) {
  const std::string pf = "sys/bus/pci/devices/0000:11:00.0/";
  tree_.put(pf + "class", "0x020000\n");
  tree_.put(pf + "sriov_totalvfs", "7\n");
  tree_.put(pf + "sriov_numvfs", "2\n");
  tree_.put(pf + "sriov_drivers_autoprobe", "0\n");
  tree_.link(pf + "driver", "../../drivers/igb");
  const std::string vf = "sys/bus/pci/devices/0000:11:10.0/";
  tree_.put(vf + "class", "0x020000\n");
  tree_.put(vf + "driver_override", "(null)\n");
  tree_.put(vf + "net/eth2/address", "x\n");
  tree_.link(vf + "physfn", "../0000:11:00.0");
  tree_.link(vf + "driver", "../../drivers/igbvf");
  tree_.put("sys/bus/pci/devices/0000:20:00.0/class", "0x030000\n");  // a graphics card with SR-IOV
  tree_.put("sys/bus/pci/devices/0000:20:00.0/sriov_totalvfs", "7\n");
  const Facts found = facts();
  ASSERT_EQ(found.pfs.size(), 1U);
  EXPECT_EQ(found.pfs[0].address, "0000:11:00.0");
  EXPECT_EQ(found.pfs[0].driver, "igb");
  EXPECT_EQ(found.pfs[0].total_vfs, 7U);
  EXPECT_EQ(found.pfs[0].vfs, 2U);
  EXPECT_FALSE(found.pfs[0].autoprobe);
  ASSERT_EQ(found.vfs.size(), 1U);
  EXPECT_EQ(found.vfs[0].pf, "0000:11:00.0");
  EXPECT_EQ(found.vfs[0].driver, "igbvf");
  EXPECT_EQ(found.vfs[0].driver_override, "");
  EXPECT_TRUE(found.vfs[0].has_interface);
}

TEST_F(Collect, KubeletAndRuntimeByTheirCommandLines) {
  tree_.put_process(100, "kubelet", "/usr/bin/kubelet --root-dir=/data/kubelet --config /k.yaml");
  tree_.put_host("/k.yaml", "featureGates:\n  DynamicResourceAllocation: false\n");
  tree_.put_process(101, "containerd", "/usr/bin/containerd -c /c.toml");
  tree_.put_host("/c.toml",
                 "[plugins.\"io.containerd.nri.v1.nri\"]\nsocket_path = \"/run/n.sock\"\n");
  tree_.put_host("/run/n.sock", "");
  Facts found = facts();
  EXPECT_TRUE(found.host_visible);
  EXPECT_TRUE(found.kubelet.running);
  EXPECT_EQ(found.kubelet.root_directory, "/data/kubelet");
  EXPECT_EQ(found.kubelet.dra_gate, false);
  EXPECT_EQ(found.runtime.name, "containerd");
  EXPECT_TRUE(found.runtime.running);
  EXPECT_TRUE(found.runtime.nri_socket_exists);
  // Flags win over the file.
  tree_.put_process(
      100, "kubelet",
      "kubelet --config=/k.yaml --feature-gates=A=false,DynamicResourceAllocation=true");
  EXPECT_EQ(facts().kubelet.dra_gate, true);
}

TEST_F(Collect, WithoutProcessesTheFilesTellTheRuntime) {
  EXPECT_EQ(facts().runtime.name, "");
  std::filesystem::create_directories(tree_.path("proc/1/root/etc/crio"));
  const Facts found = facts();
  EXPECT_EQ(found.runtime.name, "cri-o");
  EXPECT_FALSE(found.runtime.running);
  EXPECT_FALSE(found.kubelet.running);
}

TEST_F(Collect, AHiddenHostIsAFact) {
  std::filesystem::remove_all(tree_.path("proc/1/root"));
  EXPECT_FALSE(facts().host_visible);
  CollectOptions options;
  options.host_root = tree_.path("elsewhere");
  std::filesystem::create_directories(options.host_root);
  EXPECT_TRUE(collect(tree_.configuration(), options).host_visible);
}

TEST_F(Collect, TheHookAsTheHostRunsIt) {
  const std::string program = "plugins/sriovnetwork.openshift.io/dra-driver-sriov-hook";
  const Hook hidden = facts().hook;
  EXPECT_EQ(hidden.path, tree_.path(program));
  EXPECT_FALSE(hidden.tried);
  EXPECT_NE(hidden.error.find("proc/1/ns/mnt: No such file"), std::string::npos) << hidden.error;

  tree_.link("proc/1/ns/mnt", "/proc/self/ns/mnt");
  // Entering a mount namespace takes CAP_SYS_ADMIN, which not everybody who runs the tests has.
  if (const Hook entered = facts().hook; !entered.tried) GTEST_SKIP() << entered.error;
  EXPECT_EQ(facts().hook.error, "No such file or directory");
  const auto says = [&](std::string_view script, std::filesystem::perms mode) {
    tree_.put(program, script);
    std::filesystem::permissions(tree_.path(program), mode);
    const Hook hook = facts().hook;
    EXPECT_EQ(hook.runs, hook.error.empty());
    return hook.error;
  };
  using std::filesystem::perms;
  constexpr perms kProgram = perms::owner_all | perms::group_exec;
  EXPECT_EQ(says("#!/bin/sh\n[ \"$1\" = --check ]\n", kProgram), "");
  EXPECT_EQ(says("#!/bin/sh\nexit 3\n", kProgram), "it ends with status 3");
  EXPECT_EQ(says("#!/bin/sh\nkill -9 $$\n", kProgram), "it ends by signal 9");
  EXPECT_EQ(says("not a program", kProgram), "Exec format error");
  EXPECT_EQ(says("#!/bin/sh\n", perms::owner_read), "Permission denied");
}

TEST_F(Collect, RecordsOfTheJournalWithoutTouchingThem) {
  const std::string data = "plugins/sriovnetwork.openshift.io/claims/";
  tree_.put("proc/sys/kernel/random/boot_id", "boot-2\n");
  claim::Record record;
  record.state = claim::RecordState::kUndoing;
  record.claim = {"ns", "c", "uid-1"};
  record.boot_id = "boot-1";
  record.last_error = "EBUSY";
  record.devices.resize(1);
  record.devices[0].plan.allocated.device = "0000-11-10-0";
  tree_.put(data + "uid-1.json", claim::encode_record(record));
  tree_.put(data + "uid-2.json", "{");
  tree_.put(data + "quarantine/uid-3.json", "{");
  tree_.put(data + "quarantine/uid-3.reason", "record was cut short\n");
  const auto before = tree_.listing();
  const Facts found = facts();
  EXPECT_EQ(tree_.listing(), before);
  ASSERT_EQ(found.claims.size(), 3U);
  EXPECT_EQ(found.claims[0].claim, "ns/c");
  EXPECT_EQ(found.claims[0].state, "Undoing");
  EXPECT_EQ(found.claims[0].last_error, "EBUSY");
  EXPECT_TRUE(found.claims[0].stale);
  EXPECT_EQ(found.claims[0].devices, std::vector<std::string>{"0000-11-10-0"});
  EXPECT_NE(found.claims[1].damage, "");
  EXPECT_FALSE(found.claims[1].quarantined);
  EXPECT_TRUE(found.claims[2].quarantined);
  EXPECT_EQ(found.claims[2].damage, "record was cut short");
}

TEST_F(Collect, TheOwnerByTheListOfLocks) {
  const std::string lock = "plugins/sriovnetwork.openshift.io/owner.lock";
  tree_.put(lock, "4711\n");
  tree_.put_process(4711, "dra-driver-srio", "/usr/bin/dra-driver-sriov --node-name n");
  tree_.put_process(4712, "dra-driver-srio", "/usr/bin/dra-driver-sriov doctor");
  tree_.put_process(4713, "dra-driver-srio", "/usr/bin/dra-driver-sriov run");
  struct stat status {};
  ASSERT_EQ(::stat(tree_.path(lock).c_str(), &status), 0);
  tree_.put("proc/locks",
            "1: FLOCK  ADVISORY  WRITE 4711 08:01:" + std::to_string(status.st_ino) + " 0 EOF\n");
  Instances instances = facts().instances;
  EXPECT_TRUE(instances.lock_held);
  EXPECT_EQ(instances.owner, 4711);
  EXPECT_EQ(instances.processes, (std::vector<std::int64_t>{4711, 4713}));
  tree_.put("proc/locks", "1: FLOCK  ADVISORY  WRITE 1 08:01:1 0 EOF\n");
  EXPECT_FALSE(facts().instances.lock_held);
}

TEST_F(Collect, AModuleThatIsNotThere) {
  config::Configuration configuration = tree_.configuration();
  config::ModuleEntry entry;
  entry.name = "acme";
  entry.module = tree_.path("acme.so").native();
  configuration.modules = {entry};
  const Facts found = collect(configuration, {});
  ASSERT_EQ(found.modules.size(), 1U);
  EXPECT_FALSE(found.modules[0].passed);
  EXPECT_NE(found.modules[0].problem, "");
}

TEST_F(Collect, WhatTheClusterAllows) {
  class Silent final : public telemetry::Log {
    [[nodiscard]] bool enabled(telemetry::Level) const noexcept override { return false; }
    void write(telemetry::Level, std::string_view, std::span<const telemetry::Field>,
               const std::source_location*) override {}
  } log;
  tree_.put("cluster/all.yaml",
            "apiVersion: v1\nkind: Node\nmetadata: {name: worker-1}\n"
            "status: {nodeInfo: {kubeletVersion: v1.34.1, containerRuntimeVersion: "
            "'containerd://2.1.4'}}\n---\n"
            "apiVersion: sriovnetwork.openshift.io/v1alpha1\nkind: SriovResourceFilter\n"
            "metadata: {name: f, namespace: default}\n---\n"
            "apiVersion: sriovnetwork.openshift.io/v1alpha1\nkind: SriovResourceFilter\n"
            "metadata: {name: g, namespace: dra-sriov-driver}\n");
  Facts found = facts();
  found.setup.cluster = "dir";  // a folder reviews no rights
  const auto cluster = cluster::DirectoryCluster::open(tree_.path("cluster"), log);
  ASSERT_TRUE(cluster);
  collect_cluster(**cluster, Deadline::after(std::chrono::seconds(10)), found);
  for (const ApiAccess& access : found.cluster.access) EXPECT_EQ(access.code, "OK") << access.what;
  EXPECT_EQ(found.cluster.access.size(), 5U);
  EXPECT_EQ(found.kubelet.version, "v1.34.1");
  EXPECT_EQ(found.runtime.version, "containerd://2.1.4");
  EXPECT_EQ(found.cluster.filters_elsewhere, std::vector<std::string>{"default/f"});

  Facts other = facts();
  other.setup.node_name = "worker-2";
  collect_cluster(**cluster, Deadline::after(std::chrono::seconds(10)), other);
  EXPECT_EQ(other.cluster.access[0].code, "NOT_FOUND");
}

/// An API server that answers every read, and reviews by what the test grants.
class FakeApi final : public cluster::ClusterApi {
 public:
  std::set<std::string> refused;  ///< "create resourceslices"
  std::optional<Error> review_fails;
  std::optional<Error> reads_fail;
  std::string kubelet_version = "v1.36.0";
  std::vector<cluster::Json> reviews;

  Result<cluster::Json> get(const cluster::Resource& resource, const cluster::ObjectKey& key,
                            Deadline) override {
    if (reads_fail) return *reads_fail;
    if (resource != cluster::nodes()) return Error(Code::kNotFound, key.name);
    return cluster::Json{{"status", {{"nodeInfo", {{"kubeletVersion", kubelet_version}}}}}};
  }
  Result<cluster::ObjectList> list(const cluster::Resource& resource,
                                   const cluster::Selector& selector, Deadline) override {
    const bool everywhere =
        resource.plural == "sriovresourcefilters" && selector.namespace_.empty();
    if (everywhere) return Error(Code::kPermissionDenied, "only in one namespace");
    return cluster::ObjectList();
  }
  Result<cluster::Json> create(const cluster::Resource& resource, const cluster::Json& object,
                               Deadline) override {
    EXPECT_EQ(resource.plural, "selfsubjectaccessreviews");
    reviews.push_back(object["spec"]["resourceAttributes"]);
    if (review_fails) return *review_fails;
    const auto& asked = reviews.back();
    const std::string right =
        asked["verb"].get<std::string>() + " " + asked["resource"].get<std::string>();
    return cluster::Json{
        {"status", {{"allowed", !refused.contains(right)}, {"reason", "by the test"}}}};
  }
  Result<std::unique_ptr<cluster::Watch>> watch(const cluster::Resource&, const cluster::Selector&,
                                                std::string_view, cluster::WatchSink&) override {
    return changes();
  }
  Result<cluster::Json> update(const cluster::Resource&, const cluster::Json&, Deadline) override {
    return changes();
  }
  Status remove(const cluster::Resource&, const cluster::ObjectKey&, const cluster::Preconditions&,
                Deadline) override {
    return changes();
  }
  Result<cluster::Json> apply_status(const cluster::Resource&, const cluster::Json&,
                                     std::string_view, Deadline) override {
    return changes();
  }

 private:
  static Error changes() {
    ADD_FAILURE() << "doctor changes nothing";
    return {Code::kInternal, "doctor changes nothing"};
  }
};

class CollectApi : public Collect {
 protected:
  Facts ask() {
    Facts found = facts();
    found.setup.cluster = "kube";
    collect_cluster(api_, Deadline::after(std::chrono::seconds(10)), found);
    return found;
  }
  static std::vector<std::string> not_allowed(const Facts& facts) {
    std::vector<std::string> all;
    for (const ApiAccess& access : facts.cluster.access) {
      if (access.code != "OK") all.push_back(access.what + ": " + access.code);
    }
    return all;
  }
  FakeApi api_;
};

TEST_F(CollectApi, AsksForTheRightsThatItMustNotTry) {
  EXPECT_EQ(not_allowed(ask()), std::vector<std::string>{});
  std::vector<std::string> asked;
  for (const auto& each : api_.reviews) {
    asked.push_back(each["verb"].get<std::string>() + " " + each["resource"].get<std::string>() +
                    "/" + each.value("subresource", "") + " " + each.value("namespace", "*") + " " +
                    each.value("name", "*"));
  }
  EXPECT_EQ(asked, (std::vector<std::string>{
                       "watch nodes/ * worker-1", "watch sriovresourcefilters/ dra-sriov-driver *",
                       "watch resourceslices/ * *", "create resourceslices/ * *",
                       "update resourceslices/ * *", "delete resourceslices/ * *",
                       "patch resourceclaims/status * *", "create events/ * *",
                       "associated-node:patch resourceclaims/driver * sriovnetwork.openshift.io"}));
}

TEST_F(CollectApi, ARefusedRightIsNamedWithItsReason) {
  api_.refused = {"create resourceslices"};
  const Facts found = ask();
  EXPECT_EQ(not_allowed(found),
            std::vector<std::string>{"create resourceslices.resource.k8s.io: PERMISSION_DENIED"});
  for (const ApiAccess& access : found.cluster.access) {
    EXPECT_EQ(access.message, access.code == "OK" ? "" : "no role grants it (by the test)");
  }
}

TEST_F(CollectApi, AnOlderClusterKnowsNoRightToAStatusOfADriver) {
  api_.kubelet_version = "v1.35.3";
  api_.refused = {"associated-node:patch resourceclaims"};
  EXPECT_EQ(not_allowed(ask()), std::vector<std::string>{});
}

TEST_F(CollectApi, WhatFailsForAllIsSaidOnce) {
  api_.review_fails = Error(Code::kPermissionDenied, "no reviews here");
  EXPECT_EQ(not_allowed(ask()),
            std::vector<std::string>{"review access to watch nodes: PERMISSION_DENIED"});
  api_.reads_fail = Error(Code::kUnavailable, "connection refused");
  EXPECT_EQ(not_allowed(ask()), std::vector<std::string>{"get nodes/worker-1: UNAVAILABLE"});
}

}  // namespace
}  // namespace drasriov::doctor
