# SPDX-License-Identifier: Apache-2.0
"""A claim's network with what is real of it on a machine without VFs: the driver with vf-state and netconf-cni, the
reference CNI plugins, interfaces (tests/tools/live_machine.py) and network namespaces. Only the runtime is a module of the
tests. Runs itself in namespaces of its own."""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from node import DRIVER, NODE, Node, environment, run_tests, wait_for

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
from live_machine import LiveMachine  # noqa: E402

INSIDE = "DRASRIOV_IN_NAMESPACES"
MTU = 1400


def plugins():
    """The folder of the CNI plugins, or None."""
    done = subprocess.run(["timeout", "240", TOOLS / "get-cni-plugins"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


class RealNetworkTest(unittest.TestCase):
    def setUp(self):
        if not os.environ.get(INSIDE):
            self.skipTest("NOT TESTED: it takes root, namespaces, veth, /sys/bus/pci and the program ip")
        self.plugins = plugins()
        if self.plugins is None:
            self.skipTest("NOT TESTED: tests/tools/get-cni-plugins could not get the CNI plugins from Debian's package")
        self.node = Node()
        self.addCleanup(self.node.close)
        self.machine = LiveMachine(self.node.path("live"), 4)
        self.addCleanup(self.machine.stop)
        self.machine.start()
        self.vfs = list(self.machine.names)
        modules = [{"name": "discovery-sysfs", "module": "builtin:discovery-sysfs"},
                   {"name": "vf-state", "module": "builtin:vf-state"},
                   {"name": "file-runtime", "module": environment("DRASRIOV_FILE_RUNTIME"),
                    "config": {"folder": self.node.path("proc"), "budgetSeconds": 60}},
                   {"name": "netconf-cni", "module": "builtin:netconf-cni",
                    "config": {"pluginDirs": [self.plugins], "mountNamespace": "container"}},
                   {"name": "cdi", "module": "builtin:cdi"}]
        self.node.write("config.yaml", json.dumps({
            "nodeName": NODE, "cluster": f"dir:{self.node.path('cluster')}",
            "roots": {"proc": self.node.path("proc")}, "modules": modules}))
        self.node.write("proc/runtime-up", "")
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec cat"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(holder.communicate)
        holder.stdout.readline()
        self.netns = f"/proc/{holder.pid}/ns/net"

    def network_claim(self, devices, *chained, ipam=None):
        ipam = ipam or {"type": "host-local", "dataDir": self.node.path("leases"), "ranges": [[{"subnet": "10.9.0.0/24"}]]}
        config = {"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "host-device", "ipam": ipam}, *chained]}
        self.node.write("cluster/nad.yaml", json.dumps({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": "vf-net", "namespace": "default"}, "spec": {"config": json.dumps(config)}}))
        claim = self.node.claim("net", devices, config={
            "apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", "netAttachDefName": "vf-net"})
        code, answer = self.node.prepare(claim)
        self.assertEqual(0, code, f"{answer}\n{self.node.log()}")
        return claim

    def sandbox(self, event):
        """The driver's answer to the runtime's event."""
        answer = self.node.path("proc/sandbox-answer")
        self.node.write("proc/sandbox", f"{event} uid-pod-1 {self.netns}")
        wait_for(lambda: os.path.exists(answer), f"the answer to {event}")
        text = self.node.read("proc/sandbox-answer")
        os.remove(answer)
        return text

    def in_pod(self, *command):
        return subprocess.run(["nsenter", f"--net={self.netns}", *command], check=True, capture_output=True, text=True).stdout

    def interfaces(self):
        """Those of the pod but lo: name → what `ip -j addr` says."""
        return {link["ifname"]: link for link in json.loads(self.in_pod("ip", "-j", "addr")) if link["ifname"] != "lo"}

    def leases(self):
        folder = Path(self.node.path("leases/n"))
        return sorted(f.name for f in folder.iterdir() if f.name[0].isdigit()) if folder.exists() else []

    def at_home(self):
        try:
            return self.machine.at_home()
        except AssertionError:
            return False

    def test_interfaces_go_into_the_pod_and_back(self):
        process = self.node.start()
        claim = self.network_claim(self.vfs[:2], {"type": "tuning", "mtu": MTU})
        self.assertEqual("OK", self.sandbox("run"))
        found = self.interfaces()
        self.assertEqual({"vfnet0", "vfnet1"}, set(found))
        for number, device in enumerate(self.vfs[:2]):
            name = self.machine.names[device]
            link = found[f"vfnet{number}"]
            self.assertEqual((self.machine.mac(name), MTU), (link["address"], link["mtu"]))
            self.assertNotIn(name, self.machine.links())
        self.assertEqual(["10.9.0.2", "10.9.0.3"], self.leases())
        self.assertEqual({"10.9.0.2", "10.9.0.3"}, {a["local"] for link in found.values() for a in link["addr_info"]
                                                   if a["family"] == "inet"})
        process.kill()
        process.wait()
        process = self.node.start()
        self.assertEqual("OK", self.sandbox("container"))
        self.assertEqual({"vfnet0", "vfnet1"}, set(self.interfaces()))
        self.assertEqual("OK", self.sandbox("stop"))
        self.assertEqual(({}, []), (self.interfaces(), self.leases()))
        self.assertTrue(self.machine.at_home())
        # The pod gets a new sandbox.
        self.assertEqual("OK", self.sandbox("run"))
        self.assertEqual(2, len(self.interfaces()))
        self.assertEqual(0, self.node.unprepare(claim)[0])
        self.assertTrue(self.machine.at_home(), "unprepare takes them out first")
        self.node.stop(process)

    def test_what_a_pod_changed_is_put_back(self):
        process = self.node.start()
        claim = self.network_claim(self.vfs[0])
        self.assertEqual("OK", self.sandbox("run"))
        self.in_pod("ip", "link", "set", "vfnet0", "mtu", "1300", "address", "02:66:66:66:66:66")
        self.assertEqual("OK", self.sandbox("stop"))
        self.assertTrue(self.machine.at_home())
        self.assertEqual(0, self.node.unprepare(claim)[0])
        self.node.stop(process)

    def test_a_chain_that_fails_leaves_nothing(self):
        process = self.node.start()
        claim = self.network_claim(self.vfs[0], {"type": "tuning", "sysctl": {"net.ipv4.conf.vfnet0.nonsense": "1"}})
        self.assertIn("nonsense", self.sandbox("run"))
        wait_for(self.at_home, "the interface back on the node")
        self.assertEqual([], self.leases())
        self.assertEqual(0, self.node.unprepare(claim)[0])
        self.node.stop(process)

    def test_killed_in_an_attach_or_detach_it_goes_on_from_there(self):
        for place in ("attach.intent", "attach.added", "attach.attached", "attach.marked",
                      "detach.begun", "detach.deleted", "detach.settled", "detach.done"):
            with self.subTest(place):
                process = self.node.start(faults=True, extra_environment={"DRASRIOV_CRASH_AT": place})
                claim = self.network_claim(self.vfs[0])
                if place.startswith("detach"):
                    self.assertEqual("OK", self.sandbox("run"))
                event = "stop" if place.startswith("detach") else "run"
                self.node.write("proc/sandbox", f"{event} uid-pod-1 {self.netns}")
                process.wait(60)
                process = self.node.start()
                if event == "run":
                    self.assertEqual("OK", self.sandbox("container"))
                    self.assertEqual(["vfnet0"], list(self.interfaces()))
                    self.assertEqual(1, len(self.leases()))
                self.assertEqual(0, self.node.unprepare(claim)[0])
                self.assertEqual(({}, []), (self.interfaces(), self.leases()))
                self.assertTrue(self.machine.at_home())
                self.node.stop(process)


if __name__ == "__main__":
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    possible = ("test -d /sys/bus/pci && mount -t sysfs sysfs /sys && mount --bind /proc /proc && "
                "ip link add p0 type bridge && ip link add v0 type veth peer name v1")
    if not os.environ.get(INSIDE) and subprocess.run([*namespaces, "sh", "-c", possible], capture_output=True,
                                                     check=False).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", [*namespaces, sys.executable, *sys.argv])
    run_tests()
