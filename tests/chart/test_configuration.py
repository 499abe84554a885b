# SPDX-License-Identifier: Apache-2.0
"""The driver's program takes the configuration that the chart renders: it starts with it, all modules loaded."""
import os
import subprocess

import pytest

from chart import EXAMPLES, modules
from program import Program

# name → values, files. Each switches something in the configuration.
MATRIX = {
    "defaults": ({}, ()),
    **{example.stem: ({}, (example,)) for example in EXAMPLES},
    "one module disabled": ({"modules": [{**m, "enabled": m["name"] != "vf-state"} for m in modules(
        "discovery-sysfs", "vf-state", "binding-vfio", "cdi")]}, ()),
    "all settings of modules": ({"modules": modules(
        "discovery-sysfs", "vf-state", "binding-vfio", "mount-vhost", "runtime-nri", "netconf-cni", "cdi",
        discovery_sysfs={"debounceMs": 10}, vf_state={"everyClaim": True}, binding_vfio={"iommu": "iommufd"},
        mount_vhost={"socketMode": "0750"}, netconf_cni={"mountNamespace": "container"})}, ()),
    "another name": ({"driver": {"name": "vf.example.com"}}, ()),
    "no probes": ({"kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": -1}}}}, ()),
    "json": ({"logging": {"format": "json", "level": 0}}, ()),
}


@pytest.mark.parametrize("values, files", MATRIX.values(), ids=MATRIX.keys())
def test_the_driver_starts_with_it(chart, folder, values, files):
    program = Program(folder, chart.render(values, files).configuration)
    try:
        states = {m["name"]: m["state"] for m in program.start()["modules"]}
        for module in program.given["modules"]:
            if not module["enabled"]:
                assert states[module["name"]] == "disabled"
            elif module["module"].startswith("builtin:"):
                assert states[module["name"]] in ("loaded", "started"), states
            else:
                # There is no such file here, and failurePolicy Ignore lets the driver start without it.
                assert states[module["name"]] == "failed"
    finally:
        program.stop()


def test_the_driver_refuses_what_it_does_not_know(chart, folder):
    """That a wrong configuration would be seen above: extraConfig goes through unchecked."""
    with open(f"{folder}/config.yaml", "w", encoding="utf-8") as file:
        file.write(chart.render({"driver": {"extraConfig": {"advertize": "all"}}}).configuration)
    done = subprocess.run([os.environ["DRASRIOV_BINARY"], "run", f"--config={folder}/config.yaml", "--print-config"],
                          capture_output=True, text=True, check=False,
                          env={"NODE_NAME": "worker", "HOST_IP": "127.0.0.1"})
    assert done.returncode == 2
    assert "advertize" in done.stderr
