# SPDX-License-Identifier: Apache-2.0
"""explain, claims and module schema beside the running driver, after it was killed and when it is stopped; and that they
change nothing."""
import http.server
import json
import os
import socket
import stat
import subprocess
import threading
import unittest

from node import DRIVER, NODE, Node, environment, wait_for

VF = "0000-11-10-0"
OTHER = "0000-11-10-2"


class StatusCommandsTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def command(self, *words, code=0):
        """Standard output of a command, standard error of one that is to fail."""
        env = dict(CDI_ROOT=self.node.path("cdi"), KUBELET_REGISTRAR_DIRECTORY_PATH=self.node.path("registry"),
                   KUBELET_PLUGINS_DIRECTORY_PATH=self.node.path("plugins"))
        verb = 2 if words[0] == "module" else 1
        done = subprocess.run(
            [environment("DRASRIOV_BINARY"), *words[:verb], "--config", self.node.path("config.yaml"), "--insecure-dev",
             *words[verb:]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=120, check=False)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stderr if code else done.stdout

    def json(self, *words):
        return json.loads(self.command(*words, "-o", "json"))

    def listing(self):
        """Every file of the node with its times and content."""
        found = {}
        for folder, _, files in os.walk(self.node.root):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                info = os.lstat(path)
                found[path] = (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        return found

    def filter(self, name="by-driver", **criteria):
        self.node.write(f"cluster/filter-{name}.yaml", json.dumps({
            "apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
            "metadata": {"name": name, "namespace": "dra-sriov-driver"},
            "spec": {"configs": [{"resourceName": f"example.com/{name}", "resourceFilters": [criteria]}]}}))

    def socket_path(self):
        return os.path.join(self.node.data, "status.sock")

    def test_the_running_driver_and_its_files_tell_the_same(self):
        self.filter(pciAddresses=["0000:11:10.0"])
        process = self.node.start()
        claim = self.node.claim("one", VF)
        self.assertEqual(0, self.node.prepare(claim)[0])
        wait_for(lambda: self.json("explain", VF)["devices"][0]["namedBy"], "the filter")
        running = self.json("explain"), self.json("claims")
        for document in running:
            self.assertEqual((True, "driver"), (document["driverRunning"], document["source"]))
        process.kill()
        process.wait()
        self.assertTrue(stat.S_ISSOCK(os.lstat(self.socket_path()).st_mode), "the killed one leaves its socket")
        killed = self.json("explain"), self.json("claims")
        for document in killed:
            self.assertEqual((False, "files"), (document["driverRunning"], document["source"]))
            self.assertIn("nobody listens", document["sourceReason"])
        self.assertEqual(running[0]["devices"], killed[0]["devices"])
        for document in (running[1], killed[1]):
            for record in document["claims"]:
                record.pop("ageSeconds")
                for device in record["devices"]:
                    device.pop("driverNow")  # `claims` does not look at the machine
        self.assertEqual(running[1]["claims"], killed[1]["claims"])
        process = self.node.start()
        self.assertEqual("driver", self.json("claims")["source"], "the stale socket was replaced")
        self.node.stop(process)
        self.assertFalse(os.path.lexists(self.socket_path()))
        # The hook stays as long as a claim is left.
        self.assertEqual(["claims", "dra-driver-sriov-hook", "owner.lock"], sorted(os.listdir(self.node.data)))

    def test_explain_says_why_and_who(self):
        self.filter("first", pciAddresses=["0000:11:10.0"])
        process = self.node.start()
        self.assertEqual(0, self.node.prepare(self.node.claim("one", VF))[0])
        wait_for(lambda: all(self.json("explain", VF)["devices"][0][m] for m in ("heldBy", "namedBy")), "claim and filter")
        table = self.command("explain")
        self.assertTrue(table.startswith("DEVICE "), table)
        text = self.command("explain", "0000:11:10.0")
        self.assertIn('yes, resourceName "example.com/first"', text)
        self.assertIn("claim default/one (Prepared), UID ", text)
        text = self.command("explain", OTHER)
        self.assertIn('pciAddresses: the device has "0000:11:10.2", the filter wants "0000:11:10.0"', text)
        vfs = [f"0000-11-10-{n}" for n in (0, 2, 4, 6)]
        self.assertEqual(vfs, [d["device"] for d in self.json("explain", "eth1")["devices"]], "a PF means its VFs")
        self.node.stop(process)
        self.assertTrue(self.command("explain").startswith("The driver is not running: "))

    def test_a_filter_that_cannot_be_read_is_noted_by_the_driver_and_without_it(self):
        self.filter("good", pciAddresses=["0000:11:10.0"])
        self.filter("bad", pciAddress=["0000:11:10.0"])
        process = self.node.start()
        wait_for(lambda: self.json("explain", VF)["devices"][0]["namedBy"], "the filter")
        running = self.json("explain", VF)
        self.node.stop(process)
        for document, source in ((running, "driver"), (self.json("explain", VF), "files")):
            self.assertEqual(source, document["source"])
            self.assertEqual(1, len(document["notes"]), document["notes"])
            self.assertIn("dra-sriov-driver/bad", document["notes"][0])
            self.assertIn("pciAddress", document["notes"][0])

    def test_an_unknown_name_is_told_with_the_nearest(self):
        error = self.command("explain", "0000-11-10-00", code=1)
        self.assertIn("no device '0000-11-10-00' on this node — hint: did you mean '0000-11-10-0'", error)
        self.assertIn("no claim 'default/nosuch' on this node", self.command("claims", "default/nosuch", code=1))

    def test_filtered_devices_say_so_without_a_driver(self):
        self.node.write("config.yaml", self.node.read("config.yaml") + "advertise: filtered\n")
        self.filter("first", pciAddresses=["0000:11:10.0"])
        devices = {d["device"]: d for d in self.json("explain")["devices"]}
        self.assertTrue(devices[VF]["published"])
        self.assertEqual("dra-sriov-driver/first", devices[VF]["namedBy"]["object"])
        self.assertFalse(devices[OTHER]["published"])
        self.assertIn("pciAddresses", devices[OTHER]["attempts"][0]["reason"])

    def test_without_a_driver_the_api_server_is_asked_for_the_filters(self):
        filters = {"kind": "SriovResourceFilterList", "metadata": {"resourceVersion": "1"}, "items": [
            {"metadata": {"name": "by-label", "namespace": "dra-sriov-driver"},
             "spec": {"nodeSelector": {"nic": "fast"}, "configs": [
                 {"resourceName": "example.com/fast", "resourceFilters": [{"pciAddresses": ["0000:11:10.0"]}]}]}}]}
        answers = {f"/api/v1/nodes/{NODE}": {"metadata": {"name": NODE, "labels": {"nic": "fast"}}},
                   f"/apis/{DRIVER}/v1alpha1/namespaces/dra-sriov-driver/sriovresourcefilters": filters}

        class Api(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = answers.get(self.path.partition("?")[0])
                body = json.dumps(found or {"kind": "Status", "code": 404, "reason": "NotFound"}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            self.node.write("kubeconfig", json.dumps({
                "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}]}))
            kube = ("--cluster", "kube", "--kubeconfig", self.node.path("kubeconfig"))
            document = self.json("explain", *kube)
            devices = {d["device"]: d for d in document["devices"]}
            self.assertEqual((False, []), (document["driverRunning"], document["notes"]))
            self.assertEqual("dra-sriov-driver/by-label", devices[VF]["namedBy"]["object"])
            self.assertEqual((True, None), (devices[OTHER]["published"], devices[OTHER]["namedBy"]))
            del answers[f"/apis/{DRIVER}/v1alpha1/namespaces/dra-sriov-driver/sriovresourcefilters"]
            self.assertTrue(self.json("explain", VF, *kube)["devices"][0]["published"], "no CRD, no filters")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        device = self.json("explain", VF, *kube)["devices"][0]
        self.assertIsNone(device["published"])
        self.assertTrue(device["reason"])

    def test_a_damaged_record_is_shown_and_left_where_it_is(self):
        process = self.node.start()
        claim = self.node.claim("one", VF)
        self.assertEqual(0, self.node.prepare(claim)[0])
        self.node.stop(process)
        uid = claim.split("/")[2]
        path = os.path.join(self.node.data, "claims", uid + ".json")
        with open(path, "r+", encoding="utf-8") as file:
            text = file.read()
            at = text.index('"sha256":"') + len('"sha256":"')
            file.seek(0)
            file.write(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1:])
        before = self.listing()
        record = self.json("claims", uid)["claims"][0]
        self.assertEqual("Damaged", record["state"])
        self.assertIn(uid + ".json", record["lastError"])
        self.assertEqual(VF, record["devices"][0]["device"], "what can be read is shown")
        device = self.json("explain", VF)["devices"][0]
        self.assertEqual((False, "Quarantined"), (device["published"], device["heldBy"]["state"]))
        self.assertEqual(before, self.listing())
        process = self.node.start()
        self.assertEqual("Quarantined", self.json("claims", uid)["claims"][0]["state"])
        self.node.stop(process)

    def test_they_change_nothing(self):
        process = self.node.start()
        self.assertEqual(0, self.node.prepare(self.node.claim("one", VF))[0])
        wait_for(lambda: self.json("explain", VF)["devices"][0]["heldBy"], "the claim")
        wait_for(lambda: self.json("explain", VF)["devices"][0]["published"], "the filters")
        process.kill()
        process.wait()
        before = self.listing()
        for words in (("explain",), ("explain", VF), ("claims",), ("claims", "default/one"), ("claims", "-o", "wide"),
                      ("explain", "-o", "yaml"), ("claims", "-o", "yaml"), ("module", "schema", "builtin:cdi")):
            self.command(*words)
        self.assertEqual(before, self.listing())

    def test_they_need_no_node_at_all(self):
        # A data directory that was never made: not an error, and not made by looking.
        self.assertEqual([], self.json("claims")["claims"])
        self.assertIn("No claims.", self.command("claims"))
        self.assertFalse(os.path.exists(self.node.data))

    def test_a_reader_that_does_not_read_stops_nobody(self):
        process = self.node.start()
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.connect(self.socket_path())
            self.assertEqual("driver", self.json("claims")["source"])
            self.assertEqual(0, self.node.prepare(self.node.claim("one", VF))[0])
            self.node.stop(process)

    def test_module_schema_is_json(self):
        schema = json.loads(self.command("module", "schema", "builtin:discovery-sysfs"))
        self.assertEqual("object", schema["type"])
        claim = json.loads(self.command("module", "schema", "--claim", "builtin:cdi"))
        self.assertEqual({"parameters", "claimFields"}, set(claim))
        by_file = os.path.join(os.path.dirname(environment("DRASRIOV_BINARY")), "modules", "cdi.so")
        self.assertEqual(self.command("module", "schema", "builtin:cdi"), self.command("module", "schema", by_file))
        refused = subprocess.run([environment("DRASRIOV_BINARY"), "module", "schema", "/bin/true"],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn("/bin/true", refused.stdout)

    def test_the_node_is_named(self):
        process = self.node.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket_path())
            with client.makefile("rb") as stream:
                document = json.load(stream)
        self.assertEqual(("status.dra-driver-sriov/v1", "DriverStatus", "Serving"),
                         (document["apiVersion"], document["kind"], document["phase"]))
        self.assertEqual((NODE, process.pid), (document["driver"]["node"], document["driver"]["pid"]))
        self.assertEqual(0o600, stat.S_IMODE(os.lstat(self.socket_path()).st_mode))
        self.assertEqual(8, document["slices"]["devices"])
        self.assertIn("drasriov_devices_published 8", document["metrics"])
        self.node.stop(process)


if __name__ == "__main__":
    unittest.main(verbosity=2)
