# SPDX-License-Identifier: Apache-2.0
"""The image of scripts/image and the chart on a real node, as an administrator has them: helm, kubelet, containerd and the
DaemonSet's pod, with all modules of the defaults. The node's virtual functions are those of tests/tools/live_machine.py.
The tests are one story, in the order of the file, and the first file of a run: the other files install their own objects."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

import kubernetes
import pytest
import yaml

from chart import NAMESPACE, RELEASE, Chart, Refused
from harness.api import DRIVER, Api, one_vf, or_none
from harness.control_plane import NODE, PATIENCE, wait_for
from harness.driver import CDI, PLUGIN_DATA, journal_files
from harness.network import LiveMachine, Networks, create_pod, host_device, interfaces, leases
from node import make_image

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ["DRASRIOV_E2E_STATE"])
TREE = Path(os.environ["DRASRIOV_TREE"])
PREFIX = f"{RELEASE}-dra-driver-sriov"
ONE = {"vf": {"resourceClaimTemplateName": "one-vf"}}
VENDOR, BAD = "test.local/vendor:1", "test.local/vendor:2"


class Release:
    """The chart's release on the cluster."""

    def __init__(self, plane, api, machine):
        self.plane, self.api, self.machine, self.chart = plane, api, machine, Chart(STATE)
        self.batch = kubernetes.client.BatchV1Api(api.client)
        server = urllib.parse.urlsplit(plane.server)
        self.defaults = yaml.safe_load((self.chart.folder / "values.yaml").read_text(encoding="utf-8"))["modules"]
        # Nothing here routes the cluster's service address (kube-proxy would), no card is here, and the node's CNI plugins
        # lie in a folder of their own.
        for module in self.defaults:
            if module["name"] == "netconf-cni":
                module["config"] = {"pluginDirs": [str(plane.runtime)]}
        self.values = {"kubeletPlugin": {
            "extraEnv": [{"name": "KUBERNETES_SERVICE_HOST", "value": server.hostname},
                         {"name": "KUBERNETES_SERVICE_PORT", "value": str(server.port)}],
            "extraVolumes": [{"name": "machine", "hostPath": {"path": str(machine.sys)}}],
            "extraVolumeMounts": [{"name": "machine", "mountPath": "/sys"}]},
            "logging": {"level": 4}, "modules": self.defaults, "metrics": {"enabled": True}}

    def upgrade(self, **more):
        """helm upgrade -i, hooks and all. It ends when the new pods are ready."""
        given = STATE / "chart-values.yaml"
        given.write_text(yaml.safe_dump({**self.values, **more}), encoding="utf-8")
        return self.chart.helm("upgrade", "--install", RELEASE, self.chart.folder, *self._where(), "--create-namespace",
                               "--values", given, "--wait", f"--timeout={PATIENCE * 6:.0f}s")

    def uninstall(self):
        return self.chart.helm("uninstall", RELEASE, *self._where(), "--wait", f"--timeout={PATIENCE * 2:.0f}s")

    def _where(self):
        return "--namespace", NAMESPACE, "--kubeconfig", self.plane.kubeconfig

    def kubectl(self, *arguments):
        done = subprocess.run([self.plane.testcluster, "kubectl", f"--kubeconfig={self.plane.kubeconfig}",
                               f"--cache-dir={STATE}/kubectl", "-n", NAMESPACE, *arguments], capture_output=True, text=True,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    def log(self, *what):
        # As the documentation says: kubectl asks for the containers in any order, and ends at one that has not started.
        return self.kubectl("logs", *what, "--all-containers", "--ignore-errors")[1]

    def pod(self):
        """The driver's pod, once it is the only one and ready."""
        def ready():
            pods = self.api.core.list_namespaced_pod(
                NAMESPACE, label_selector="app.kubernetes.io/component=kubeletplugin").items
            assert len(pods) == 1, [pod.metadata.name for pod in pods]
            containers = pods[0].status.container_statuses
            assert containers and all(c.ready for c in containers), pods[0].status
            return pods[0]
        return wait_for(ready, "the driver's pod")

    def claim_records(self):
        return journal_files()


@pytest.fixture(scope="module")
def machine():
    made = LiveMachine(STATE / "chart-machine", 8)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def release(plane, machine, definitions):
    api = Api(plane)
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        archive = Path(folder) / "image.tar"
        subprocess.run([sys.executable, ROOT / "scripts/image", "--build-tree", TREE, "--output", archive], check=True,
                       stdout=subprocess.DEVNULL)
        plane.import_images(archive)
        for name, fixture in ((VENDOR, "good"), (BAD, "wrong-major")):
            module = (TREE / f"tests/module/fixtures/fixture-{fixture}.so").read_bytes()
            make_image.write(plane.runtime / "busybox", archive, [name], {"usr/lib/vendor.so": module, **install_program()})
            plane.import_images(archive)
    made = Release(plane, api, machine)
    try:
        api.create_template("one-vf", one_vf())
        made.upgrade()
        yield made
    finally:
        _, text = made.kubectl("get", "pods,jobs,events", "-A")
        print(text)
        for pod in api.core.list_namespaced_pod(NAMESPACE).items:
            print(made.log(pod.metadata.name)[-3000:])
        leave_nothing(made)


def install_program():
    """This machine's `install`, which the chart copies with, and its libraries: busybox of Debian has none."""
    program = shutil.which("install")
    libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout)
    return {"bin/install" if file == program else file.lstrip("/"): Path(file).read_bytes() for file in [program, *libraries]}


def leave_nothing(release):
    """What the release leaves on purpose goes, too: other files make their own."""
    api = release.api
    api.clean_pods()
    or_none(api.resource.delete_namespaced_resource_claim_template, "one-vf", "default")
    if or_none(api.core.read_namespaced_service_account, f"{PREFIX}-service-account", NAMESPACE):
        release.uninstall()
    name = f"sriovresourcefilters.{DRIVER}"
    or_none(api.extensions.delete_custom_resource_definition, name)
    wait_for(lambda: or_none(api.extensions.read_custom_resource_definition, name) is None, "the filters' definition to go")
    or_none(api.core.delete_namespace, NAMESPACE)
    wait_for(lambda: or_none(api.core.read_namespace, NAMESPACE) is None, "the namespace to go")


def cdi_files():
    return sorted(f.name for f in CDI.glob("*.json"))


def vendor(image, delivery="initContainer"):
    return {"name": "vendor", "source": {"image": image, "path": "/usr/lib/vendor.so", "delivery": delivery}}


@pytest.fixture
def networks(release):
    made = Networks(release.api)
    made.create("plain", host_device())
    made.template("plain", "plain", "net1")
    yield made
    made.clean()
    release.api.resource.delete_namespaced_resource_claim_template("plain", "default")


def test_the_driver_is_ready_and_publishes(release):
    pod = release.pod()
    wait_for(lambda: (pool := release.api.pool()) and len(pool) == 8, "the pool")
    assert pod.spec.node_name == NODE and pod.status.container_statuses[0].restart_count == 0
    code, text = release.kubectl("exec", pod.metadata.name, "--", "dra-driver-sriov", "doctor")
    # A warning is right: the kubelet here has another program's name.
    assert "ok       kubelet" in text or "kubelet-not-running (warning)" in text, (code, text)
    assert "(error)" not in text, text


def test_prometheus_scrapes_the_pod(release, prometheus):
    """At the address and port of its container, as the chart's Service gives them."""
    pod = release.pod()
    [port] = [port.container_port for port in pod.spec.containers[0].ports if port.name == "metrics"]
    server = prometheus({"scrape_configs": [{"job_name": "pod", "static_configs": [{"targets": [f"{pod.status.pod_ip}:{port}"]}]}]})
    wait_for(lambda: server.value("up") == 1, "the scrape")
    wait_for(lambda: server.value("drasriov_devices_published") == 8, "the series")
    expected = {module["name"]: 1 for module in release.defaults}
    wait_for(lambda: {labels["module"]: up for labels, up in server.query("drasriov_module_up")} == expected, "all modules")


def test_a_network_by_way_of_the_drivers_pod(release, networks):
    """NRI's socket, the namespace of the sandbox and the node's CNI plugins, all from inside the DaemonSet's container."""
    api, machine = release.api, release.machine
    create_pod(api, "web", "plain")
    api.running("web")
    [device] = api.claim_of("web", "plain").status.allocation.devices.results
    name = machine.names[device.device]
    assert interfaces(api, "web")["net1"]["mac"] == machine.mac(name)
    assert name not in machine.links()
    api.delete_pod("web")
    wait_for(lambda: machine.at_home() and not leases(), "interface and address to come back")
    wait_for(lambda: not release.claim_records() and not cdi_files(), "the unprepare")


def test_an_upgrade_keeps_pods_and_claims(release, networks):
    """Those with a network, too: it stays in the pod, and the new driver takes it back. From the profile that an earlier chart had
    as its default: the new container is not privileged any more."""
    api = release.api
    release.upgrade(kubeletPlugin={**release.values["kubeletPlugin"], "securityProfile": "privileged"})
    create_pod(api, "web", "plain")
    api.create_pod("before", ONE)
    web, before, old = api.running("web"), api.running("before"), release.pod()
    [device] = api.claim_of("web", "plain").status.allocation.devices.results
    inside = release.plane.in_sandbox(web.metadata.uid, "ip", "-o", "link", "show", "net1")
    records, devices = release.claim_records(), cdi_files()
    assert len(records) == 2 and old.spec.containers[0].security_context.privileged
    release.upgrade(driver={"advertise": "all", "kubeApiQps": 6}, logging={"level": 5})
    new = release.pod()
    assert new.metadata.uid != old.metadata.uid and not new.spec.containers[0].security_context.privileged
    for pod in (web, before):
        after = api.running(pod.metadata.name)
        assert after.metadata.uid == pod.metadata.uid
        assert [c.restart_count for c in after.status.container_statuses] == [0]
    assert release.claim_records() == records
    assert cdi_files() == devices
    # The same interface: one that was detached and attached again has another index.
    assert release.plane.in_sandbox(web.metadata.uid, "ip", "-o", "link", "show", "net1") == inside
    assert release.machine.names[device.device] not in release.machine.links()
    api.create_pod("after", ONE)
    api.running("after")
    for name in ("web", "before", "after"):
        api.delete_pod(name)
    wait_for(lambda: not release.claim_records() and not cdi_files(), "the unprepares")
    wait_for(lambda: release.machine.at_home() and not leases(), "interface and address to come back")


def test_a_bad_module_stops_the_upgrade(release):
    """The Job says why, and the driver goes on as it was."""
    old = release.pod()
    with pytest.raises(Refused, match="pre-upgrade"):
        release.upgrade(modules=[*release.defaults, vendor(BAD)], allowModuleImagesWithoutDigest=True)
    text = release.log(f"job/{PREFIX}-verify")
    assert "it was built for module ABI 2.0, this host has 1.0" in text
    pod = release.pod()
    assert pod.metadata.uid == old.metadata.uid and pod.status.container_statuses[0].restart_count == 0
    release.api.create_pod("still", ONE)
    release.api.running("still")
    release.api.delete_pod("still")


def test_a_module_from_another_image(release):
    old = release.pod()
    release.upgrade(modules=[*release.defaults, vendor(VENDOR)], allowModuleImagesWithoutDigest=True)
    pod = release.pod()
    assert pod.metadata.uid != old.metadata.uid
    code, text = release.kubectl("exec", pod.metadata.name, "--", "dra-driver-sriov", "module", "list")
    assert code == 0 and "/opt/dra-driver-sriov/modules/vendor/vendor.so" in text, text
    assert or_none(release.batch.read_namespaced_job, f"{PREFIX}-verify", NAMESPACE) is None, "the failed Job is kept"
    release.api.create_pod("more", ONE)
    release.api.running("more")
    release.api.delete_pod("more")


def test_a_module_from_an_image_volume(release, kubernetes_minor):
    if kubernetes_minor < (1, 36):
        pytest.skip("the chart counts on image volumes from 1.36 on")
    release.upgrade(modules=[*release.defaults, vendor(VENDOR, "imageVolume")], allowModuleImagesWithoutDigest=True)
    pod = release.pod()
    assert [volume.image.reference for volume in pod.spec.volumes if volume.image] == [VENDOR]
    code, text = release.kubectl("exec", pod.metadata.name, "--", "dra-driver-sriov", "module", "list")
    assert code == 0 and "vendor.so" in text, text
    release.api.create_pod("volume", ONE)
    release.api.running("volume")
    release.api.delete_pod("volume")


def test_without_privileges(release):
    """The profile `minimal`, with modules that need no more than NET_ADMIN."""
    chosen = [module for module in release.defaults if module["name"] in ("discovery-sysfs", "cdi")]
    release.upgrade(modules=chosen, kubeletPlugin={**release.values["kubeletPlugin"], "securityProfile": "minimal"})
    pod = release.pod()
    context = pod.spec.containers[0].security_context
    assert not context.privileged and context.capabilities.add == ["NET_ADMIN"]
    wait_for(lambda: (pool := release.api.pool()) and len(pool) == 8, "the pool")
    release.api.create_pod("plain", ONE)
    release.api.running("plain")
    release.api.delete_pod("plain")
    wait_for(lambda: not release.claim_records() and not cdi_files(), "the unprepare")


def test_uninstall_leaves_the_hook_while_claims_live(release):
    """A pod with a claim runs on without the driver; when the driver is back, its claim ends as ever."""
    api = release.api
    api.create_pod("stays", ONE)
    stays = api.running("stays")
    release.uninstall()
    wait_for(lambda: not api.core.list_namespaced_pod(NAMESPACE).items, "the pods of the release to go")
    assert api.running("stays").metadata.uid == stays.metadata.uid
    assert "dra-driver-sriov-hook" in left_behind() and len(release.claim_records()) == 1
    release.upgrade()
    release.pod()
    api.delete_pod("stays")
    wait_for(lambda: not release.claim_records() and not cdi_files(), "the unprepare")
    release.uninstall()
    wait_for(lambda: not api.core.list_namespaced_pod(NAMESPACE).items, "the pods of the release to go")
    assert left_behind() == ["owner.lock"]
    assert not list(Path("/var/lib/kubelet/plugins_registry").glob("*"))


def left_behind():
    """Files in the driver's data directory."""
    return sorted(str(f.relative_to(PLUGIN_DATA)) for f in PLUGIN_DATA.rglob("*") if not f.is_dir())
