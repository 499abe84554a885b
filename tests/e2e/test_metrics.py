# SPDX-License-Identifier: Apache-2.0
"""The metrics of a driver with all its modules on a node, as a real Prometheus has scraped them, and an alert of the chart's file
that becomes pending by them."""
import re

import pytest
import yaml

from harness.control_plane import NODE, wait_for
from harness.network import Networks, create_pod, host_device, leases
from metrics_page import ALERTS, page_series
from prometheus import promtool

# Forced in tests/process/prometheus_test.py: nothing goes wrong with the devices here.
ELSEWHERE = {"drasriov_scan_failures_total", "drasriov_module_uevent_overflows_total"}
# For which the chart's file is valid as it is.
JOB, NAMESPACE = "sriov-dra-dra-driver-sriov-metrics", "dra-sriov-driver"


@pytest.fixture
def port(programs, api, made, machine):
    """The port of a driver that serves its metrics."""
    config = yaml.safe_load((made.folder / "config.yaml").read_text(encoding="utf-8"))
    made.write("config.yaml", yaml.safe_dump({**config, "metricsPort": 0}))
    made.start()
    wait_for(lambda: len(api.pool() or {}) == machine.count, "the pool")
    return int(re.search(r"metrics over HTTP on 127\.0\.0\.1, port (\d+)", made.log())[1])


@pytest.fixture
def networks(api, definitions):
    networks = Networks(api)
    networks.create("plain", host_device())
    networks.template("plain", "plain", "net1")
    networks.create("half", host_device(), {"type": "tuning", "sysctl": {"net.ipv4.conf.net1.nonsense": "1"}})
    networks.template("half", "half", "net1")
    networks.template("nowhere", "nowhere", "net1")
    yield networks
    networks.clean()


def test_the_series_of_the_page(api, port, machine, networks, programs, prometheus):
    """One pod with a network, one whose plugin fails, one whose network there is not."""
    server = prometheus({"rule_files": [str(ALERTS)], "scrape_configs": [{"job_name": JOB, "static_configs": [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"node": NODE, "namespace": NAMESPACE}}]}]})
    create_pod(api, "web", "plain")
    api.running("web")
    create_pod(api, "half", "half")
    create_pod(api, "nowhere", "nowhere")

    def values(expression, *by):
        return {tuple(labels[name] for name in by): value for labels, value in server.query(expression)}

    def plugins():
        return values("drasriov_module_cni_seconds_count", "module", "plugin", "command", "outcome")
    wait_for(lambda: plugins().get(("netconf-cni", "tuning", "ADD", "failed")), "the failed plugin")
    wait_for(lambda: values("drasriov_module_hook_seconds_count", "module", "hook", "outcome").get(
        ("runtime-nri", "RunPodSandbox", "refused")), "the refused sandbox")
    claims = "drasriov_claim_seconds_count"
    wait_for(lambda: values(claims, "operation", "outcome").get(("prepare", "failed")), "the failed claim")
    api.delete_pod("web")
    wait_for(lambda: plugins().get(("netconf-cni", "host-device", "DEL", "ok")), "the detach")
    wait_for(lambda: values(claims, "operation", "outcome").get(("unprepare", "ok")), "the unprepare")
    wait_for(lambda: plugins().get(("netconf-cni", "host-device", "ADD", "ok")), "the attach")
    server.check_series(set(page_series()) - ELSEWHERE, {"job", "instance", "node", "namespace"})
    modules = ("discovery-sysfs", "vf-state", "binding-vfio", "mount-vhost", "runtime-nri", "cdi", "netconf-cni")
    wait_for(lambda: values("drasriov_module_up", "module") == {(module,): 1 for module in modules}, "all modules")
    wait_for(lambda: server.value("drasriov_devices_published") == machine.count, "the devices")
    wait_for(lambda: server.value("drasriov_module_runtime_connected") == server.value("drasriov_filters_followed") == 1, "both")
    # What goes wrong goes on going wrong, and nothing else does. Claims may be slow: the machine may.
    wrong = {"SriovClaimsFail": "pending", "SriovCniPluginFails": "pending"}
    wait_for(lambda: {name: state for name, state in server.alerts().items() if name != "SriovClaimsSlow"} == wrong, "the alerts", 300)
    assert promtool(programs, "check", "metrics", text=server.scraped()) == (0, "")
    for pod in ("half", "nowhere"):
        api.delete_pod(pod)
    wait_for(lambda: machine.at_home() and not leases(), "the interfaces to come back")
