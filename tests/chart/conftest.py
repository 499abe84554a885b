# SPDX-License-Identifier: Apache-2.0
"""What the chart's tests share: helm, and one control plane (no kubelet) for those that ask a real API server."""
import os
import re
import shutil
from pathlib import Path

import pytest

from chart import Chart
from cluster import Cluster, Node, account
from harness.control_plane import ControlPlane, wait_for

STATE = Path(os.environ["DRASRIOV_CHART_STATE"])


@pytest.fixture(scope="session")
def chart():
    return Chart(STATE)


@pytest.fixture
def folder():
    """For one driver. Short, for Unix sockets end at 107 bytes."""
    made = STATE / "r"
    made.mkdir()
    yield str(made)
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def cluster(chart):
    plane = ControlPlane(STATE, os.environ["DRASRIOV_TESTCLUSTER"])
    try:
        yield Cluster(plane.start(), chart)
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def nodes(cluster):
    """Two nodes of a cluster in which the chart is installed with its defaults."""
    cluster.upgrade()
    made = [Node(cluster, name) for name in ("worker-a", "worker-b")]
    # A policy is in force some time after it was made.
    unbound = account(cluster)
    slices = "/apis/resource.k8s.io/v1/resourceslices?dryRun=All"
    wait_for(lambda: "names no node" in unbound.ask("POST", slices, {
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "probe"},
        "spec": {"driver": "sriovnetwork.openshift.io", "nodeName": "worker-a",
                 "pool": {"name": "worker-a", "generation": 1, "resourceSliceCount": 1}}}).message, "the admission policy")
    return made


def pytest_collection_modifyitems(config, items):
    """tests/run's -R, a regular expression as for the other tiers."""
    wanted = re.compile(os.environ.get("DRASRIOV_FILTER", ""))
    left_out = [item for item in items if not wanted.search(item.nodeid)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
