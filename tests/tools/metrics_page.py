# SPDX-License-Identifier: Apache-2.0
"""What docs/metrics.md and the chart's alerts say, for tests that hold it against the code, a driver or a Prometheus."""
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
ALERTS = ROOT / "charts/dra-driver-sriov/files/alerts.yaml"


def page_series():
    """Name → kind and labels."""
    rows = re.findall(r"^\| `(drasriov_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", PAGE, re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows), "a name stands twice"
    return {name: (kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels, _ in rows}


def page_bounds():
    """Of all histograms, as they are written."""
    [text] = re.findall(r"bounds of all histograms are, in seconds, (.*?)\n\n", PAGE, re.DOTALL)
    return re.findall(r"\d+(?:\.\d+)?", text)


def page_alerts():
    """Name → after, severity."""
    rows = re.findall(r"^\| `(Sriov\w+)` \| (\w+) \| (\w+) \| .+ \|$", PAGE, re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows), "a name stands twice"
    return {name: (after, severity) for name, after, severity in rows}


def alerts():
    """The rules of the chart's file."""
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return group["rules"]
