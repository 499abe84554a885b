# SPDX-License-Identifier: Apache-2.0
"""The driver's program takes the configuration that the chart renders: it starts with it, all modules loaded."""
import json
import os
import shutil
import socket
import subprocess

import pytest
import yaml

from chart import EXAMPLES, modules
from harness.control_plane import PATIENCE, wait_for

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


@pytest.fixture
def folder(tmp_path_factory):
    # Short, for Unix sockets end at 107 bytes.
    made = tmp_path_factory.mktemp("c", numbered=True)
    short = f"{os.environ['DRASRIOV_CHART_STATE']}/r"
    os.makedirs(f"{short}/registry")
    yield short
    shutil.rmtree(short)
    made.rmdir()


def status_of(path):
    """What the running driver says of itself (docs/status.md), or None."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            text = b""
            while part := client.recv(1 << 16):
                text += part
    except OSError:
        return None
    return json.loads(text)


@pytest.mark.parametrize("values, files", MATRIX.values(), ids=MATRIX.keys())
def test_the_driver_starts_with_it(chart, folder, values, files):
    configuration = chart.render(values, files).configuration
    with open(f"{folder}/config.yaml", "w", encoding="utf-8") as file:
        file.write(configuration)
    # Paths of this machine are the test's; flags win over the file, which names none of its modules' settings.
    command = [os.environ["DRASRIOV_BINARY"], "run", "--insecure-dev", f"--config={folder}/config.yaml",
               f"--cluster=dir:{folder}", f"--cdi-root={folder}/cdi", f"--kubelet-plugins-directory-path={folder}",
               f"--kubelet-registrar-directory-path={folder}/registry"]
    # As of this machine are the ports.
    for key, flag in (("healthcheckPort", "--healthcheck-port=0"), ("metricsPort", "--metrics-port=0")):
        if yaml.safe_load(configuration).get(key, -1) > 0:
            command.append(flag)
    log = f"{folder}/log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env={"NODE_NAME": "worker", "HOST_IP": "127.0.0.1", "PATH": os.environ["PATH"]})
    try:
        given = yaml.safe_load(configuration)
        def serving():
            if process.poll() is not None:
                pytest.fail(open(log, encoding="utf-8").read()[-3000:])
            status = status_of(f"{folder}/{given['driverName']}/status.sock")
            return status if status and status["phase"] == "Serving" else None
        status = wait_for(serving, "the driver to serve")
        states = {m["name"]: m["state"] for m in status["modules"]}
        for module in given["modules"]:
            if not module["enabled"]:
                assert states[module["name"]] == "disabled"
            elif module["module"].startswith("builtin:"):
                assert states[module["name"]] in ("loaded", "started"), status
            else:
                # There is no such file here, and failurePolicy Ignore lets the driver start without it.
                assert states[module["name"]] == "failed"
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
    assert code == 0, open(log, encoding="utf-8").read()[-3000:]


def test_the_driver_refuses_what_it_does_not_know(chart, folder):
    """That a wrong configuration would be seen above: extraConfig goes through unchecked."""
    with open(f"{folder}/config.yaml", "w", encoding="utf-8") as file:
        file.write(chart.render({"driver": {"extraConfig": {"advertize": "all"}}}).configuration)
    done = subprocess.run([os.environ["DRASRIOV_BINARY"], "run", f"--config={folder}/config.yaml", "--print-config"],
                          capture_output=True, text=True, check=False,
                          env={"NODE_NAME": "worker", "HOST_IP": "127.0.0.1"})
    assert done.returncode == 2
    assert "advertize" in done.stderr
