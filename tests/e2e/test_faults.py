# SPDX-License-Identifier: Apache-2.0
"""What goes away while pods start, run and end: the API server, the driver, the kubelet, the token."""
import time

import pytest

from conftest import LONG
from harness.api import NAMESPACE, one_vf
from harness.control_plane import wait_for
from harness.driver import CDI
from test_pods import ONE, check_environment, devices_of

OUTAGE = 60 if LONG else 8  # seconds
# Every place that a prepare passes where the process can die (docs/crash-points.md), for a claim without a binding module.
PREPARE = ("prepare.fetched", "prepare.planned", "prepare.spec", "prepare.pod_spec", "prepare.committed")
UNPREPARE = ("unprepare.spec", "unprepare.pod_spec", "unprepare.erased")


@pytest.fixture
def made(api, driver):
    made = driver(vfs=8)
    api.create_template("one-vf", one_vf())
    return made


@pytest.fixture
def node(api, made):
    made.start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    return made


def works(api, name="after"):
    """A new pod goes the whole way."""
    api.create_pod(name, ONE)
    api.running(name)
    check_environment(api, name, *devices_of(api.claim_of(name, "vf")))
    api.delete_pod(name)


def test_the_api_server_is_killed(api, node, plane):
    api.create_pod("before", ONE)
    api.running("before")
    with plane.without("kube-apiserver"):
        # The kubelet asks again for a pod that it has; the answer is in the journal.
        time.sleep(OUTAGE)
        assert node.alive()
    wait_for(lambda: api_serves(api), "the API server")
    assert api.pod("before").status.container_statuses[0].restart_count == 0
    works(api)
    api.create_filter("late", [{"resourceName": "late"}])
    wait_for(lambda: (n := api.resource_names()) and set(n.values()) == {"late"}, "a filter made after the outage")


def api_serves(api):
    try:
        return api.core.get_api_resources() is not None
    except Exception:  # noqa: BLE001 - whatever the client makes of a refused connection
        return False


def test_the_api_server_is_away_when_the_driver_starts(api, made, plane):
    with plane.without("kube-apiserver"):
        made.launch()
        time.sleep(3)
        assert made.alive()
    wait_for(lambda: api_serves(api), "the API server")
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    works(api)


@pytest.mark.parametrize("place", PREPARE)
def test_the_driver_is_killed_in_a_prepare(api, made, place):
    made.start(faults=True, DRASRIOV_CRASH_AT=place)
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    api.create_pod("struck", ONE)
    wait_for(lambda: not made.alive(), f"the driver to die at {place}")
    made.start()
    api.running("struck")
    check_environment(api, "struck", *devices_of(api.claim_of("struck", "vf")))
    assert len(made.claim_records()) == 1


@pytest.mark.parametrize("place", UNPREPARE)
def test_the_driver_is_killed_in_an_unprepare(api, made, place):
    made.start(faults=True, DRASRIOV_CRASH_AT=place)
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    api.create_pod("struck", ONE)
    api.running("struck")
    api.core.delete_namespaced_pod("struck", "default")
    wait_for(lambda: not made.alive(), f"the driver to die at {place}")
    made.start()
    wait_for(lambda: api.pod("struck") is None, "the end of the pod")
    wait_for(lambda: not made.claim_records() and not made.cdi_files(), "nothing to be left")
    works(api)


def test_the_driver_is_killed_while_a_pod_runs(api, node):
    api.create_pod("kept", ONE)
    api.running("kept")
    files, records = node.cdi_files(), node.claim_records()
    wait_for(lambda: api.claim_of("kept", "vf").status.devices, "the claim's status")
    version = api.claim_of("kept", "vf").metadata.resource_version
    node.kill()
    node.start()
    assert (node.cdi_files(), node.claim_records()) == (files, records)
    works(api)
    assert api.claim_of("kept", "vf").metadata.resource_version == version, "a status that was written is written again"
    pod = api.pod("kept")
    assert pod.status.phase == "Running" and pod.status.container_statuses[0].restart_count == 0
    api.delete_pod("kept")
    wait_for(lambda: not node.claim_records() and not node.cdi_files(), "the unprepare")


def test_a_pod_that_is_deleted_while_the_driver_is_away(api, node):
    api.create_pod("patient", ONE)
    api.running("patient")
    node.stop()
    api.core.delete_namespaced_pod("patient", "default")
    time.sleep(3)
    assert api.pod("patient") is not None, "the kubelet ended a pod whose device was not given back"
    node.start()
    wait_for(lambda: api.pod("patient") is None, "the end of the pod")
    wait_for(lambda: not node.claim_records() and not node.cdi_files(), "the unprepare")


def test_the_kubelet_is_killed(api, node, plane):
    api.create_pod("kept", ONE)
    api.running("kept")
    with plane.without("kubelet"):
        time.sleep(1)
    wait_for(lambda: node.log().count("kubelet registered the driver") >= 2, "the driver's second registration")
    works(api)
    assert api.pod("kept").status.container_statuses[0].restart_count == 0
    assert len(node.claim_records()) == 1
    wait_for(lambda: len(api.pool() or {}) == 8, "the pool: a kubelet may delete slices when a driver goes away")


def test_the_token_is_renewed(api, node):
    """The old token's pod is deleted, which ends the token at once; the API server remembers tokens for 10 s."""
    old = node.pod
    node.write_token()
    api.core.delete_namespaced_pod(old.metadata.name, NAMESPACE, grace_period_seconds=0)
    time.sleep(12)
    api.create_filter("renewed", [{"resourceName": "renewed"}])
    wait_for(lambda: (n := api.resource_names()) and set(n.values()) == {"renewed"}, "a filter made after the renewal")
    works(api)


def test_cdi_files_that_vanish_are_written_again(api, node):
    """/var/run is a tmpfs: after a reboot it is empty and the journal is not."""
    api.create_pod("kept", ONE)
    api.running("kept")
    files = node.cdi_files()
    node.kill()
    for name in files:
        (CDI / name).unlink()
    node.start()
    assert node.cdi_files() == files
