# SPDX-License-Identifier: Apache-2.0
"""Everything that the chart renders, as files in golden/: a change of a template shows there what it changes for a cluster.
`tests/chart/run --update` writes them anew."""
import difflib
import os

import pytest
import yaml

from chart import FOLDER, ROOT

GOLDEN = ROOT / "tests/chart/golden"
CASES = {"defaults": (), "vfio-minimal": (FOLDER / "examples/vfio-minimal.yaml",), "vendor-module": (FOLDER / "examples/vendor-module.yaml",),
         "metrics": (FOLDER / "examples/metrics.yaml",)}


@pytest.mark.parametrize("name", CASES)
def test_the_rendered_objects(chart, name):
    objects = chart.render(files=CASES[name])
    # It follows from the ConfigMap.
    del objects.of("DaemonSet")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
    text = "# SPDX-License-Identifier: Apache-2.0\n" + yaml.safe_dump_all(objects, width=120)
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("DRASRIOV_CHART_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    wanted = file.read_text(encoding="utf-8")
    difference = "\n".join(difflib.unified_diff(wanted.splitlines(), text.splitlines(), "golden", "rendered", lineterm=""))
    assert text == wanted, f"tests/chart/run --update writes it, if it is meant so:\n{difference}"
