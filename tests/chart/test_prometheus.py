# SPDX-License-Identifier: Apache-2.0
"""The chart's ServiceMonitor and alerts with a real Prometheus: it finds the pods through the API server, scrapes the driver's
program, and the alerts are what promtool and the server take for right."""
import re

import pytest
import yaml

from chart import FOLDER, RELEASE
from harness.control_plane import wait_for
from metrics_page import ALERTS, alerts
from program import Program
from prometheus import Prometheus, programs_of_the_run, promtool

METRICS = FOLDER / "examples/metrics.yaml"
ALL_ALERTS = {"metrics": {"prometheusRule": {"disabled": []}}}


@pytest.fixture(scope="module")
def programs():
    return programs_of_the_run()


# -- the alerts -----------------------------------------------------------------------------------------------------------


def every(minutes, total):
    """A counter, minute by minute, that grows by one so often."""
    return " ".join(str(1 + minute // minutes) for minute in range(total))


def at(*values):
    """Values and for how many minutes each stays."""
    return " ".join(str(value) for value, minutes in values for _ in range(minutes))


def buckets(fast, slow):
    """A histogram's buckets, of so many claims a minute that take less than 1 s, and of so many that take 5 to 30 s."""
    return [("drasriov_claim_seconds_bucket", {"operation": "prepare", "outcome": "ok", "le": le}, f"0+{count}x40")
            for le, count in (("1", fast), ("5", fast), ("30", fast + slow), ("+Inf", fast + slow))]


def failed(name, **labels):
    return lambda values: [(f"{name}_count", {**labels, "outcome": "failed"}, values)]


claims, plugin = failed("drasriov_claim_seconds", operation="prepare"), failed("drasriov_module_cni_seconds", plugin="sriov", command="ADD")
published = "drasriov_devices_published"
# Alert → what is scraped: name, labels beside the target's, values of each minute; and the minutes at which it is looked at:
# None or the labels of the alert that fires, beside the severity. Each is looked at just before its time is over, too.
DAY = 24 * 60
NODE = {"node": "n1"}
SILENT = {**dict.fromkeys(range(0, 70, 5))}
CASES = [
    ("SriovDriverDown", "no answer", [("up", {"instance": "i"}, at((1, 10), (0, 20)))], {9: None, 19: None, 20: {"instance": "i"}}),
    ("SriovDriverDown", "restarted", [("up", {}, at((1, 10), (0, 8), (1, 50)))], SILENT),
    ("SriovDriverDown", "others", [("up", {"job": "other"}, "0x60"), ("up", {"namespace": "other"}, "0x60")], SILENT),
    ("SriovRuntimeNotFollowed", "never", [("drasriov_module_runtime_connected", {"module": "runtime-nri"}, "0x10")],
     {4: None, 5: {"module": "runtime-nri"}}),
    ("SriovRuntimeNotFollowed", "restarted", [("drasriov_module_runtime_connected", {"module": "runtime-nri"},
                                               at((1, 5), (0, 4), (1, 60)))], SILENT),
    ("SriovModuleFailed", "one of two", [("drasriov_module_up", {"module": "acme"}, "0x10"), ("drasriov_module_up", {"module": "cdi"}, "1x10")],
     {4: None, 5: {"module": "acme"}}),
    ("SriovModuleFailed", "all are up", [("drasriov_module_up", {"module": "acme"}, "1x60")], SILENT),
    # The first failure is not seen: the series begins with it.
    ("SriovClaimsFail", "again and again", claims(every(2, 40)), {16: None, 17: {"operation": "prepare"}}),
    ("SriovClaimsFail", "once", claims(at((1, 70))), SILENT),
    ("SriovClaimsFail", "three times, then no more", claims(at((1, 5), (2, 2), (3, 60))), SILENT),
    ("SriovClaimsFail", "all succeed", [("drasriov_claim_seconds_count", {"operation": "prepare", "outcome": "ok"}, "0+9x70")], SILENT),
    ("SriovClaimsSlow", "one in five", buckets(8, 2), {15: None, 16: {}}),
    ("SriovClaimsSlow", "one in twenty", buckets(19, 1), SILENT),
    ("SriovClaimsSlow", "no claims", buckets(0, 0), SILENT),
    ("SriovCniPluginFails", "again and again", plugin(every(3, 40)), {17: None, 18: {"plugin": "sriov", "command": "ADD"}}),
    ("SriovCniPluginFails", "once", plugin(at((1, 70))), SILENT),
    ("SriovDevicesLost", "two fewer", [(published, {}, at((8, 10), (6, 80)))], {69: None, 70: {}}),
    ("SriovDevicesLost", "two fewer with another pod", [(published, {"pod": "a"}, "8x9 stale"),
                                                        (published, {"pod": "b"}, at(("_", 10), (6, 80)))], {69: None, 70: {}}),
    ("SriovDevicesLost", "another pod, no fewer", [(published, {"pod": "a"}, "8x9 stale"), (published, {"pod": "b"}, at(("_", 10), (8, 80)))],
     {70: None, 85: None}),
    ("SriovDevicesLost", "for a time", [(published, {}, at((8, 10), (6, 50), (8, 40)))], {59: None, 90: None}),
    ("SriovDevicesLost", "since yesterday", [(published, {}, at((8, 10), (6, 1500)))], {DAY - 40: {}, DAY + 20: None}),
    ("SriovDevicesLost", "more", [(published, {}, at((6, 10), (8, 80)))], {85: None}),
    ("SriovDevicesLost", "another node has more", [(published, {}, "6x90"), (published, {"node": "n2"}, "8x90")], {85: None}),
    ("SriovFiltersNotFollowed", "never", [("drasriov_filters_followed", {}, "0x30")], {14: None, 15: {}}),
    ("SriovFiltersNotFollowed", "restarted API server", [("drasriov_filters_followed", {}, at((1, 5), (0, 14), (1, 60)))], SILENT),
    ("SriovScansFail", "again and again", [("drasriov_scan_failures_total", {}, every(1, 40))], {15: None, 16: {}}),
    ("SriovScansFail", "once more", [("drasriov_scan_failures_total", {}, at((1, 5), (2, 60)))], SILENT),
]
# Those with aggregation have the labels by which they aggregate, and the node; the others have the target's.
AGGREGATED = {"SriovClaimsFail", "SriovClaimsSlow", "SriovCniPluginFails", "SriovDevicesLost"}
# What {{ $value }} is.
VALUES = {"SriovDevicesLost": "6"}


def test_every_alert_has_cases():
    """One in which it fires, not before its time, and one in which it does not."""
    for rule in alerts():
        looks = [at for name, _, _, at in CASES if name == rule["alert"]]
        assert any(any(fires is not None for fires in at.values()) for at in looks), rule["alert"]
        assert any(all(fires is None for fires in at.values()) for at in looks), rule["alert"]


def unit_test(rule, name, scraped, looks, release):
    """One test for promtool. release: the labels that the ServiceMonitor gives each series."""
    def text(labels):
        return ",".join(f'{key}="{value}"' for key, value in {**release, **NODE, **labels}.items())

    def expected(labels):
        labels = {**({} if rule["alert"] in AGGREGATED else release), **NODE, **labels, **rule["labels"]}
        summary = rule["annotations"]["summary"].replace("{{ $value }}", VALUES.get(rule["alert"], ""))
        return {"exp_labels": labels,
                "exp_annotations": {"summary": re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], summary)}}
    return {"name": f"{rule['alert']}: {name}", "interval": "1m",
            "input_series": [{"series": f"{series}{{{text(labels)}}}", "values": values} for series, labels, values in scraped],
            "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": rule["alert"],
                                 "exp_alerts": [] if fires is None else [expected(fires)]} for minute, fires in looks.items()]}


def rendered_rules(chart, **values):
    return chart.render({**ALL_ALERTS, **values}, files=[METRICS]).of("PrometheusRule")["spec"]


# The file itself, for release and namespace of the documentation; and what the chart makes of it for another.
RELEASES = {"the file": ("dra-sriov-driver", "sriov-dra-dra-driver-sriov-metrics", None),
            "the chart": ("vf-net", "net-metrics", {"namespaceOverride": "vf-net", "fullnameOverride": "net"})}


def run_cases(programs, folder, groups, namespace, job, cases=CASES):
    """promtool's exit status and words about the cases, with these groups of rules. What is expected is the file's."""
    rules = {rule["alert"]: rule for rule in alerts()}
    release = {"namespace": namespace, "job": job}
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    code, said = promtool(programs, "check", "rules", file)
    assert code == 0 and f"SUCCESS: {len(rules)} rules found" in said, said
    files = []
    # A day minute by minute would take half a minute.
    for interval, chosen in (("1m", [case for case in cases if max(case[3]) < DAY]), ("10m", [case for case in cases if max(case[3]) >= DAY])):
        files.append(folder / f"every-{interval}.yaml")
        files[-1].write_text(yaml.safe_dump({"rule_files": [str(file)], "evaluation_interval": interval, "tests": [
            unit_test(rules[alert], name, scraped, looks, release) for alert, name, scraped, looks in chosen]}), encoding="utf-8")
    return promtool(programs, "test", "rules", *files)


@pytest.mark.parametrize("namespace, job, values", RELEASES.values(), ids=RELEASES.keys())
def test_the_alerts_fire_when_they_should(programs, chart, tmp_path, namespace, job, values):
    spec = yaml.safe_load(ALERTS.read_text(encoding="utf-8")) if values is None else rendered_rules(chart, **values)
    code, said = run_cases(programs, tmp_path, spec["groups"], namespace, job)
    assert code == 0, said


# Wrong rules: how they are made of the right one.
WRONG = {"later": lambda rule: {**rule, "for": f"{int(rule['for'][:-1]) + 1}{rule['for'][-1]}"},
         "never": lambda rule: {**rule, "expr": f"({rule['expr']}) > 1e9"},
         "always": lambda rule: {**rule, "expr": re.sub(r"(==|>|<) *(\d|max by)", r">= bool 0 * \2", rule["expr"])}}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_alert_would_be_seen(programs, tmp_path, change):
    """Each of them fails one of its cases."""
    short = [case for case in CASES if max(case[3]) < DAY]
    namespace, job, _ = RELEASES["the file"]
    code, said = run_cases(programs, tmp_path, [{"name": "wrong", "rules": [change(rule) for rule in alerts()]}], namespace, job, short)
    assert code != 0
    assert set(re.findall(r"alertname: ?(\w+)", said)) == {rule["alert"] for rule in alerts()}, said[:2000]


# -- the ServiceMonitor ---------------------------------------------------------------------------------------------------


def scrape_config(monitor, role, kubeconfig):
    """What the Prometheus operator makes of a ServiceMonitor with one endpoint: discovery through the API server, the labels that
    it always gives, then those of the endpoint."""
    spec = monitor["spec"]
    [endpoint] = spec["endpoints"]
    kind = "endpointslice" if role == "endpointslice" else "endpoint"
    keep = []
    for name, value in spec["selector"]["matchLabels"].items():
        label = "__meta_kubernetes_service_label_" + re.sub(r"\W", "_", name)
        keep.append({"action": "keep", "source_labels": [label], "regex": re.escape(value)})
    keep.append({"action": "keep", "source_labels": [f"__meta_kubernetes_{kind}_port_name"], "regex": endpoint["port"]})
    given = {"namespace": "namespace", "service": "service_name", "pod": "pod_name", "container": "pod_container_name"}
    labels = [{"source_labels": [f"__meta_kubernetes_{source}"], "target_label": name} for name, source in given.items()]
    labels.append({"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job"})
    labels.append({"replacement": endpoint["port"], "target_label": "endpoint"})
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label", "replacement": "replacement"}
    own = [{names[key]: value for key, value in relabeling.items()} for relabeling in endpoint["relabelings"]]
    return {"job_name": f"serviceMonitor/{monitor['metadata']['namespace']}/{monitor['metadata']['name']}/0",
            "metrics_path": endpoint["path"], "scrape_interval": endpoint["interval"], "scrape_timeout": endpoint["scrapeTimeout"],
            "kubernetes_sd_configs": [{"role": role, "kubeconfig_file": kubeconfig, "namespaces": {
                "names": spec["namespaceSelector"]["matchNames"]}}],
            "relabel_configs": keep + labels + own}


# Of a release beside that of the other tests.
WATCHED = {"fullnameOverride": "watched", "deviceClass": {"create": False}, "rbac": {"filterRoles": False},
           "admissionPolicies": {"ownNode": {"enabled": False}, "vfConfig": {"enabled": False}},
           # Nodes without a kubelet are unreachable after 40 s.
           "kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": 51520}}, "tolerations": [{"operator": "Exists"}]},
           "metrics": {"enabled": True, "port": 51521, "serviceMonitor": {"interval": "5s", "scrapeTimeout": "5s"},
                       "prometheusRule": {"disabled": []}}}


@pytest.fixture(scope="module")
def watched(cluster, chart, nodes, tmp_path_factory):
    """Its objects as they are rendered, and its pods by node; they have addresses of the documentation's network."""
    namespace = "watched"
    values = tmp_path_factory.mktemp("watched") / "values.yaml"
    # Without the operator's kinds: test_server.py looks at a cluster that does not know them.
    kinds = {"serviceMonitor": {"enabled": False}, "prometheusRule": {"enabled": False}}
    values.write_text(yaml.safe_dump({**WATCHED, "metrics": {**WATCHED["metrics"], **kinds}}), encoding="utf-8")
    place = (RELEASE, "--namespace", namespace, "--kubeconfig", cluster.plane.kubeconfig, "--no-hooks")
    chart.helm("upgrade", "--install", *place, FOLDER, "--create-namespace", "--skip-crds", "--values", values)

    def placed():
        pods = {pod["spec"].get("nodeName"): pod for pod in cluster.admin.get(f"/api/v1/namespaces/{namespace}/pods")["items"]}
        return pods if set(pods) == {node.name for node in nodes} else None
    pods = wait_for(placed, "the pods of the release")
    for number, pod in enumerate(pods.values(), 1):
        address = f"192.0.2.{number}"
        # kubelet's part. None of them is ready.
        answer = cluster.admin.ask("PATCH", f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status", {"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": address, "hostIPs": [{"ip": address}]}},
            "application/merge-patch+json")
        assert answer.status == 200, answer
    yield chart.render(WATCHED, files=[METRICS], namespace=namespace), pods
    chart.helm("uninstall", *place, "--wait")


@pytest.mark.parametrize("role", ["endpoints", "endpointslice"])
def test_prometheus_finds_and_scrapes_the_driver(programs, cluster, watched, folder, tmp_path, role):
    objects, pods = watched
    there, missing = sorted(pods)
    program = Program(folder, objects.configuration)
    server = Prometheus(programs, tmp_path / "prometheus", wait_for)
    try:
        program.start()
        rules = tmp_path / "rules.yaml"
        rules.write_text(yaml.safe_dump(objects.of("PrometheusRule")["spec"]), encoding="utf-8")
        config = scrape_config(objects.of("ServiceMonitor"), role, cluster.plane.kubeconfig)
        # One driver is on this machine, and nobody is where the other would be.
        config["relabel_configs"] += [
            {"source_labels": ["node"], "regex": node, "target_label": "__address__", "replacement": f"127.0.0.1:{port}"}
            for node, port in ((there, program.metrics_port()), (missing, 1))]
        server.start({"global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)], "scrape_configs": [config]})
        [(up, _)] = wait_for(lambda: server.query("up == 1"), "a scrape")
        service = objects.of("Service", "-metrics")["metadata"]
        assert up == {"__name__": "up", "instance": f"127.0.0.1:{program.metrics_port()}", "job": service["name"],
                      "namespace": service["namespace"], "node": there, "pod": pods[there]["metadata"]["name"], "container": "plugin",
                      "service": service["name"], "endpoint": "metrics", "cluster": "edge-1"}
        addresses = {node: f"192.0.2.{number}:51521" for number, node in enumerate(pods, 1)}
        wait_for(lambda: {target["labels"]["node"]: target["discoveredLabels"]["__address__"] for target in server.targets()} == addresses,
                 "both targets")
        # What a driver has without claims and without a runtime. No label is in the way of another (exported_…).
        quiet = {"drasriov_devices_found", "drasriov_devices_published", "drasriov_module_up", "drasriov_scan_seconds"}
        server.check_series(quiet, set(up) - {"__name__"})

        def healths():
            return {rule["name"]: rule["health"] for group in server.get("rules")["groups"] for rule in group["rules"]}
        wait_for(lambda: healths() == {rule["alert"]: "ok" for rule in alerts()}, "all rules to be evaluated")

        def down():
            """Nodes and pods whose driver is down. A scrape that comes too late makes the other look so for a time."""
            return [(alert["labels"]["node"], alert["labels"]["pod"]) for alert in server.get("alerts")["alerts"]
                    if alert["labels"]["alertname"] == "SriovDriverDown"]
        wait_for(lambda: down() == [(missing, pods[missing]["metadata"]["name"])], "the alert of the other node and no more")
    finally:
        server.stop()
        program.stop()
