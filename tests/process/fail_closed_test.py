# SPDX-License-Identifier: Apache-2.0
"""docs/fail-closed.md, a test for each row: whatever fails, the container of a claim with a network has its interface or
never started, its VF is pristine or owned, and somebody was told why. The driver is the real process with its real modules;
pod_runtime.py says what of the container runtime is real. A veth stands for the VF's netdev, which host-device moves.

--mutate=ROW leaves out that row's guard: its test must then fail. --mutations does so for every row, and passes if all fail."""
import argparse
import glob
import json
import os
import signal
import sys
import unittest

import yaml

import pod_runtime
from node import DRIVER, Node, wait_for
from pod_runtime import NetworkNamespace, Pod, Refused, Runtime

VF = "0000-11-10-0"
PLUGINS = "/usr/lib/cni"
REBOOTED = "22222222-2222-4222-8222-222222222222\n"

# What a CNI plugin may do at ADD, after host-device has moved the interface. At DEL all succeed.
BAD_PLUGINS = {
    "hangs": 'echo $$ >"${0%/*}/pid"; exec sleep 3600',
    "crashes": "kill -SEGV $$",
    "garbage": "head -c 3000 /dev/urandom",
    "floods": "head -c 10485760 /dev/zero | tr '\\0' a",
}

# Keeps what an IPAM plugin keeps: host-device asks none when the namespace is gone.
LEASES = """#!/usr/bin/python3
import json, os, sys
lease = os.path.join(os.path.dirname(__file__), "../leases", os.environ["CNI_CONTAINERID"])
network = json.load(sys.stdin)
if os.environ["CNI_COMMAND"] == "ADD":
    open(lease, "w").close()
    json.dump(network["prevResult"], sys.stdout)
elif os.environ["CNI_COMMAND"] == "DEL" and os.path.exists(lease):
    os.remove(lease)
"""

# Row → its guard, which a mutation leaves out. Names with a dot are places in the driver (host/base/fault_point.hpp).
ROWS = {
    "killed-before-sandbox": "hook",
    "killed-during-sandbox": "marker",
    "killed-after-sandbox": "record",
    "nri-socket-gone": "hook",
    "plugin-hangs": "attach.answer_by",
    "plugin-crashes": "attach.refusal",
    "plugin-garbage": "attach.refusal",
    "plugin-floods": "attach.refusal",
    "sandboxes-kept": "attach.refusal",
    "netns-deleted": "detach.identity",
    "cdi-removed": "specs.rewrite",
    "journal-unreadable": "gate.quarantine",
    "journal-cut-short": "journal.previous",
    "hook-missing": "hook",
    "runtime-restarted": "gate.reconcile",
    "node-rebooted": "record",
}
left_out = ""  # the guard that this run does without


class FailClosedTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.host = NetworkNamespace(self.node.path("host"))
        self.addCleanup(self.host.close)
        self.add_interface()
        self.node.prefix = ["nsenter", f"--net={self.host.path}"]
        self.configure()
        for name in ("cni", "leases"):
            os.mkdir(self.node.path(name))
        self.plugin("leases", LEASES)
        for name, code in BAD_PLUGINS.items():
            self.plugin(name, f'#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = ADD ] || exit 0\n{code}\n')
        self.runtime = None
        self.driver = None

    def configure(self, **of_runtime_nri):
        self.node.configure([
            ("runtime-nri", "builtin:runtime-nri", {"socket": self.node.path("run/nri.sock"), **of_runtime_nri}),
            ("netconf-cni", "builtin:netconf-cni", {"pluginDirs": [self.node.path("cni"), PLUGINS],
                                                    "mountNamespace": "container"})])

    def plugin(self, name, script):
        self.node.write(f"cni/{name}", script)
        os.chmod(self.node.path("cni", name), 0o755)

    def add_interface(self):
        """The VF's netdev, and its other end."""
        self.host.run("ip", "link", "add", "vf0", "type", "veth", "peer", "name", "wire")

    # -- the parts --------------------------------------------------------------------------------------------------

    def start_runtime(self, request_timeout="30s"):
        self.runtime = Runtime(self.node.path("run"), request_timeout)
        self.addCleanup(self.runtime.close)
        self.runtime.start()

    def start_driver(self, **more):
        """Until it knows the claims and all sandboxes of the runtime."""
        variables = {"DRASRIOV_LEAVE_OUT": left_out} if "." in left_out else {}
        self.driver = self.node.start(faults=True, extra_environment={**variables, **more})
        if self.runtime is not None:
            self.runtime.await_driver()

    def kill_driver(self):
        self.driver.kill()
        self.driver.wait()

    def claim(self, *plugins, name="net"):
        """Of a pod of its own; the VF's interface goes through host-device, then `plugins`."""
        config = {"cniVersion": "1.0.0", "name": "vf-net", "plugins": [
            {"type": "host-device", "device": "vf0"}, {"type": "leases"}, *({"type": plugin} for plugin in plugins)]}
        self.node.write("cluster/nad.yaml", json.dumps({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": "vf-net", "namespace": "default"}, "spec": {"config": json.dumps(config)}}))
        return self.node.claim(name, VF, config={"apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", "ifName": "net1",
                                                 "netAttachDefName": "vf-net"})

    def prepare(self, claim):
        """As kubelet before each start of the pod; returns the CDI ids that it gives to containers."""
        code, answer = self.node.prepare(claim)
        self.assertEqual(0, code, answer)
        devices = next(iter(answer["claims"].values()))["devices"]
        ids = [cdi_id for device in devices for cdi_id in device["cdiDeviceIDs"]]
        if left_out == "hook":
            for path in glob.glob(self.node.path("cdi", "*.json")):
                with open(path, encoding="utf-8") as file:
                    document = json.load(file)
                document.pop("containerEdits", None)
                self.node.write(os.path.relpath(path, self.node.root), json.dumps(document))
        return ids

    def new_pod(self):
        pod = Pod("pod-1", "uid-pod-1", self.node.path("netns"))
        self.addCleanup(lambda: pod.netns.close())
        return pod

    def ready(self, *plugins, **more):
        """Everything up and a claim prepared, of which nothing is attached yet."""
        self.start_runtime(**more)
        self.start_driver()
        claim = self.claim(*plugins)
        return claim, self.prepare(claim), self.new_pod()

    # -- what is asserted -------------------------------------------------------------------------------------------

    def run_container(self, pod, ids):
        """The promise: a container that runs has its interface."""
        interfaces = self.runtime.run_container(pod, ids, self.node.path("cdi"))
        self.assertIn("net1", interfaces, "a container ran without its network")

    def assert_refused(self, pod, ids, why):
        """A container does not start, and its pod's event says why."""
        with self.assertRaises(Refused) as refused:
            self.run_container(pod, ids)
        self.assertRegex(str(refused.exception), why)

    def assert_sandbox_refused(self, pod, why):
        with self.assertRaises(Refused) as refused:
            self.runtime.run_sandbox(pod)
        self.assertRegex(str(refused.exception), why)

    def runs_after_a_while(self, pod, ids):
        """Nobody does anything but kubelet, which tries the container again and again."""
        def runs():
            try:
                self.run_container(pod, ids)
            except Refused:
                return False
            return True
        wait_for(runs, "the container to start")

    def wait_for_event(self, reason, text=""):
        def told():
            for path in glob.glob(self.node.path("cluster/events/*.yaml")):
                with open(path, encoding="utf-8") as file:
                    event = yaml.safe_load(file)
                if event and event.get("reason") == reason and text in (event.get("message") or event.get("note") or ""):
                    return True
            return False
        wait_for(told, f"event {reason}: {text}")

    def leases(self):
        return os.listdir(self.node.path("leases"))

    def record(self, claim):
        return os.path.join(self.node.data, "claims", claim.split("/")[2] + ".json")

    def marker(self, claim, pod):
        return os.path.join(self.node.data, "attached", claim.split("/")[2], pod.sandbox)

    def wait_until_free(self, claim):
        """Its interface is back, its address released; the claim still owns the VF, with nothing of a sandbox."""
        wait_for(lambda: "vf0" in self.host.interfaces() and not self.leases(), "the VF back on the node")
        name = os.path.relpath(self.record(claim), self.node.root)
        wait_for(lambda: '"attachments":[{' not in self.node.read(name), "its record in order")

    def end_claim(self, claim, from_quarantine=False):
        """kubelet lets go: nothing is left."""
        code, answer = self.node.unprepare(claim)
        self.assertEqual(0, code, answer)
        self.assertEqual([], self.leases())
        self.assertEqual([], glob.glob(os.path.join(self.node.data, "claims", "*.json")))
        self.node.stop(self.driver)
        if from_quarantine:  # its CDI documents go at the next start
            self.node.stop(self.node.start(faults=True))
        self.assertEqual([], os.listdir(self.node.path("cdi")))

    # -- the rows ---------------------------------------------------------------------------------------------------

    def test_killed_before_sandbox(self):
        claim, ids, pod = self.ready()
        self.kill_driver()
        self.runtime.run_sandbox(pod)  # nobody objects
        self.assert_refused(pod, ids, "its network is not attached to sandbox")
        self.start_driver()
        self.runs_after_a_while(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)

    def test_killed_during_sandbox(self):
        for place in ("attach.intent", "attach.added", "attach.attached", "attach.marked"):
            with self.subTest(place):
                if self.runtime is not None:
                    self.doCleanups()
                    self.setUp()
                self.start_runtime()
                self.start_driver(DRASRIOV_CRASH_AT=place)
                claim = self.claim()
                ids, pod = self.prepare(claim), self.new_pod()
                self.runtime.run_sandbox(pod)  # NRI takes the loss of a plugin for consent
                self.driver.wait()
                if left_out == "marker":
                    os.makedirs(os.path.dirname(self.marker(claim, pod)), exist_ok=True)
                    with open(self.marker(claim, pod), "w", encoding="ascii"):
                        pass
                if place == "attach.marked":
                    self.run_container(pod, ids)
                else:
                    self.assert_refused(pod, ids, "its network is not attached to sandbox")
                self.start_driver()
                self.runs_after_a_while(pod, ids)
                self.runtime.stop_sandbox(pod)
                self.wait_until_free(claim)
                self.end_claim(claim)

    def test_killed_after_sandbox(self):
        claim, ids, pod = self.ready()
        self.runtime.run_sandbox(pod)
        self.kill_driver()
        self.run_container(pod, ids)
        self.run_container(pod, ids)  # one that is started again
        if left_out == "record":
            os.remove(self.record(claim))
        self.assertEqual(1, len(self.leases()))
        self.runtime.stop_sandbox(pod)  # nobody hears it; the interface goes with the namespace
        self.start_driver()
        wait_for(lambda: not self.leases(), "the address of a sandbox that went unheard", 20)
        self.end_claim(claim)

    def test_nri_socket_gone(self):
        claim, ids, pod = self.ready()
        self.runtime.end()
        late = self.claim(name="late")
        code, answer = self.node.kubelet("prepare", late, timeout=6)
        self.assertEqual(1, code, "a claim was prepared that nobody will attach")
        self.assertIn("the container runtime is not connected", str(answer))
        self.driver.send_signal(signal.SIGSTOP)
        self.runtime.start()  # as one with NRI off: nobody is connected
        self.runtime.run_sandbox(pod)
        self.assert_refused(pod, ids, "its network is not attached to sandbox")
        self.driver.send_signal(signal.SIGCONT)
        self.runtime.await_driver()
        self.runs_after_a_while(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)

    def bad_plugin(self, name, why, **more):
        claim, _, pod = self.ready(name, **more)
        self.assert_sandbox_refused(pod, why)
        self.wait_for_event("AttachFailed")
        self.wait_until_free(claim)
        self.end_claim(claim)

    def test_plugin_hangs(self):
        self.bad_plugin("hangs", "could not be attached within the container runtime's time limit", request_timeout="6s")
        pid = self.node.read("cni/pid").strip()
        self.assertFalse(os.path.exists(f"/proc/{pid}"), "the plugin still runs")

    def test_plugin_crashes(self):
        self.bad_plugin("crashes", "CNI plugin crashes: ADD: .*signal")

    def test_plugin_garbage(self):
        self.bad_plugin("garbage", "CNI plugin garbage: ADD: ")

    def test_plugin_floods(self):
        self.bad_plugin("floods", "CNI plugin floods: ADD: it wrote more than")

    def test_sandboxes_kept(self):
        self.configure(refuseAt="container")
        claim, ids, pod = self.ready("crashes")
        self.runtime.run_sandbox(pod)
        why = "CNI plugin crashes: ADD: .*signal"
        self.assert_refused(pod, ids, why)
        self.assert_refused(pod, [], why)  # one that does not reference the claim
        self.wait_for_event("AttachFailed")
        self.plugin("crashes", LEASES)
        self.runs_after_a_while(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)

    def test_netns_deleted(self):
        claim, ids, pod = self.ready()
        self.runtime.run_sandbox(pod)
        self.run_container(pod, ids)
        pod.netns.close()  # the kernel takes a veth with it, where it would send a VF home
        self.runtime.stop_sandbox(pod)
        self.add_interface()
        self.wait_until_free(claim)

        pod.new_sandbox()
        self.runtime.run_sandbox(pod)
        self.run_container(pod, ids)
        # Somebody else's, soon under the same path. Made before: the kernel uses inode numbers of namespaces again at once.
        other = NetworkNamespace(self.node.path("netns/other"))
        self.addCleanup(other.close)
        other.run("ip", "link", "add", "net1", "type", "veth", "peer", "name", "net2")
        pod.netns.close()
        self.add_interface()
        other.bind(pod.netns.path)
        self.runtime.stop_sandbox(pod)
        wait_for(lambda: not self.leases(), "its address released")
        self.assertEqual({"net1", "net2"}, other.interfaces(), "an interface of somebody else was taken")
        self.wait_until_free(claim)
        self.end_claim(claim)

    def test_cdi_removed(self):
        claim, ids, pod = self.ready()
        for path in glob.glob(self.node.path("cdi", "*")):
            os.remove(path)
        self.runtime.run_sandbox(pod)
        self.assert_refused(pod, ids, "unresolvable CDI devices")
        self.assertEqual(ids, self.prepare(claim))
        self.run_container(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)

    def test_journal_unreadable(self):
        def wrong_name(file):
            text = file.read().replace("net1", "net2")
            file.seek(0)
            file.write(text)

        self.refuses_what_a_damaged_record_holds(wrong_name)

    def test_journal_cut_short(self):
        self.refuses_what_a_damaged_record_holds(lambda file: file.truncate(0))

    def refuses_what_a_damaged_record_holds(self, damage):
        claim, ids, pod = self.ready()
        self.kill_driver()
        self.runtime.run_sandbox(pod)
        with open(self.record(claim), "r+", encoding="utf-8") as file:
            damage(file)
        self.start_driver()
        self.wait_for_event("RecordQuarantined")
        self.assert_refused(pod, ids, "the driver's record of claim default/net is damaged")
        self.runtime.stop_sandbox(pod)
        pod.new_sandbox()
        self.assert_sandbox_refused(pod, "the driver's record of claim default/net is damaged")
        other = self.claim(name="other")
        code, answer = self.node.prepare(other)
        self.assertEqual(1, code, "the device is still that of the damaged record")
        self.assertIn("default/net", str(answer))
        self.assertIn("vf0", self.host.interfaces())
        self.end_claim(claim, from_quarantine=True)

    def test_hook_missing(self):
        claim, ids, pod = self.ready()
        hook = os.path.join(self.node.data, "dra-driver-sriov-hook")
        self.kill_driver()
        os.remove(hook)
        self.runtime.run_sandbox(pod)
        self.assert_refused(pod, ids, "dra-driver-sriov-hook.*no such file")
        self.start_driver()
        self.runs_after_a_while(pod, ids)
        os.remove(hook)
        self.assertEqual(ids, self.prepare(claim))
        self.assertTrue(os.access(hook, os.X_OK), "kubelet's call did not put it back")
        self.run_container(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)
        self.assertFalse(os.path.exists(hook), "it goes when the driver ends without a claim")

    def test_runtime_restarted(self):
        claim, ids, pod = self.ready()
        self.runtime.run_sandbox(pod)
        self.runtime.end()
        self.runtime.start()
        self.runtime.await_driver()
        self.run_container(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)

        # One that starts before the driver is connected again.
        self.driver.send_signal(signal.SIGSTOP)
        self.runtime.end()
        self.runtime.start()
        pod.new_sandbox()
        self.runtime.run_sandbox(pod)
        self.assert_refused(pod, ids, "its network is not attached to sandbox")
        self.driver.send_signal(signal.SIGCONT)
        self.runtime.await_driver()
        wait_for(lambda: "net1" in pod.netns.interfaces(), "the interface in the sandbox, unasked", 30)
        self.runs_after_a_while(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)

    def test_node_rebooted(self):
        claim, ids, pod = self.ready()
        self.runtime.run_sandbox(pod)
        self.run_container(pod, ids)
        self.kill_driver()
        self.runtime.end()
        self.runtime.forget(pod)
        self.add_interface()
        for path in glob.glob(self.node.path("cdi", "*")):
            os.remove(path)
        self.node.write("proc/sys/kernel/random/boot_id", REBOOTED)
        if left_out == "record":
            os.remove(self.record(claim))
        self.runtime.start()
        self.start_driver()
        wait_for(lambda: not self.leases(), "the address of the boot before", 30)
        self.assertFalse(os.path.exists(self.marker(claim, pod)), "a marker of the boot before")
        pod.new_sandbox()
        self.assert_sandbox_refused(pod, "not prepared again since the node was rebooted")
        pod.new_sandbox()
        self.assertEqual(ids, self.prepare(claim))
        self.runtime.run_sandbox(pod)
        self.run_container(pod, ids)
        self.runtime.stop_sandbox(pod)
        self.wait_until_free(claim)
        self.end_claim(claim)


def row_test(row):
    return FailClosedTest("test_" + row.replace("-", "_"))


def fails_without(row):
    """Whether the row's test fails with its guard left out, and how."""
    global left_out
    left_out = ROWS[row]
    result = unittest.TestResult()
    row_test(row).run(result)
    left_out = ""
    broken = [text for _, text in result.errors] + [f"skipped: {why}" for _, why in result.skipped]
    if broken:
        return False, broken[0]
    if not result.failures:
        return False, f"passes without its guard ({ROWS[row]})"
    return True, result.failures[0][1].strip().splitlines()[-1]


def main():
    global left_out
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mutate", choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    arguments.add_argument("--mutations", action="store_true")
    given, rest = arguments.parse_known_args()
    if why := pod_runtime.missing():
        print("NOT TESTED:", why)
        return 77
    if given.mutate:
        left_out = ROWS[given.mutate]
        return 0 if unittest.TextTestRunner(verbosity=2).run(row_test(given.mutate)).wasSuccessful() else 1
    if not given.mutations:
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
    passed = True
    for row in ROWS:
        fails, how = fails_without(row)
        passed = passed and fails
        print(f"{row}: {'fails without ' + ROWS[row] if fails else 'NOT PROVEN'}: {how}", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    pod_runtime.in_own_mounts()
    sys.exit(main())
