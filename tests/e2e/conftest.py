# SPDX-License-Identifier: Apache-2.0
"""One cluster for all tests of a run, one driver for each test. After a test nothing may be left of it: no pod, no claim,
no journal record, no CDI file."""
import itertools
import os
import re
from pathlib import Path

import pytest
import yaml

from harness.api import Api, or_none
from harness.control_plane import ControlPlane, wait_for
from harness.driver import Driver
from harness.network import MARKERS, LiveMachine, leases
from prometheus import Prometheus, programs_of_the_run

LONG = bool(os.environ.get("DRASRIOV_E2E_LONG"))
FIGURES = pytest.StashKey()
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane():
    control_plane = ControlPlane(os.environ["DRASRIOV_E2E_STATE"], os.environ["DRASRIOV_TESTCLUSTER"],
                                 os.environ["DRASRIOV_E2E_RUNTIME"])
    try:
        yield control_plane.start()
    finally:
        control_plane.stop()


@pytest.fixture(scope="session")
def installed(plane):
    api = Api(plane)
    api.install()
    return api


@pytest.fixture
def api(installed):
    yield installed
    installed.clean()


@pytest.fixture(scope="session")
def kubernetes_minor():
    return tuple(int(n) for n in os.environ["DRASRIOV_E2E_KUBERNETES"].split("."))


@pytest.fixture
def driver(plane, api, request):
    """A function that makes a driver, not yet started: the number of VFs, more lines of configuration, and another URL than
    the API server's."""
    made = []

    def make(vfs=8, config="", server=None):
        folder = Path(os.environ["DRASRIOV_E2E_STATE"]) / f"d{next(numbers)}"
        made.append(Driver(plane, api, folder, vfs, config, server))
        return made[-1]

    yield make
    try:
        for one in made:
            if one.alive():
                api.clean()
                wait_for(lambda: not one.cdi_files() and not one.claim_records(),
                         f"no CDI file and no record to be left, but {one.cdi_files()} {one.claim_records()}")
                one.stop()
    finally:
        for one in made:
            if getattr(request.node, "failed", False):
                print(f"--- end of {one.log_path}\n{one.log()[-3000:]}")
            one.dispose()
            for found in api.slices():
                api.resource.delete_resource_slice(found.metadata.name)
            api.core.delete_namespaced_pod(one.pod.metadata.name, one.pod.metadata.namespace)


@pytest.fixture(scope="module")
def machine(plane):
    machine = LiveMachine(Path(os.environ["DRASRIOV_E2E_STATE"]) / "live", 64)
    try:
        yield machine.start()
    finally:
        machine.stop()


@pytest.fixture(scope="session")
def definitions(plane):
    """The definition of NetworkAttachmentDefinitions, which a cluster has from its Multus."""
    api = Api(plane)
    group, plural = "k8s.cni.cncf.io", "network-attachment-definitions"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"config": {"type": "string"}}}}}
    api.extensions.create_custom_resource_definition({
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced",
                 "names": {"plural": plural, "singular": "network-attachment-definition",
                           "kind": "NetworkAttachmentDefinition"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}})

    def served():
        return or_none(api.custom.list_namespaced_custom_object, group, "v1", "default", plural) is not None
    wait_for(served, "NetworkAttachmentDefinitions to be served")


@pytest.fixture
def made(plane, driver, machine, api):
    """A driver with all its modules on the machine; at the end everything is as it was found."""
    made = driver()
    plugins = made.folder / "cni"
    plugins.mkdir()
    modules = [{"name": name, "module": f"builtin:{name}"}
               for name in ("discovery-sysfs", "vf-state", "binding-vfio", "mount-vhost", "runtime-nri", "cdi")]
    modules.append({"name": "netconf-cni", "module": "builtin:netconf-cni",
                    "config": {"pluginDirs": [str(plane.runtime), str(plugins)]}})
    config = yaml.safe_load((made.folder / "config.yaml").read_text(encoding="utf-8"))
    del config["roots"]
    made.write("config.yaml", yaml.safe_dump({**config, "modules": modules}))
    yield made
    # The kubelet gives up no pod whose claims nobody unprepares.
    if not made.alive():
        made.start()
        machine.bring_back()
    api.clean()
    wait_for(lambda: not made.claim_records() and not made.cdi_files(), "no record and no CDI file to be left")
    wait_for(machine.at_home, "the interfaces to be on the node as before")
    assert leases() == []
    assert not MARKERS.exists() or list(MARKERS.iterdir()) == []


@pytest.fixture(scope="session")
def programs():
    """The folder of tests/tools/get-prometheus."""
    return programs_of_the_run()


@pytest.fixture
def prometheus(programs):
    """A function that starts a Prometheus with that configuration; it scrapes every 2 seconds."""
    made = []

    def make(configuration):
        made.append(Prometheus(programs, Path(os.environ["DRASRIOV_E2E_STATE"]) / f"p{next(numbers)}", wait_for))
        times = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
        return made[-1].start({"global": times, **configuration})
    yield make
    for one in made:
        one.stop()


@pytest.fixture
def figures(request):
    """What was measured, for the end of the run."""
    return request.config.stash[FIGURES]


def pytest_configure(config):
    config.stash[FIGURES] = {}


def pytest_terminal_summary(terminalreporter, config):
    for name, value in config.stash[FIGURES].items():
        terminalreporter.write_line(f"measured: {name}: {value}")


def pytest_collection_modifyitems(config, items):
    """tests/run's -R, a regular expression as for the other tiers."""
    wanted = re.compile(os.environ.get("DRASRIOV_FILTER", ""))
    left_out = [item for item in items if not wanted.search(item.nodeid)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report
