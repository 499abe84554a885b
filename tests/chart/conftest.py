# SPDX-License-Identifier: Apache-2.0
"""What the chart's tests share: helm, and one control plane (no node) for those that ask a real API server."""
import os
import re
from pathlib import Path

import pytest

from chart import Chart
from harness.control_plane import ControlPlane

STATE = Path(os.environ["DRASRIOV_CHART_STATE"])


@pytest.fixture(scope="session")
def chart():
    return Chart(STATE)


@pytest.fixture(scope="session")
def plane():
    control_plane = ControlPlane(STATE, os.environ["DRASRIOV_TESTCLUSTER"])
    try:
        yield control_plane.start()
    finally:
        control_plane.stop()


def pytest_collection_modifyitems(config, items):
    """tests/run's -R, a regular expression as for the other tiers."""
    wanted = re.compile(os.environ.get("DRASRIOV_FILTER", ""))
    left_out = [item for item in items if not wanted.search(item.nodeid)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
