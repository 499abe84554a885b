# SPDX-License-Identifier: Apache-2.0
"""After each test its claims are given back, the driver is stopped, and every VF must be as before."""
import faulthandler
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys

import pytest

import driver_pod
import machine
from containers import Runtime
from node import CDI, CLUSTER, DATA, LOG, Node

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKER = f"{HERE}/check_vfs"
BASELINE = "/run/vfs-at-rest.json"
LIMIT = 1800  # seconds for one test
SEED = int(os.environ.get("DRASRIOV_VM_SEED") or random.randrange(1 << 32))


# In this process: a program of its own takes a second to start here.
loader = importlib.machinery.SourceFileLoader("check_vfs", CHECKER)
check_vfs = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_vfs", loader))
loader.exec_module(check_vfs)


def record():
    with open(BASELINE, "w", encoding="utf-8") as file:
        json.dump(check_vfs.machine(), file)


def differences(*used):
    """What check_vfs says, or nothing."""
    with open(BASELINE, encoding="utf-8") as file:
        return "\n".join(check_vfs.compare(json.load(file), used))


def pytest_report_header():
    return f"seed {SEED} (DRASRIOV_VM_SEED={SEED} repeats it)"


def pytest_collection_modifyitems(config, items):
    wanted = re.compile(os.environ.get("DRASRIOV_FILTER", ""))
    left_out = [item for item in items if not wanted.search(item.nodeid)]
    if left_out:
        items[:] = [item for item in items if wanted.search(item.nodeid)]
        config.hook.pytest_deselected(items=left_out)


def pytest_runtest_setup(item):
    missing = driver_pod.missing_modules(name for mark in item.iter_markers("needs") for name in mark.args)
    if missing:
        pytest.skip(f"the chart's values leave out {', '.join(sorted(missing))}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    def too_long(*_):
        faulthandler.dump_traceback(file=sys.__stderr__)
        raise AssertionError(f"not finished after {LIMIT} s")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.failed = True
        save(item, report)


def save(item, report):
    """What a failure is looked into with."""
    folder = f"/share/out/failed/{item.name}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/failure-{report.when}", "w", encoding="utf-8") as file:
        file.write(report.longreprtext)
        if os.path.exists(BASELINE):
            file.write(f"\n\nVFs: {differences() or 'as before'}\n")
    commands = {"links": "ip -details link", "processes": "ps axfww",
                "kernel": "dmesg | tail -n 100", "files": f"ls -laR {DATA} {CDI} /dev/vfio", "driver": f"tail -n 200 {LOG}",
                "sysfs": "for d in /sys/bus/pci/devices/*/physfn; do d=${d%/physfn}; echo $d $(readlink $d/driver) "
                         "$(cat $d/driver_override) $(ls $d/net); done"}
    for name, command in commands.items():
        with open(f"{folder}/{name}", "wb") as file:
            # What hangs in the kernel must not take the other tests with it.
            try:
                subprocess.run(command, shell=True, stdout=file, stderr=file, check=False, timeout=120)
            except subprocess.TimeoutExpired:
                file.write(b"\nnot finished after 120 s\n")
    for path in (f"{DATA}/claims", CDI, CLUSTER):
        subprocess.run(["cp", "-r", path, folder], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def ports():
    machine.prepare_ports()
    record()


@pytest.fixture(scope="session")
def make_node(request):
    """Node, or with --profile one whose driver is in the chart's pod."""
    if not driver_pod.is_wanted():
        return Node
    pod = driver_pod.DriverPod(request.getfixturevalue("containerd"))
    return lambda: driver_pod.PodNode(pod)


@pytest.fixture
def node(ports, make_node, request):
    """A node whose driver is not started. What a failed test has left is cleared, for the tests that follow."""
    node = make_node()
    node.new_cluster()
    node.configure()
    record()  # each test draws other random addresses
    with open(LOG, "ab") as log:
        log.write(f"--- {request.node.name}\n".encode())
    yield node
    try:
        if node.alive():
            for claim in list(node.claims.values()):
                node.unprepare(claim)
            node.stop()
        if request.node.get_closest_marker("ports_changed"):
            machine.renew_ports()
            record()
        found = differences()
        assert not found, f"VFs are not as before:\n{found}"
    finally:
        if node.alive():
            node.kill()
        if getattr(request.node, "failed", False) or differences():
            clear()


def clear():
    """From any state to two ports with fresh VFs."""
    subprocess.run(f"rm -rf {DATA} {CDI}/*; modprobe igb", shell=True, check=True)
    machine.renew_ports()
    record()


@pytest.fixture(scope="session")
def containerd():
    runtime = Runtime().start()
    yield runtime
    runtime.stop()


@pytest.fixture
def runtime(node, containerd):
    """Its sandboxes end before the node is taken down: a test that fails must not leave pods behind it."""
    yield containerd
    for sandbox in list(containerd.sandboxes):
        containerd.remove_sandbox(sandbox)


@pytest.fixture
def driver(node):
    """The node with its driver running and registered."""
    node.start()
    return node
