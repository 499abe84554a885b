# SPDX-License-Identifier: Apache-2.0
"""A claim with a network step, with modules of the tests behind the real ABI as container runtime and as CNI: what has to
be true before it is prepared, and that its pod does not run without its network."""
import json
import os
import subprocess
import threading
import unittest

from node import DRIVER, Node, environment, run_tests, wait_for

VF = "0000-11-10-0"


class NetworkStepTest(unittest.TestCase):
    modules = [("file-runtime", environment("DRASRIOV_FILE_RUNTIME")),
               ("checking-netconf", environment("DRASRIOV_CHECKING_NETCONF"))]

    def node(self, modules=None):
        node = Node(modules=self.modules if modules is None else modules)
        self.addCleanup(node.close)
        return node

    def network_claim(self, node, name="net", plugin="sriov", definition=True, **more):
        if definition:
            config = json.dumps({"cniVersion": "1.0.0", "name": "n", "type": plugin}, separators=(",", ":"))
            node.write("cluster/nad.yaml", json.dumps({
                "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                "metadata": {"name": "vf-net", "namespace": "default"}, "spec": {"config": config}}))
        return node.claim(name, VF, config={"apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", "ifName": "net1",
                                            "netAttachDefName": "vf-net", **more})

    def error_of(self, node, claim):
        code, answer = node.prepare(claim)
        self.assertEqual(1, code, answer)
        return next(iter(answer["claims"].values()))["error"]

    def network_namespace(self):
        """The path of a namespace of its own that lives until the test ends."""
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec cat"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(holder.communicate)
        if holder.stdout.readline() != "up\n":
            self.skipTest("NOT TESTED: no permission for a network namespace (needs root)")
        return f"/proc/{holder.pid}/ns/net"

    def sandbox(self, node, event, pod_uid, netns):
        """The driver's answer to the runtime's event (run, container, stop)."""
        node.write("machine/sys/sandbox~", f"{event} {pod_uid} {netns}")
        os.rename(node.path("machine/sys/sandbox~"), node.path("machine/sys/sandbox"))
        path = node.path("machine/sys/sandbox-answer")
        wait_for(lambda: os.path.exists(path), f"the answer to {event}")
        answer = node.read("machine/sys/sandbox-answer")
        os.remove(path)
        return answer

    def attached(self, node):
        """Device name to sandbox and interface."""
        folder = node.path("machine/sys/attached")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return {name: node.read(f"machine/sys/attached/{name}") for name in names}

    def test_prepare_waits_until_the_runtime_is_synchronised(self):
        node = self.node()
        claim = self.network_claim(node)
        process = node.start()
        results = []
        thread = threading.Thread(target=lambda: results.append(node.prepare(claim)))
        thread.start()
        thread.join(0.5)
        self.assertTrue(thread.is_alive(), f"prepared without a runtime: {results}")
        self.assertEqual([], os.listdir(node.path("cdi")), "something was written before the runtime was there")
        node.write("machine/sys/runtime-up", "")
        thread.join(60)
        code, answer = results[0]
        self.assertEqual(0, code, answer)
        node.stop(process)

    def test_a_pod_runs_with_its_network_or_not_at_all(self):
        node = self.node()
        claim = self.network_claim(node)
        netns = self.network_namespace()
        node.write("machine/sys/runtime-up", "")
        process = node.start()
        self.assertEqual("OK", self.sandbox(node, "run", "uid-pod-1", netns), "nothing is prepared for it")
        self.assertEqual({}, self.attached(node))
        self.assertEqual(0, node.prepare(claim)[0])
        self.assertIn("remove hostNetwork", self.sandbox(node, "run", "uid-pod-1", "host"))
        self.assertIn("is the host's own", self.sandbox(node, "run", "uid-pod-1", "/proc/self/ns/net"))
        self.assertIn("No such file", self.sandbox(node, "run", "uid-pod-1", "/var/run/netns/gone"))
        self.assertEqual("OK", self.sandbox(node, "run", "uid-pod-1", netns))
        self.assertEqual({VF: "sandbox-1 net1"}, self.attached(node))
        marker = os.path.join(node.data, "attached", claim.split("/")[2], "sandbox-1")
        self.assertTrue(os.path.exists(marker))
        self.assertEqual("OK", self.sandbox(node, "run", "uid-of-another-pod", "host"))
        process.kill()
        process.wait()
        process = node.start()
        self.assertEqual("OK", self.sandbox(node, "container", "uid-pod-1", netns))
        self.assertEqual("OK", self.sandbox(node, "stop", "uid-pod-1", netns))
        self.assertEqual(({}, False), (self.attached(node), os.path.exists(marker)))
        self.assertEqual("OK", self.sandbox(node, "run", "uid-pod-1", netns), "its sandbox was made anew")
        self.assertEqual(0, node.unprepare(claim)[0])
        self.assertEqual({}, self.attached(node), "unprepare takes it out of the sandbox first")
        self.assertEqual("OK", self.sandbox(node, "run", "uid-pod-1", netns))
        node.stop(process)

    def test_a_kill_after_the_attach_takes_no_interface_from_a_container(self):
        for place in ("attach.attached", "attach.marked"):
            with self.subTest(place):
                node = self.node()
                claim = self.network_claim(node)
                netns = self.network_namespace()
                node.write("machine/sys/runtime-up", "")
                process = node.start(faults=True, extra_environment={"DRASRIOV_CRASH_AT": place})
                self.assertEqual(0, node.prepare(claim)[0])
                node.write("machine/sys/sandbox", f"run uid-pod-1 {netns}")
                process.wait(60)
                [entry] = os.scandir(node.path("machine/sys/attached"))
                before = entry.stat().st_mtime_ns
                process = node.start()
                self.assertEqual("OK", self.sandbox(node, "container", "uid-pod-1", netns))
                [entry] = os.scandir(node.path("machine/sys/attached"))
                self.assertEqual(before, entry.stat().st_mtime_ns, "it was taken out of the sandbox and put in again")
                marker = os.path.join(node.data, "attached", claim.split("/")[2], "sandbox-1")
                self.assertTrue(os.path.exists(marker))
                node.stop(process)

    def test_what_a_failing_plugin_began_is_taken_back(self):
        node = self.node()
        claim = self.network_claim(node, plugin="failing")
        netns = self.network_namespace()
        node.write("machine/sys/runtime-up", "")
        process = node.start()
        self.assertEqual(0, node.prepare(claim)[0])
        self.assertIn("CNI plugin failing: code 11", self.sandbox(node, "run", "uid-pod-1", netns))
        wait_for(lambda: self.attached(node) == {}, "the device back out of the sandbox")
        self.assertEqual(0, node.unprepare(claim)[0])
        node.stop(process)

    def test_what_netconf_refuses_is_refused_at_prepare(self):
        node = self.node()
        claim = self.network_claim(node, plugin="missing")
        node.write("machine/sys/runtime-up", "")
        process = node.start()
        before = node.state()
        error = self.error_of(node, claim)
        self.assertIn("CNI plugin missing is not installed", error)
        self.assertIn("hint: put it into /opt/cni/bin", error)
        self.assertEqual(before, node.state())
        node.stop(process)

    def test_a_definition_that_is_not_there(self):
        node = self.node()
        claim = self.network_claim(node, definition=False)
        node.write("machine/sys/runtime-up", "")
        process = node.start()
        before = node.state()
        self.assertIn("default/vf-net", self.error_of(node, claim))
        self.assertEqual(before, node.state())
        node.stop(process)

    def test_another_namespace_needs_permission(self):
        node = self.node()
        claim = self.network_claim(node, netAttachDefNamespace="kube-system")
        node.write("machine/sys/runtime-up", "")
        process = node.start()
        self.assertIn("netAttachDefNamespaces", self.error_of(node, claim))
        node.stop(process)

    def test_without_modules_for_it_the_claim_is_refused(self):
        node = self.node(modules=[])
        claim = self.network_claim(node)
        process = node.start()
        error = self.error_of(node, claim)
        self.assertRegex(error, "netconf/1|runtime-hooks/1")
        node.stop(process)


if __name__ == "__main__":
    run_tests()
