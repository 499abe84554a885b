# SPDX-License-Identifier: Apache-2.0
"""Claims with a network: the VF's interface is in the pod before its first container starts, or no container of it runs.
Real kubelet, containerd with NRI, and the reference CNI plugins; the VFs' interfaces are veths (tests/tools/live_machine.py)."""
import json
import re
import socket
import time

import pytest

from conftest import LONG
from harness.api import IMAGE
from harness.control_plane import wait_for
from harness.driver import PLUGIN_DATA
from harness.network import SCRIPT, Networks, create_pod, host_device, interfaces, leases, output

ATTACH = ("attach.intent", "attach.added", "attach.marked", "attach.attached")
DETACH = ("detach.begun", "detach.deleted", "detach.settled", "detach.done")
CROWD = 64 if LONG else 24


# -- the node -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def networks(api, definitions):
    networks = Networks(api)
    networks.create("plain", host_device())
    networks.template("plain", "plain", "net1")
    yield networks
    networks.clean()


@pytest.fixture
def node(api, made, machine):
    made.start()
    wait_for(lambda: len(api.pool() or {}) == machine.count, "the pool")
    return made


# -- pods -----------------------------------------------------------------------------------------------------------------


def check_status(api, pod, claim, networks):
    """What the claim's status says of its devices is what the container saw; returns the devices."""
    seen = interfaces(api, pod)

    def reported():
        status = api.claim_of(pod, claim).status
        assert len(status.devices or []) == len(networks)
        for device in status.devices:
            data = device.network_data
            assert data is not None, "no networkData"
            assert data.interface_name in networks
            assert seen[data.interface_name]["mac"] == data.hardware_address
            assert sorted(seen[data.interface_name]["ips"]) == sorted(data.ips)
        assert {d.network_data.interface_name for d in status.devices} == set(networks)
        return {d.network_data.interface_name: d.device for d in status.devices}
    return wait_for(reported, f"the status of claim {claim} of {pod}")


def events_of(api, name):
    return [e.message for e in api.core.list_namespaced_event("default").items if e.involved_object.name == name]


def never_ran(api, name):
    """That no container of the pod has ever been started."""
    for status in api.pod(name).status.container_statuses or []:
        assert status.restart_count == 0 and status.state.running is None and status.last_state.terminated is None, status
    return True


# -- a pod with its network -----------------------------------------------------------------------------------------------


def test_an_interface_in_the_pod(api, node, machine, networks):
    create_pod(api, "web", "plain")
    api.running("web")
    [device] = check_status(api, "web", "plain", ["net1"]).values()
    name = machine.names[device]
    seen = interfaces(api, "web")
    assert (seen["net1"]["mac"], seen["net1"]["mtu"]) == (machine.mac(name), 1500)
    assert seen["net1"]["ips"] == [f"{leases()[0]}/24"]
    assert "eth0" in seen, "the cluster's own network"
    assert name not in machine.links()
    api.delete_pod("web")
    wait_for(lambda: name in machine.links() and not leases(), "interface and address to come back")
    assert "detached" in node.log()


def test_pods_reach_each_other(api, node, networks):
    create_pod(api, "server", "plain")
    api.running("server")
    [address] = interfaces(api, "server")["net1"]["ips"]
    create_pod(api, "client", "plain", check=address.split("/")[0])
    assert "1 packets received" in output(api, "client")


def test_two_devices_of_one_request(api, node, machine, networks):
    networks.template("pair", "plain", count=2)
    create_pod(api, "pair", "pair")
    api.running("pair")
    devices = check_status(api, "pair", "pair", ["vfnet0", "vfnet1"])
    seen = interfaces(api, "pair")
    for interface, device in devices.items():
        assert seen[interface]["mac"] == machine.mac(machine.names[device])
    assert len(set(devices.values())) == 2 and len(leases()) == 2


def test_two_claims_of_one_pod(api, node, networks):
    networks.create("other", host_device("10.62.0.0/24"))
    networks.template("other", "other", "net2")
    create_pod(api, "both", "plain", "other")
    api.running("both")
    first = check_status(api, "both", "plain", ["net1"])
    second = check_status(api, "both", "other", ["net2"])
    assert set(first.values()).isdisjoint(second.values())
    assert interfaces(api, "both")["net2"]["ips"][0].startswith("10.62.0.")


def test_chained_plugins(api, node, machine, networks):
    networks.create("tuned", host_device(), {"type": "tuning", "mtu": 1400, "mac": "02:00:00:00:77:01"})
    networks.template("tuned", "tuned", "net1")
    create_pod(api, "tuned", "tuned")
    api.running("tuned")
    [device] = check_status(api, "tuned", "tuned", ["net1"]).values()
    assert (interfaces(api, "tuned")["net1"]["mac"], interfaces(api, "tuned")["net1"]["mtu"]) == ("02:00:00:00:77:01", 1400)
    api.delete_pod("tuned")
    wait_for(machine.at_home, f"{machine.names[device]} with its own address and MTU")


def test_what_a_pod_changes_is_put_back(api, node, machine, networks):
    """Behind the CNI plugin's back: vf-state knows how the interface was."""
    create_pod(api, "rude", "plain")
    pod = api.running("rude")
    node.plane.in_sandbox(pod.metadata.uid, "ip", "link", "set", "net1", "mtu", "1300", "address", "02:66:66:66:66:66")
    api.delete_pod("rude")
    wait_for(machine.at_home, "the interface as it was")


def test_an_interface_beside_the_device(api, node, machine, networks):
    """macvlan moves nothing: the pod gets a new interface on the PF's."""
    networks.create("above", {"type": "macvlan", "master": machine.pf, "ipam": {
        "type": "static", "addresses": [{"address": "10.63.0.5/24"}, {"address": "fd00:63::5/64"}]}})
    networks.template("above", "above", "net1")
    create_pod(api, "above", "above")
    api.running("above")
    wait_for(lambda: (d := api.claim_of("above", "above").status.devices) and d[0].network_data
             and d[0].network_data.ips == ["10.63.0.5/24", "fd00:63::5/64"], "both addresses in the status")
    assert interfaces(api, "above")["net1"]["ips"] == ["10.63.0.5/24"]
    assert machine.at_home()


def test_a_sandbox_made_anew(api, node, plane, networks):
    create_pod(api, "reborn", "plain", restart="Always")
    pod = api.running("reborn")
    check_status(api, "reborn", "plain", ["net1"])
    plane.kill_sandbox(pod.metadata.uid)

    def again():
        assert api.running("reborn").status.container_statuses[0].restart_count >= 1
        return True
    wait_for(again, "the second sandbox's container")
    check_status(api, "reborn", "plain", ["net1"])
    assert len(leases()) == 1


# -- no network, no pod ---------------------------------------------------------------------------------------------------


def releasing_plugin(node):
    """host-device, but that it frees the address without a namespace as well, as sriov-cni does and host-device does not."""
    path = node.folder / "cni/releasing"
    path.write_text(f"""#!/bin/sh
test "$CNI_COMMAND" != DEL || test -n "$CNI_NETNS" || exec {node.plane.runtime}/host-local
exec {node.plane.runtime}/host-device
""", encoding="utf-8")
    path.chmod(0o755)
    return {**host_device("10.65.0.0/24"), "type": "releasing"}


def plugin(node, name, on_add):
    """A CNI plugin that is host-device but for its ADD."""
    path = node.folder / "cni" / name
    text = f"""#!/bin/sh
if [ "$CNI_COMMAND" = ADD ]; then
{on_add}
fi
exec {node.plane.runtime}/host-device
"""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o755)
    new.rename(path)


def refused(api, name, claim, words, claim_words=None):
    """The pod waits, and events of pod and claim say why. They differ where the answer had to be given before the reason
    was known."""
    claim_words = claim_words or words
    wait_for(lambda: [e for e in events_of(api, name) if words in e], f"kubelet's event with '{words}'")
    found = api.claim_of(name, claim).metadata.name
    wait_for(lambda: [e for e in api.events_of("ResourceClaim", found) if claim_words in e.note],
             f"the claim's event with '{claim_words}'")
    assert never_ran(api, name)


@pytest.mark.parametrize("on_add,words,claim_words", [
    ("""echo '{"cniVersion":"1.0.0","code":7,"msg":"I do not like this VLAN"}'; exit 1""", "I do not like this VLAN", None),
    ("kill -SEGV $$", "signal 11", None),
    ("echo garbage; exit 0", "no JSON", None),
    ("head -c 10000000 /dev/zero; exit 0", "more than 4194304 bytes", None),
    ("sleep 1000", "within the container runtime's time limit", "did not end in time and was killed"),
], ids=("refuses", "crashes", "garbage", "endless", "hangs"))
def test_a_plugin_that_fails(api, node, plane, networks, on_add, words, claim_words):
    plugin(node, "grumpy", on_add)
    networks.create("bad", {**host_device(), "type": "grumpy"})
    networks.template("bad", "bad", "net1")
    create_pod(api, "bad", "bad")
    refused(api, "bad", "bad", words, claim_words)
    # Mended, the same pod starts.
    plugin(node, "grumpy", ":")
    uid = api.running("bad").metadata.uid
    assert len(plane.sandboxes(uid)) == 1, "refused sandboxes are left, with which containerd does not start again"
    check_status(api, "bad", "bad", ["net1"])


def test_the_second_plugin_of_a_chain_fails(api, node, machine, networks):
    """The first has moved the interface by then."""
    networks.create("half", host_device(), {"type": "tuning", "sysctl": {"net.ipv4.conf.net1.nonsense": "1"}})
    networks.template("half", "half", "net1")
    create_pod(api, "half", "half")
    refused(api, "half", "half", "nonsense")
    api.delete_pod("half")
    wait_for(lambda: machine.at_home() and not leases(), "the interface to come back")


def test_no_address_is_left(api, node, networks):
    networks.create("small", host_device("10.64.0.0/30"))
    networks.template("small", "small", "net1")
    create_pod(api, "first", "small")
    api.running("first")
    create_pod(api, "second", "small")
    refused(api, "second", "small", "no IP addresses available")
    api.delete_pod("first")
    api.running("second")
    check_status(api, "second", "small", ["net1"])


def test_a_definition_or_plugin_that_is_not_there(api, node, networks):
    networks.template("nowhere", "nowhere", "net1")
    create_pod(api, "nowhere", "nowhere")
    wait_for(lambda: [e for e in events_of(api, "nowhere") if "nowhere" in e and "NetworkAttachmentDefinition" in e],
             "kubelet's event")
    networks.create("nowhere", {"type": "not-installed"})
    wait_for(lambda: [e for e in events_of(api, "nowhere") if "CNI plugin not-installed is in none of" in e], "the next event", 180)
    assert never_ran(api, "nowhere") and node.claim_records() == []


def test_a_pod_of_the_hosts_network(api, node, networks):
    api.core.create_namespaced_pod("default", {
        "metadata": {"name": "host"},
        "spec": {"hostNetwork": True, "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                 "resourceClaims": [{"name": "plain", "resourceClaimTemplateName": "plain"}],
                 "containers": [{"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", SCRIPT],
                                 "resources": {"claims": [{"name": "plain"}]}}]}})
    wait_for(lambda: [e for e in events_of(api, "host") if "remove hostNetwork" in e], "an event that says what to do")
    assert never_ran(api, "host")


# -- somebody is away -----------------------------------------------------------------------------------------------------


def gone(api, machine, name):
    """Whether a pod is gone whose namespace may end before the driver has heard of it."""
    machine.bring_back()
    return api.pod(name) is None


def works(api, machine, name="after"):
    create_pod(api, name, "plain")
    api.running(name)
    check_status(api, name, "plain", ["net1"])
    api.delete_pod(name)


def test_the_driver_is_away_while_the_sandbox_starts(api, node, plane, networks):
    """Prepared before, killed before the runtime starts the sandbox, back some time after: the pod waits and then runs."""
    wait_for(lambda: "following the container runtime" in node.log(), "the driver to follow the runtime")
    with plane.frozen_containerd():
        create_pod(api, "patient", "plain", restart="Always")
        wait_for(node.claim_records, "the prepare")
        wait_for(lambda: "claim prepared" in node.log(), "its end")
        time.sleep(1)  # kubelet asks the runtime for the sandbox
        node.kill()
    wait_for(lambda: [e for e in events_of(api, "patient") if "attached" in e], "the event that a container was refused")
    node.start()
    wait_for(lambda: api.running("patient"), "the pod", 300)
    check_status(api, "patient", "plain", ["net1"])
    uid = api.pod("patient").metadata.uid
    assert len(plane.sandboxes(uid)) == 1, "the first sandbox is the one that runs"


@pytest.mark.parametrize("place", ATTACH)
def test_the_driver_is_killed_in_an_attach(api, made, machine, networks, place):
    made.start(faults=True, DRASRIOV_CRASH_AT=place)
    wait_for(lambda: len(api.pool() or {}) == machine.count, "the pool")
    create_pod(api, "struck", "plain", restart="Always")
    wait_for(lambda: not made.alive(), f"the driver to die at {place}")
    made.start()
    wait_for(lambda: api.running("struck"), "the pod", 300)
    check_status(api, "struck", "plain", ["net1"])
    assert len(leases()) == 1


@pytest.mark.parametrize("place", DETACH)
def test_the_driver_is_killed_in_a_detach(api, made, machine, networks, place):
    made.start(faults=True, DRASRIOV_CRASH_AT=place)
    wait_for(lambda: len(api.pool() or {}) == machine.count, "the pool")
    networks.create("releasing", releasing_plugin(made))
    networks.template("releasing", "releasing", "net1")
    create_pod(api, "struck", "releasing")
    api.running("struck")
    api.core.delete_namespaced_pod("struck", "default")
    wait_for(lambda: not made.alive(), f"the driver to die at {place}")
    made.start()
    wait_for(lambda: gone(api, machine, "struck"), "the end of the pod")
    works(api, machine)


def test_the_driver_is_killed_while_a_pod_runs(api, node, machine, networks):
    create_pod(api, "kept", "plain")
    api.running("kept")
    node.kill()
    node.start()
    check_status(api, "kept", "plain", ["net1"])
    works(api, machine)
    assert api.pod("kept").status.container_statuses[0].restart_count == 0
    api.delete_pod("kept")
    wait_for(lambda: machine.at_home() and not leases(), "the interface to come back")


def test_the_runtime_is_restarted(api, node, plane, machine, networks):
    """containerd does not tell NRI of the stop of a sandbox that is older than itself: the unprepare takes the device out."""
    networks.create("releasing", releasing_plugin(node))
    networks.template("releasing", "releasing", "net1")
    create_pod(api, "kept", "releasing")
    api.running("kept")
    followed = node.log().count("following the container runtime")
    plane.restart_containerd()
    wait_for(lambda: node.log().count("following the container runtime") > followed, "the driver to follow the runtime again")
    works(api, machine)
    check_status(api, "kept", "releasing", ["net1"])
    assert api.pod("kept").status.container_statuses[0].restart_count == 0
    api.core.delete_namespaced_pod("kept", "default")
    wait_for(lambda: gone(api, machine, "kept"), "the end of the pod")
    wait_for(lambda: machine.at_home() and not leases(), "the interface to come back")


# -- many at once ---------------------------------------------------------------------------------------------------------


def crowd(api, kinds):
    """Makes CROWD pods at once; kinds: name → templates of its claims, in turns. Returns for each kind the names and the
    seconds to its middle and last ready pod."""
    pods = {f"{list(kinds)[i % len(kinds)]}-{i}": list(kinds.values())[i % len(kinds)] for i in range(CROWD)}
    began = time.monotonic()
    for name, templates in pods.items():
        create_pod(api, name, *templates)
    ready = {}

    def all_ready():
        for pod in api.core.list_namespaced_pod("default").items:
            conditions = {c.type: c.status for c in pod.status.conditions or []}
            if pod.metadata.name in pods and conditions.get("Ready") == "True":
                ready.setdefault(pod.metadata.name, time.monotonic() - began)
        assert len(ready) == CROWD, f"{len(ready)} of {CROWD}"
        return True
    wait_for(all_ready, "all pods", 600, 0.25)

    def told(kind):
        names = [name for name in pods if name.startswith(f"{kind}-")]
        took = sorted(ready[name] for name in names)
        return names, took[len(took) // 2], took[-1]
    return {kind: told(kind) for kind in kinds}


def add_seconds(node):
    """What the plugins' ADDs have taken, by the driver's metrics."""
    with socket.socket(socket.AF_UNIX) as status:
        status.connect(str(PLUGIN_DATA / "status.sock"))
        text = json.loads(b"".join(iter(lambda: status.recv(65536), b"")))["metrics"]
    return sum(float(value) for value in re.findall(r'cni_seconds_sum\{[^}]*command="ADD"[^}]*\} (\S+)', text))


@pytest.mark.parametrize("count", [1, 8])
def test_an_attach_takes_little_beside_its_plugins(api, node, networks, figures, count):
    networks.template("some", "plain", count=count)
    took, plugins = [], []
    for number in range(5):
        before = add_seconds(node)
        create_pod(api, f"some-{number}", "some")
        api.running(f"some-{number}")
        check_status(api, f"some-{number}", "some", [f"vfnet{i}" for i in range(count)])
        plugins.append(1000 * (add_seconds(node) - before))
        took.append(int(re.findall(r"attached, (\d+) ms", node.log())[-1]))
        api.delete_pod(f"some-{number}")
    figures[f"attach of {count} VFs"] = (f"{sorted(took)[2]} ms ({min(took)} to {max(took)}), "
                                         f"the plugins in it {sorted(plugins)[2]:.0f} ms")
    # Two durable writes and some processes to start; a loaded machine takes its time.
    assert min(t - p for t, p in zip(took, plugins)) < 100 + 50 * count


def test_many_pods_at_once(api, node, networks, figures):
    bare = crowd(api, {"bare": []})["bare"]
    api.clean_pods()
    claimed = crowd(api, {"claimed": ["plain"]})["claimed"]
    taken = [device for name in claimed[0] for device in check_status(api, name, "plain", ["net1"]).values()]
    assert len(set(taken)) == CROWD and len(leases()) == CROWD
    api.clean_pods()
    mixed = crowd(api, {"unrelated": [], "claimed": ["plain"]})
    for what, (_, middle, last) in {"without a claim": bare, "with a VF": claimed,
                                    "without a claim, half of the others with a VF": mixed["unrelated"]}.items():
        figures[f"{CROWD} pods at once, {what}"] = f"the middle one ready after {middle:.1f} s, the last after {last:.1f} s"
