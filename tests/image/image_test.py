# SPDX-License-Identifier: Apache-2.0
"""The container image as a registry and a container runtime see it, and its program in a root file system that has nothing
else. Called by ctest with the build tree."""
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = {path.parent.name for path in (ROOT / "plugins").glob("*/CMakeLists.txt")
           if "drasriov_add_module(" in path.read_text(encoding="utf-8")}
build_tree = folder = printed = image = None


def make(out, *arguments, umask=0o022, **environment):
    """Runs scripts/image; returns what it prints."""
    done = subprocess.run([ROOT / "scripts/image", "--build-tree", build_tree, *arguments, "--output", out], check=False,
                          capture_output=True, text=True, preexec_fn=lambda: os.umask(umask),
                          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment})
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


class Image:
    """The archive, read with nothing of scripts/image; each blob must have the digest by which it is called."""

    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            self.files = {entry.name: tar.extractfile(entry).read() for entry in tar}
        [described] = json.loads(self.files["index.json"])["manifests"]
        self.names = described["annotations"]
        self.platform = described["platform"]
        self.digest = described["digest"]
        self.manifest = json.loads(self.blob(described))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layers = [self.blob(layer) for layer in self.manifest["layers"]]
        self.size = sum(len(content) for name, content in self.files.items() if name.startswith("blobs/"))

    def blob(self, described):
        content = self.files["blobs/" + described["digest"].replace(":", "/")]
        assert described["size"] == len(content)
        assert described["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
        return content

    def entries(self):
        """Path → tar entry, over all layers."""
        found = {}
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                found.update((entry.name, entry) for entry in tar)
        return found

    def unpack(self, folder):
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                tar.extractall(folder)


def setUpModule():
    global folder, printed, image
    scratch = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(scratch.cleanup)
    folder = Path(scratch.name)
    printed = make(folder / "image.tar")
    image = Image(folder / "image.tar")


class ImageTest(unittest.TestCase):
    def test_two_runs_make_the_same_image(self):
        make(folder / "again.tar", umask=0o077, TZ="Asia/Tokyo", LC_ALL="C.UTF-8", PYTHONHASHSEED="7")
        self.assertEqual((folder / "again.tar").read_bytes(), (folder / "image.tar").read_bytes())

    def test_nothing_else_is_in_it(self):
        files = {name for name, entry in image.entries().items() if not entry.isdir()}
        libraries = {name for name in files if re.fullmatch(r"usr/lib(64)?/([a-z0-9_]+-linux-gnu/)?(lib[^/]*|ld-linux[^/]*)[.]so[.0-9]*", name)}
        self.assertEqual(files - libraries, {
            "usr/bin/dra-driver-sriov", "usr/bin/dra-driver-sriov-hook", "etc/ssl/certs/ca-certificates.crt", "lib", "lib64",
            *(f"usr/lib/dra-driver-sriov/modules/{module}.so" for module in MODULES)})
        self.assertLessEqual({"libc.so.6", "libstdc++.so.6", "libcurl.so.4", "libkmod.so.2"}, {Path(name).name for name in libraries})

    def test_everything_belongs_to_root_and_is_writable_by_nobody_else(self):
        for name, entry in image.entries().items():
            self.assertEqual((entry.uid, entry.gid, entry.mtime), (0, 0, 1700000000), name)
            self.assertIn(entry.mode, (0o777,) if entry.issym() else (0o755, 0o644), name)

    def test_an_upgrade_pulls_only_what_changes(self):
        with tarfile.open(fileobj=io.BytesIO(image.layers[1])) as tar:
            files = [entry.name for entry in tar if not entry.isdir()]
        self.assertTrue(all(name.startswith(("usr/bin/", "usr/lib/dra-driver-sriov/")) for name in files), files)

    def test_what_it_says_of_itself(self):
        config = image.config
        self.assertEqual(config["config"]["Entrypoint"], ["/usr/bin/dra-driver-sriov"])
        self.assertEqual(config["config"]["Cmd"], ["run"])
        self.assertEqual(config["config"]["Env"], ["PATH=/usr/bin"])
        self.assertEqual({"architecture": config["architecture"], "os": config["os"]}, image.platform)
        labels = config["config"]["Labels"]
        version = re.search(r"^  VERSION ([0-9.]+)$", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
        self.assertEqual(labels["org.opencontainers.image.version"], version)
        self.assertEqual(labels["org.opencontainers.image.created"], "2023-11-14T22:13:20Z")
        self.assertEqual(labels["org.opencontainers.image.licenses"], "Apache-2.0")
        self.assertEqual(image.manifest["annotations"], labels)
        self.assertEqual(image.names["io.containerd.image.name"], f"localhost/dra-driver-sriov:{version}")
        for unpacked, layer in zip(config["rootfs"]["diff_ids"], image.layers, strict=True):
            self.assertEqual(unpacked, "sha256:" + hashlib.sha256(gzip.decompress(layer)).hexdigest())

    def test_the_size_is_said_and_within_the_budget(self):
        self.assertIn(image.digest, printed)
        self.assertIn(f"{image.size / 2**20:.1f} MiB compressed (budget: 25 MiB)", printed)
        self.assertLess(image.size, 25 * 2**20)

    def test_another_name_and_time(self):
        make(folder / "named.tar", "--name", "registry.example:5000/net/vf:v9", SOURCE_DATE_EPOCH="1700000001")
        named = Image(folder / "named.tar")
        self.assertEqual(named.names["io.containerd.image.name"], "registry.example:5000/net/vf:v9")
        self.assertEqual(named.names["org.opencontainers.image.ref.name"], "v9")
        # That the time is taken from where the test of two runs fixes it.
        self.assertNotEqual(named.digest, image.digest)

    def test_the_files_for_the_dockerfile_are_the_same(self):
        make(folder / "unused.tar", "--rootfs", folder / "rootfs")
        self.assertFalse((folder / "unused.tar").exists())
        made = {str(path.relative_to(folder / "rootfs")) for path in (folder / "rootfs").rglob("*")
                if not path.is_relative_to(folder / "rootfs/lib") or path == folder / "rootfs/lib"}
        self.assertEqual(made, set(image.entries()))


class ProgramTest(unittest.TestCase):
    """The program where nothing but the image is."""

    @classmethod
    def setUpClass(cls):
        cls.root = folder / "root"
        cls.root.mkdir(mode=0o755)
        image.unpack(cls.root)
        with tarfile.open(ROOT / "tests/fixtures/sysfs/b-vfs-igbvf.tar.gz") as capture:
            capture.extractall(cls.root / "machine")
        # What every container runtime mounts.
        (cls.root / "proc").mkdir()
        # As root, or as root of a user namespace of its own.
        cls.inside = ["unshare", *(["--map-root-user"] if os.getuid() else []), "--mount", "sh", "-euc",
                      'mount --rbind /proc "$0/proc"; exec chroot "$0" "$@"', cls.root]
        probe = subprocess.run([*cls.inside[:-4], "true"], capture_output=True, check=False)
        if probe.returncode:
            raise unittest.SkipTest(f"no namespaces here: {probe.stderr.decode().strip()}")

    def program(self, *arguments):
        done = subprocess.run([*self.inside, "/usr/bin/dra-driver-sriov", *arguments], capture_output=True, text=True,
                              check=False, env={"NODE_NAME": "worker", "PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_version(self):
        self.assertRegex(self.program("version"), r"\b\d+\.\d+\.\d+\b")

    def test_every_module_passes_its_checks(self):
        """As the init container of the chart asks it."""
        printed = self.program("module", "verify", *(f"builtin:{module}" for module in sorted(MODULES)))
        for module in MODULES:
            self.assertIn(module, printed)

    def test_devices_of_a_captured_machine(self):
        devices = json.loads(self.program("devices", "--sysfs-root", "/machine/sys", "-o", "json"))
        self.assertEqual(len([d for d in devices["devices"] if d["kind"] == "vf"]), 8)

    def test_an_api_server_can_be_asked(self):
        (self.root / "kubeconfig").write_text(json.dumps({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}]}), encoding="utf-8")
        done = subprocess.run([*self.inside, "/usr/bin/dra-driver-sriov", "doctor", "--kubeconfig", "/kubeconfig"],
                              capture_output=True, text=True, check=False, env={"NODE_NAME": "worker", "PATH": os.environ["PATH"]})
        self.assertIn("api-unreachable (error): get nodes/worker: ", done.stdout, done.stderr)
        self.assertNotIn("libcurl:", done.stdout)

    def test_the_hook_runs(self):
        done = subprocess.run([*self.inside, "/usr/bin/dra-driver-sriov-hook"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("needs CLAIM-UID", done.stderr)


if __name__ == "__main__":
    at = sys.argv.index("--build-tree")
    build_tree = Path(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    unittest.main(verbosity=2)
