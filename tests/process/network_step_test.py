# SPDX-License-Identifier: Apache-2.0
"""A claim with a network step, with modules of the tests behind the real ABI as container runtime and as CNI: what has to
be true before it is prepared, and that its pod does not run without its network."""
import json
import os
import threading
import unittest

from node import DRIVER, Node, environment, wait_for

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

    def sandbox(self, node, pod_uid):
        """The runtime's answer to RunPodSandbox of a pod."""
        node.write("machine/sys/sandbox", pod_uid)
        path = node.path("machine/sys/sandbox-answer")
        wait_for(lambda: os.path.exists(path), "the answer to RunPodSandbox")
        answer = node.read("machine/sys/sandbox-answer")
        os.remove(path)
        return answer

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

    def test_a_pod_does_not_run_without_its_network(self):
        node = self.node()
        claim = self.network_claim(node)
        node.write("machine/sys/runtime-up", "")
        process = node.start()
        self.assertEqual("OK", self.sandbox(node, "uid-pod-1"), "nothing is prepared for it")
        self.assertEqual(0, node.prepare(claim)[0])
        self.assertIn("its SR-IOV interface cannot be attached", self.sandbox(node, "uid-pod-1"))
        self.assertEqual("OK", self.sandbox(node, "uid-of-another-pod"))
        node.stop(process)
        process = node.start()
        self.assertIn("its SR-IOV interface cannot be attached", self.sandbox(node, "uid-pod-1"))
        self.assertEqual(0, node.unprepare(claim)[0])
        self.assertEqual("OK", self.sandbox(node, "uid-pod-1"))
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
    unittest.main(verbosity=2)
