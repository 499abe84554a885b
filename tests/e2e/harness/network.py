# SPDX-License-Identifier: Apache-2.0
"""Pods with a network: what they need in the cluster, what their containers see, and what is left on the node."""
import json
import sys
from pathlib import Path

from harness.api import IMAGE, one_vf, vf_config
from harness.control_plane import wait_for
from harness.driver import PLUGIN_DATA

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from live_machine import LiveMachine  # noqa: E402, F401 - a folder that process tests use as well

LEASES = Path("/var/lib/cni/networks")
MARKERS = PLUGIN_DATA / "attached"
# A container tells what it has at its very start.
SCRIPT = ("ip -o link; ip -o addr; test -z \"$CHECK\" || ping -c 1 -w 20 $CHECK; echo --; "
          "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done")


class Networks:
    """NetworkAttachmentDefinitions and claim templates that use them."""

    def __init__(self, api):
        self.api, self.names = api, []

    def create(self, name, *plugins, version="1.0.0"):
        config = {"cniVersion": version, "name": name, "plugins": list(plugins)}
        self.api.custom.create_namespaced_custom_object(
            "k8s.cni.cncf.io", "v1", "default", "network-attachment-definitions",
            {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": name},
             "spec": {"config": json.dumps(config)}})
        self.names.append(name)

    def template(self, name, network, if_name=None, **devices):
        name_inside = {"ifName": if_name} if if_name else {}
        self.api.create_template(name, {**one_vf(**devices), "config": vf_config(netAttachDefName=network, **name_inside)})

    def clean(self):
        for name in self.names:
            self.api.custom.delete_namespaced_custom_object(
                "k8s.cni.cncf.io", "v1", "default", "network-attachment-definitions", name)


def host_device(subnet="10.61.0.0/24"):
    return {"type": "host-device", "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]]}}


def create_pod(api, name, *templates, restart="Never", check=""):
    """A pod with a claim of each template, named like it."""
    api.core.create_namespaced_pod("default", {
        "metadata": {"name": name},
        "spec": {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
                 "enableServiceLinks": False,
                 "resourceClaims": [{"name": t, "resourceClaimTemplateName": t} for t in templates],
                 "containers": [{"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", SCRIPT],
                                 "env": [{"name": "CHECK", "value": check}],
                                 "resources": {"claims": [{"name": t} for t in templates]}}]}})


def output(api, name):
    def printed():
        text = api.core.read_namespaced_pod_log(name, "default", _preload_content=False).data.decode()
        assert text.endswith("--\n"), f"not all of it: {text[-200:]!r}"
        return text
    return wait_for(printed, f"the output of pod {name}")


def interfaces(api, name):
    """Interface → {mac, mtu, ips}, as the pod's container saw them when it started."""
    found = {}
    for line in output(api, name).splitlines():
        words = line.split()
        if len(words) < 3 or not words[0].rstrip(":").isdigit():
            continue
        interface = found.setdefault(words[1].rstrip(":").split("@")[0], {"ips": []})
        if "link/ether" in words:
            interface["mac"] = words[words.index("link/ether") + 1]
            interface["mtu"] = int(words[words.index("mtu") + 1])
        elif words[2] == "inet":
            interface["ips"].append(words[3])
    return found


def leases():
    """Addresses that host-local has given away in networks of these tests."""
    return sorted(file.name for network in LEASES.glob("*") if network.name != "e2e"
                  for file in network.iterdir() if file.name[0].isdigit())
