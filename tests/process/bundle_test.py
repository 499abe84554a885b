# SPDX-License-Identifier: Apache-2.0
"""bundle: what is in the archive is what the other commands say; the driver running, stopped by a signal and down; nothing
is changed, no secret is in it, and a file is there whole or not at all."""
import hashlib
import io
import json
import os
import pty
import signal
import subprocess
import tarfile
import unittest

from node import NODE, Node, environment, wait_for

VF = "0000-11-10-0"
ROOT = "dra-driver-sriov-bundle/"
SECRET = "hunter2"


class BundleTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.node.write("proc/cmdline", f"quiet intel_iommu=on password={SECRET}\n")

    def run_command(self, *words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL):
        env = dict(CDI_ROOT=self.node.path("cdi"), KUBELET_REGISTRAR_DIRECTORY_PATH=self.node.path("registry"),
                   KUBELET_PLUGINS_DIRECTORY_PATH=self.node.path("plugins"), SECRET_TOKEN=SECRET)
        verb = 2 if words[0] == "module" else 1
        return subprocess.run(
            [environment("DRASRIOV_BINARY"), *words[:verb], "--config", self.node.path("config.yaml"), "--insecure-dev",
             *words[verb:]], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=env, timeout=120, check=False)

    def json(self, *words, codes=(0,)):
        done = self.run_command(*words)
        self.assertIn(done.returncode, codes, done.stderr)
        return json.loads(done.stdout)

    def bundle(self):
        """Files of the archive on standard output, checked against its manifest; the manifest."""
        done = self.run_command("bundle", "-")
        self.assertEqual(0, done.returncode, done.stderr)
        return self.unpack(done.stdout)

    def unpack(self, archive):
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            files = {m.name.removeprefix(ROOT): tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
            self.assertTrue(all(m.name.startswith(ROOT) and m.isfile() for m in tar.getmembers()))
        manifest = json.loads(files.pop("manifest.json"))
        self.assertEqual(1, manifest["format"])
        listed = {f["path"]: f for f in manifest["files"]}
        self.assertEqual(len(listed), len(manifest["files"]), "a name twice")
        self.assertEqual(set(files), {p for p, f in listed.items() if "error" not in f})
        for path, content in files.items():
            self.assertEqual((len(content), hashlib.sha256(content).hexdigest()),
                             (listed[path]["size"], listed[path]["sha256"]), path)
            self.assertNotIn(SECRET.encode(), content, path)
        return files, listed

    def start_and_prepare(self):
        process = self.node.start()
        self.assertEqual(0, self.node.prepare(self.node.claim("one", VF))[0])
        wait_for(lambda: self.json("explain", VF, "-o", "json")["devices"][0]["heldBy"], "the claim")
        wait_for(lambda: self.json("explain", VF, "-o", "json")["devices"][0]["published"], "the filters")
        return process

    @staticmethod
    def without_age(claims):
        for record in claims["claims"]:
            record.pop("ageSeconds")
        return claims

    def test_it_holds_what_the_other_commands_say(self):
        process = self.start_and_prepare()
        self.node.write("cdi/other.json", json.dumps({"kind": "example.com/gpu"}))
        files, listed = self.bundle()
        parsed = {p: json.loads(c) for p, c in files.items() if p.endswith(".json")}
        self.assertEqual(json.loads(self.devices()), parsed["devices.json"])
        self.assertEqual(self.json("explain", "-o", "json"), parsed["explain.json"])
        self.assertEqual(self.without_age(self.json("claims", "-o", "json")), self.without_age(parsed["claims.json"]))
        self.assertEqual(self.json("module", "list", "--json"), parsed["modules/list.json"])
        for module in ("discovery-sysfs", "cdi"):
            schema = json.loads(self.run_command("module", "schema", "builtin:" + module).stdout)
            self.assertEqual(schema, parsed[f"modules/{module}/schema.json"])
            inspected = json.loads(self.run_command("module", "inspect", "--json", "builtin:" + module).stdout)
            self.assertEqual(inspected, parsed[f"modules/{module}/inspect.json"])
            self.assertIn(f"modules/{module}/verify.json", parsed)
        now = self.json("doctor", "-o", "json", codes=(0, 4, 5))
        self.assertEqual(self.found(now), self.found(parsed["doctor.json"]))
        self.assertEqual(NODE, parsed["configuration.json"]["nodeName"])
        self.assertEqual(process.pid, parsed["status.json"]["driver"]["pid"])
        self.assertIn(b"drasriov_devices_published", files["metrics.txt"])
        self.assertEqual(b"quiet intel_iommu=on password=(redacted)\n", files["proc/cmdline"])
        self.assertEqual(1, len([p for p in files if p.startswith("claims/")]))
        self.assertEqual([p for p in sorted(os.listdir(self.node.path("cdi"))) if p != "other.json"],
                         [p.removeprefix("cdi/") for p in files if p.startswith("cdi/")])
        self.assertIn(b"== vendor\n0x8086\n", files["sys/0000:11:10.0.txt"])
        self.assertIn(b"owner.lock", files["directories.txt"])
        self.assertIn("proc/version", listed)
        self.assertTrue(listed["proc/version"]["error"])
        facts = self.node.path("facts.json")
        with open(facts, "wb") as file:
            file.write(files["facts.json"])
        again = self.json("doctor", "--facts", facts, "-o", "json", codes=(0, 4, 5))
        self.assertEqual(parsed["doctor.json"], again, "another machine judges the facts the same")
        self.node.stop(process)

    @staticmethod
    def found(report):
        return {(c["name"], f["id"], f["severity"]) for c in report["checks"] for f in c["findings"]}

    def devices(self):
        done = subprocess.run([environment("DRASRIOV_BINARY"), "devices", "--sysfs-root", self.node.path("machine/sys"),
                               "--insecure-dev", "-o", "json"], capture_output=True, timeout=120, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def test_a_driver_that_is_down_or_hangs(self):
        process = self.start_and_prepare()
        process.send_signal(signal.SIGSTOP)
        hanging, listed = self.bundle()
        self.assertIn("error", listed["status.json"])
        self.assertEqual("files", json.loads(hanging["claims.json"])["source"])
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        before = self.listing()
        down, listed = self.bundle()
        self.assertIn("nobody listens", listed["status.json"]["error"])
        self.assertEqual(before, self.listing(), "it changes nothing")
        for files in (hanging, down):
            self.assertEqual(["default/one"],
                             [f"{c['namespace']}/{c['name']}" for c in json.loads(files["claims.json"])["claims"]])

    def listing(self):
        found = {}
        for folder, _, files in os.walk(self.node.root):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                info = os.lstat(path)
                found[path] = (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        return found

    def test_a_file_is_whole_private_and_replaced(self):
        folder = self.node.path("out")
        os.mkdir(folder)
        target = os.path.join(folder, "b.tar.gz")
        with open(target, "w", encoding="utf-8") as file:
            file.write("an older one")
        done = self.run_command("bundle", target)
        self.assertEqual((0, b""), (done.returncode, done.stdout), done.stderr)
        self.assertIn(b"manifest.json says which and why", done.stderr)
        self.assertEqual(["b.tar.gz"], os.listdir(folder))
        self.assertEqual(0o600, os.stat(target).st_mode & 0o777)
        with open(target, "rb") as file:
            self.unpack(file.read())

    def test_what_is_no_file_is_refused_and_left_alone(self):
        kept = self.node.path("kept")
        self.node.write("kept", "precious")
        os.symlink(kept, self.node.path("link"))
        os.mkfifo(self.node.path("fifo"))
        for name in ("link", "fifo", "cluster"):
            before = self.listing()
            done = self.run_command("bundle", self.node.path(name))
            self.assertEqual(2, done.returncode, name)
            self.assertIn(b"is no regular file", done.stderr)
            self.assertEqual(before, self.listing())
        done = self.run_command("bundle", self.node.path("nosuch", "b.tar.gz"))
        self.assertEqual(1, done.returncode)
        self.assertIn(b"nosuch", done.stderr)
        self.assertEqual(2, self.run_command("bundle", "").returncode)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = self.run_command("bundle", "-", stdout=full)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"write the archive to standard output", done.stderr)

    def test_a_terminal_gets_no_archive(self):
        leader, follower = pty.openpty()
        try:
            done = self.run_command("bundle", stdout=follower)
        finally:
            os.close(follower)
            os.close(leader)
        self.assertEqual(2, done.returncode)
        self.assertIn("hint: give a file".encode(), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
