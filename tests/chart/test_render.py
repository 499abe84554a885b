# SPDX-License-Identifier: Apache-2.0
"""What helm makes of values: which objects, and what the pods are allowed. No cluster."""
import re
import subprocess

import pytest
import yaml

from chart import EXAMPLES, FOLDER, KUBERNETES, NAMESPACE, ROOT, Refused, modules

DIGEST = "@sha256:" + "0123456789abcdef" * 4


def vendor(**source):
    return {"name": "acme", "source": {"image": "images.example/acme" + DIGEST, "path": "/lib/acme.so", **source}}


def test_lint(chart):
    for values in ((), *[("--values", e) for e in EXAMPLES]):
        chart.helm("lint", FOLDER, "--strict", "--namespace", NAMESPACE, "--kube-version", KUBERNETES, *values)


def test_objects_of_the_defaults(chart):
    objects = chart.render(crds=True)
    assert sorted((o["kind"], o["metadata"]["name"]) for o in objects) == sorted([
        ("CustomResourceDefinition", "sriovresourcefilters.sriovnetwork.openshift.io"),
        ("ServiceAccount", "sriov-dra-driver-sriov-service-account"),
        ("ConfigMap", "sriov-dra-driver-sriov-config"),
        ("ClusterRole", "sriov-dra-driver-sriov-role"),
        ("ClusterRole", "sriov-dra-driver-sriov-filters-edit"),
        ("ClusterRole", "sriov-dra-driver-sriov-filters-view"),
        ("ClusterRoleBinding", "sriov-dra-driver-sriov-role-binding"),
        ("DaemonSet", "sriov-dra-driver-sriov-kubeletplugin"),
        ("DeviceClass", "sriovnetwork.openshift.io"),
        ("ValidatingAdmissionPolicy", "sriov-dra-driver-sriov-own-node"),
        ("ValidatingAdmissionPolicyBinding", "sriov-dra-driver-sriov-own-node"),
        ("ValidatingAdmissionPolicy", "sriov-dra-driver-sriov-vf-config"),
        ("ValidatingAdmissionPolicyBinding", "sriov-dra-driver-sriov-vf-config"),
        ("ConfigMap", "sriov-dra-driver-sriov-verify"),
        ("Job", "sriov-dra-driver-sriov-verify"),
    ])


def test_each_switch_removes_its_objects(chart):
    off = chart.render({
        "serviceAccount": {"create": False, "name": "theirs"}, "rbac": {"create": False, "filterRoles": False},
        "deviceClass": {"create": False}, "verifyBeforeUpgrade": False,
        "admissionPolicies": {"ownNode": {"enabled": False}, "vfConfig": {"enabled": False}}})
    assert off.kinds() == {"ConfigMap", "DaemonSet"}
    assert off.pod["serviceAccountName"] == "theirs"


def test_values_of_the_go_chart_have_their_meaning(chart):
    objects = chart.render({
        "fullnameOverride": "net", "namespaceOverride": "elsewhere", "selectorLabelsOverride": {"app": "vf"},
        "imagePullSecrets": [{"name": "pull"}], "image": {"repository": "a/b", "tag": "v9", "pullPolicy": "Always"},
        "serviceAccount": {"annotations": {"for": "us"}},
        "kubeletPlugin": {
            "priorityClassName": "high", "updateStrategy": {"type": "OnDelete"}, "podAnnotations": {"note": "text"},
            "podSecurityContext": {"fsGroup": 7}, "nodeSelector": {"with": "vfs"}, "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}}, "kubeletRegistrarDirectoryPath": "/r", "kubeletPluginsDirectoryPath": "/p",
            "nriPluginName": "me", "nriPluginIndex": 17, "defaultInterfacePrefix": "vf",
            "containers": {"plugin": {"securityContext": {"privileged": True}, "resources": {"limits": {"cpu": 1}},
                                      "healthcheckPort": 4321}}},
        "logging": {"level": 7, "format": "json"}})
    daemon_set, pod, container = objects.of("DaemonSet"), objects.pod, objects.container
    assert daemon_set["metadata"]["name"] == "net-kubeletplugin"
    assert daemon_set["metadata"]["namespace"] == "elsewhere"
    assert daemon_set["spec"]["updateStrategy"]["type"] == "OnDelete"
    assert daemon_set["spec"]["selector"]["matchLabels"]["app"] == "vf"
    assert daemon_set["spec"]["template"]["metadata"]["labels"]["app"] == "vf"
    assert daemon_set["spec"]["template"]["metadata"]["annotations"]["note"] == "text"
    assert objects.of("ServiceAccount")["metadata"]["annotations"] == {"for": "us"}
    assert objects.of("ClusterRoleBinding")["subjects"] == [
        {"kind": "ServiceAccount", "name": "net-service-account", "namespace": "elsewhere"}]
    assert (pod["priorityClassName"], pod["nodeSelector"], pod["tolerations"]) == ("high", {"with": "vfs"}, [{"operator": "Exists"}])
    assert (pod["affinity"], pod["securityContext"], pod["imagePullSecrets"]) == (
        {"nodeAffinity": {}}, {"fsGroup": 7}, [{"name": "pull"}])
    assert (container["image"], container["imagePullPolicy"]) == ("a/b:v9", "Always")
    assert container["securityContext"] == {"privileged": True}
    assert container["resources"]["limits"] == {"cpu": 1}
    assert {p["containerPort"] for p in container["ports"]} == {4321}
    assert {"/r", "/p/sriovnetwork.openshift.io"} <= objects.host_paths()
    configuration = yaml.safe_load(objects.configuration)
    assert {k: configuration[k] for k in (
        "kubeletRegistrarDirectory", "kubeletPluginsDirectory", "nriPluginName", "nriPluginIndex", "defaultInterfacePrefix",
        "healthcheckPort", "verbosity", "logFormat", "namespace")} == {
            "kubeletRegistrarDirectory": "/r", "kubeletPluginsDirectory": "/p", "nriPluginName": "me", "nriPluginIndex": "17",
            "defaultInterfacePrefix": "vf", "healthcheckPort": 4321, "verbosity": 7, "logFormat": "json",
            "namespace": "elsewhere"}


def test_driver_values_that_the_go_chart_ignores(chart):
    configuration = yaml.safe_load(chart.render(
        {"driver": {"namespace": "filters", "defaultInterfacePrefix": "net"}}).configuration)
    assert (configuration["namespace"], configuration["defaultInterfacePrefix"]) == ("filters", "net")


def test_extra_configuration_is_laid_over(chart):
    configuration = yaml.safe_load(chart.render({"driver": {"extraConfig": {"roots": {"sys": "/captured"}, "verbosity": 9}}})
                                   .configuration)
    assert configuration["roots"] == {"sys": "/captured"}
    assert configuration["verbosity"] == 9
    assert configuration["advertise"] == "all"


def test_another_driver_name_goes_everywhere(chart):
    objects = chart.render({"driver": {"name": "vf.example.com"}})
    text = yaml.safe_dump_all(objects)
    assert objects.of("CustomResourceDefinition")["spec"]["group"] == "vf.example.com"
    assert objects.of("CustomResourceDefinition")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert objects.of("DeviceClass")["metadata"]["name"] == "vf.example.com"
    assert "/var/lib/kubelet/plugins/vf.example.com" in objects.host_paths()
    assert "openshift.io" not in text


def test_one_value_moves_kubelet(chart):
    objects = chart.render({"kubeletRootDirectory": "/data/kubelet"})
    assert {"/data/kubelet/plugins_registry", "/data/kubelet/plugins/sriovnetwork.openshift.io"} <= objects.host_paths()
    assert not [path for path in objects.host_paths() if path.startswith("/var/lib/kubelet")]


def test_the_runtime_finds_the_hook_where_the_driver_puts_it(chart):
    assert "hookDir" not in yaml.safe_load(chart.render().configuration), "it is in the data directory"
    objects = chart.render({"hookDir": "/opt/sriov"})
    assert yaml.safe_load(objects.configuration)["hookDir"] == "/opt/sriov"
    assert [m for m in objects.container["volumeMounts"] if m["mountPath"] == "/opt/sriov"] == [
        {"name": "hook", "mountPath": "/opt/sriov"}]
    assert "/opt/sriov" in objects.host_paths()


def test_a_mount_is_where_the_node_has_it(chart):
    """Socket paths are told to kubelet, device paths to the runtime: they must be the node's."""
    for files in ((), *[(e,) for e in EXAMPLES]):
        objects = chart.render(files=files)
        places = {m["name"]: m["mountPath"] for m in objects.container["volumeMounts"]}
        for volume in objects.pod["volumes"]:
            if "hostPath" in volume:
                assert places[volume["name"]] == volume["hostPath"]["path"]


def test_a_changed_configuration_starts_the_pods_anew(chart):
    def annotations(**values):
        return chart.render(values).of("DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    assert annotations()["checksum/config"] == annotations()["checksum/config"]
    assert annotations()["checksum/config"] != annotations(driver={"advertise": "filtered"})["checksum/config"]


def test_probes_ask_the_address_that_the_driver_serves(chart):
    objects = chart.render({"kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": 4000}}}})
    probes = {k: objects.container[k]["grpc"] for k in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {"startupProbe": {"port": 4000, "service": "liveness"},
                      "livenessProbe": {"port": 4000, "service": "liveness"}, "readinessProbe": {"port": 4000}}
    assert yaml.safe_load(objects.configuration)["healthcheckAddress"] == "${HOST_IP}"
    assert [e["valueFrom"]["fieldRef"]["fieldPath"] for e in objects.container["env"]] == ["spec.nodeName", "status.hostIP"]


def test_no_port_no_probes(chart):
    objects = chart.render({"kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": -1}}}})
    assert not [k for k in objects.container if k.endswith("Probe") or k == "ports"]


METRICS = FOLDER / "examples/metrics.yaml"


def test_metrics_are_off(chart):
    objects = chart.render()
    assert not {"Service", "ServiceMonitor"} & objects.kinds()
    assert not [key for key in yaml.safe_load(objects.configuration) if key.startswith("metrics")]
    assert [p["name"] for p in objects.container["ports"]] == ["healthcheck"]


def test_metrics_are_served_at_the_nodes_address(chart):
    """The Service has the pods of all nodes, by the port's name."""
    objects = chart.render({"metrics": {"enabled": True, "port": 9999}})
    configuration = yaml.safe_load(objects.configuration)
    assert (configuration["metricsPort"], configuration["metricsAddress"]) == (9999, "${HOST_IP}")
    assert {"name": "metrics", "containerPort": 9999} in objects.container["ports"]
    service = objects.of("Service", "-metrics")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["ports"] == [{"name": "metrics", "port": 9999, "targetPort": "metrics"}]
    assert service["selector"] == objects.of("DaemonSet")["spec"]["selector"]["matchLabels"]
    assert "ServiceMonitor" not in objects.kinds()


def test_metrics_without_probes_and_at_another_address(chart):
    objects = chart.render({"metrics": {"enabled": True, "address": "::"},
                            "kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": -1}}}})
    assert yaml.safe_load(objects.configuration)["metricsAddress"] == "::"
    assert [p["name"] for p in objects.container["ports"]] == ["metrics"]
    assert not [key for key in objects.container if key.endswith("Probe")]


def test_the_monitor_selects_the_service(chart):
    objects = chart.render({"selectorLabelsOverride": {"app": "vf"}}, files=[METRICS])
    monitor, service = objects.of("ServiceMonitor"), objects.of("Service", "-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [p["name"] for p in service["spec"]["ports"]]
    assert (endpoint["path"], endpoint["interval"], endpoint["scrapeTimeout"]) == ("/metrics", "30s", "10s")
    assert endpoint["relabelings"] == [
        {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
        {"targetLabel": "cluster", "replacement": "edge-1"}]


def test_the_monitor_leaves_times_to_prometheus(chart):
    monitor = chart.render({"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}}).of("ServiceMonitor")
    assert set(monitor["spec"]["endpoints"][0]) == {"port", "path", "relabelings"}


DURATIONS = [("10s", "30s"), ("60s", "1m"), ("1m", "60000ms"), ("08s", "9s"), ("1h29m", "1h30m"), ("6d", "1w"), ("5s", ""), ("", "5s"), ("", "")]


@pytest.mark.parametrize("timeout, interval", DURATIONS)
def test_a_timeout_within_the_interval_is_taken(chart, timeout, interval):
    monitor = chart.render({"metrics": {"enabled": True, "serviceMonitor": {
        "enabled": True, "scrapeTimeout": timeout, "interval": interval}}}).of("ServiceMonitor")
    [endpoint] = monitor["spec"]["endpoints"]
    assert (endpoint.get("scrapeTimeout", ""), endpoint.get("interval", "")) == (timeout, interval)


@pytest.mark.parametrize("timeout, interval", [(longer, shorter) for shorter, longer in DURATIONS if shorter and longer and (
    shorter, longer) not in (("60s", "1m"), ("1m", "60000ms"))] + [("61s", "1m"), ("1500ms", "1s"), ("010s", "9s"), ("1y", "52w")])
def test_a_timeout_longer_than_the_interval_is_refused(chart, timeout, interval):
    """The operator would refuse the ServiceMonitor, and helm would have been content."""
    with pytest.raises(Refused, match=f"metrics.serviceMonitor.scrapeTimeout is {timeout}, longer than the interval of {interval}: "):
        chart.render({"metrics": {"enabled": True, "serviceMonitor": {
            "enabled": True, "scrapeTimeout": timeout, "interval": interval}}})


def test_the_rules_are_the_files(chart):
    """For the release: its namespace and its Service's name. All but those that are left out."""
    file = (FOLDER / "files/alerts.yaml").read_text(encoding="utf-8")
    objects = chart.render({"fullnameOverride": "net", "metrics": {"prometheusRule": {"disabled": ["SriovScansFail"]}}}, files=[METRICS],
                           namespace="vf-net")
    rule, service = objects.of("PrometheusRule"), objects.of("Service", "-metrics")
    namespace, job = service["metadata"]["namespace"], service["metadata"]["name"]
    assert (rule["metadata"]["namespace"], namespace, job) == ("vf-net", "vf-net", "net-metrics")
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    expected = yaml.safe_load(file.replace('namespace="dra-sriov-driver"', f'namespace="{namespace}"')
                              .replace('job="sriov-dra-dra-driver-sriov-metrics"', f'job="{job}"'))
    [group] = expected["groups"]
    group["rules"] = [r for r in group["rules"] if r["alert"] != "SriovScansFail"]
    assert rule["spec"] == expected
    assert "dra-sriov-driver" not in str(rule["spec"])


def alert_names():
    [group] = yaml.safe_load((FOLDER / "files/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule["alert"] for rule in group["rules"]]


def test_no_rule_without_alerts(chart):
    """The operator would take a group without rules; nobody would look for it."""
    def kinds(disabled):
        return chart.render({"metrics": {"prometheusRule": {"disabled": disabled}}}, files=[METRICS]).kinds()
    assert "PrometheusRule" in kinds(alert_names()[1:])
    assert "PrometheusRule" not in kinds(alert_names()) and "ServiceMonitor" in kinds(alert_names())


@pytest.mark.parametrize("metrics", [None, {"serviceMonitor": None, "prometheusRule": None}, {"prometheusRule": None}])
def test_values_of_a_chart_without_these_switches(chart, metrics):
    """As `--reuse-values` gives them, or null: they are off."""
    off = chart.render({"metrics": metrics})
    assert not {"Service", "ServiceMonitor", "PrometheusRule"} & off.kinds()
    if metrics is not None:
        on = chart.render({"metrics": {**metrics, "enabled": True}})
        assert "Service" in on.kinds() and not {"ServiceMonitor", "PrometheusRule"} & on.kinds()


def test_lists_and_labels_may_be_null(chart):
    objects = chart.render({"metrics": {"serviceMonitor": {"labels": None, "relabelings": None},
                                        "prometheusRule": {"labels": None, "disabled": None}}}, files=[METRICS])
    assert "release" not in objects.of("ServiceMonitor")["metadata"]["labels"]
    [group] = objects.of("PrometheusRule")["spec"]["groups"]
    assert [rule["alert"] for rule in group["rules"]] == alert_names()


def test_rules_are_off(chart):
    assert "PrometheusRule" not in chart.render({"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}}).kinds()


def test_every_alert_may_be_left_out():
    schema = yaml.safe_load((FOLDER / "values.schema.json").read_text(encoding="utf-8"))
    names = schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]["disabled"]["items"]["enum"]
    assert names == alert_names()


# Builtin modules → hostPID and the capabilities of the minimal profile. docs/security.md gives the reasons.
PERMISSIONS = [
    (modules("discovery-sysfs", "cdi"), False, ["NET_ADMIN"]),
    (modules("discovery-sysfs", "vf-state", "cdi"), False, ["NET_ADMIN"]),
    (modules("discovery-sysfs", "mount-vhost", "cdi"), False, ["NET_ADMIN", "SYS_MODULE"]),
    (modules("discovery-sysfs", "mount-vhost", "cdi", mount_vhost={"socketDir": "/run/vhost"}), False,
     ["CHOWN", "FOWNER", "NET_ADMIN", "SYS_MODULE"]),
    (modules("discovery-sysfs", "binding-vfio", "cdi"), True, ["NET_ADMIN", "SYS_MODULE", "SYS_PTRACE"]),
    (modules("discovery-sysfs", "runtime-nri", "netconf-cni", "cdi"), True,
     ["DAC_OVERRIDE", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"]),
    (modules("discovery-sysfs", "runtime-nri", "netconf-cni", "cdi", netconf_cni={"mountNamespace": "container"}), False,
     ["NET_ADMIN", "NET_RAW", "SYS_ADMIN"]),
]


@pytest.mark.parametrize("listed, host_pid, capabilities", PERMISSIONS)
def test_permissions_follow_the_modules(chart, listed, host_pid, capabilities):
    objects = chart.render({"modules": listed, "kubeletPlugin": {"securityProfile": "minimal"}})
    context = objects.container["securityContext"]
    assert objects.pod["hostPID"] is host_pid
    assert context["capabilities"] == {"drop": ["ALL"], "add": capabilities}
    assert "privileged" not in context
    assert context["readOnlyRootFilesystem"] is True
    # The API server refuses a pod with this set to false beside SYS_ADMIN.
    assert context.get("allowPrivilegeEscalation") is (None if "SYS_ADMIN" in capabilities else False)


@pytest.mark.parametrize("listed, host_pid, capabilities", PERMISSIONS)
def test_a_disabled_module_needs_nothing(chart, listed, host_pid, capabilities):
    kept = {"discovery-sysfs", "cdi"}
    off = [{**m, "enabled": m["name"] in kept} for m in listed]
    objects = chart.render({"modules": off, "kubeletPlugin": {"securityProfile": "minimal"}})
    assert objects.pod["hostPID"] is False
    assert objects.container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN"]


def test_host_paths_follow_the_modules(chart):
    always = {"/var/lib/kubelet/plugins_registry", "/var/lib/kubelet/plugins/sriovnetwork.openshift.io", "/var/run/cdi"}
    def paths(*listed, **config):
        return chart.render({"modules": modules("discovery-sysfs", "cdi", *listed, **config)}).host_paths() - always
    assert paths() == set()
    assert paths("vf-state") == set()
    assert paths("binding-vfio") == {"/dev", "/lib/modules", "/sys"}
    assert paths("mount-vhost", mount_vhost={"socketDir": "/run/vhost"}) == {"/dev", "/lib/modules", "/run/vhost"}
    assert paths("runtime-nri", runtime_nri={"socket": "/run/other/nri.sock"}) == {"/run/other", "/var/run/netns"}
    assert paths("runtime-nri", "netconf-cni") == {"/var/run/nri", "/var/run/netns", "/sys"}
    assert paths("runtime-nri", "netconf-cni", netconf_cni={"mountNamespace": "container"}) == {
        "/var/run/nri", "/var/run/netns", "/opt/cni/bin", "/var/lib/cni", "/sys"}


@pytest.mark.parametrize("path", ["/sys", "/sys/", "/./sys"])
def test_another_sys_takes_the_nodes_place(chart, path):
    own = chart.render({"kubeletPlugin": {"extraVolumes": [{"name": "machine", "emptyDir": {}}],
                                          "extraVolumeMounts": [{"name": "machine", "mountPath": path}]}})
    assert [m["name"] for m in own.container["volumeMounts"] if "sys" in m["mountPath"].split("/")] == ["machine"]
    assert "/sys" not in own.host_paths()


def test_host_pid_may_be_asked_for(chart):
    listed = modules("discovery-sysfs", "cdi")
    assert chart.render({"modules": listed, "kubeletPlugin": {"hostPID": True}}).pod["hostPID"] is True


def test_a_copied_module(chart):
    objects = chart.render({"modules": modules("discovery-sysfs", "cdi") + [vendor(delivery="initContainer")]})
    copy, verify = objects.pod["initContainers"]
    assert copy["image"] == "images.example/acme" + DIGEST
    assert copy["command"] == ["install", "-D", "-m", "0644", "/lib/acme.so", "/modules/acme/acme.so"]
    assert copy["volumeMounts"] == [{"name": "modules", "mountPath": "/modules"}]
    mount = {"name": "modules", "subPath": "acme", "mountPath": "/opt/dra-driver-sriov/modules/acme", "readOnly": True}
    assert mount in verify["volumeMounts"] and mount in objects.container["volumeMounts"]
    assert verify["args"] == ["module", "verify", "builtin:discovery-sysfs", "builtin:cdi",
                              "/opt/dra-driver-sriov/modules/acme/acme.so"]
    assert yaml.safe_load(objects.configuration)["modules"][-1] == {
        "name": "acme", "module": "/opt/dra-driver-sriov/modules/acme/acme.so", "enabled": True}


def test_a_mounted_module(chart):
    objects = chart.render({"modules": modules("discovery-sysfs", "cdi") + [vendor(delivery="imageVolume", pullPolicy="Always")]})
    assert [c["name"] for c in objects.pod["initContainers"]] == ["verify-modules"]
    assert {"name": "module-acme", "image": {"reference": "images.example/acme" + DIGEST, "pullPolicy": "Always"}} in \
        objects.pod["volumes"]
    assert yaml.safe_load(objects.configuration)["modules"][-1]["module"] == "/opt/dra-driver-sriov/modules/acme/lib/acme.so"


def test_delivery_follows_the_cluster(chart):
    def first_volume(kubernetes):
        objects = chart.render({"modules": modules("discovery-sysfs", "cdi") + [vendor()]}, kubernetes=kubernetes)
        return [v for v in objects.pod["volumes"] if "module" in v["name"] and "hostPath" not in v]
    assert first_volume("1.35.2") == [{"name": "modules", "emptyDir": {"sizeLimit": "512Mi"}}]
    assert first_volume("1.36.0")[0]["name"] == "module-acme"


def test_the_upgrade_job_has_the_modules_of_the_pods(chart):
    objects = chart.render({"modules": modules("discovery-sysfs", "cdi") + [vendor(delivery="initContainer")]})
    job = objects.of("Job")["spec"]["template"]["spec"]
    assert job["initContainers"] == objects.pod["initContainers"]
    assert objects.of("ConfigMap", "-verify")["data"] == objects.of("ConfigMap", "-config")["data"]
    assert objects.of("Job")["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert [v["configMap"]["name"] for v in job["volumes"] if "configMap" in v] == ["sriov-dra-driver-sriov-verify"]


def test_a_disabled_vendor_module_is_not_fetched(chart):
    objects = chart.render({"modules": modules("discovery-sysfs", "cdi") + [{**vendor(), "enabled": False}]})
    assert "initContainers" not in objects.pod
    assert [v["name"] for v in objects.pod["volumes"] if "hostPath" not in v] == ["config"]


def test_openshift(chart):
    scc = chart.render({"openshift": {"securityContextConstraints": {"create": True}}}).of("SecurityContextConstraints")
    assert scc["users"] == [f"system:serviceaccount:{NAMESPACE}:sriov-dra-driver-sriov-service-account"]
    assert scc["allowHostPID"] is True
    minimal = chart.render(files=[FOLDER / "examples/vfio-minimal.yaml"],
                           values={"openshift": {"securityContextConstraints": {"create": True}}})
    assert minimal.of("SecurityContextConstraints")["allowedCapabilities"] == \
        minimal.container["securityContext"]["capabilities"]["add"]
    assert minimal.of("SecurityContextConstraints")["allowPrivilegedContainer"] is False


@pytest.mark.parametrize("plugin, privileged, capabilities", [
    ({"securityProfile": "privileged"}, True, ["*"]),
    ({"containers": {"plugin": {"securityContext": {"privileged": True}}}}, True, ["*"]),
    ({"containers": {"plugin": {"securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "BPF"]}}}}}, False,
     ["NET_ADMIN", "BPF"]),
    # The container has what is given instead of the profile.
    ({"securityProfile": "privileged", "containers": {"plugin": {"securityContext": {"runAsUser": 0}}}}, False, []),
])
def test_openshift_allows_the_container_as_it_is(chart, plugin, privileged, capabilities):
    objects = chart.render({"openshift": {"securityContextConstraints": {"create": True}}, "kubeletPlugin": plugin})
    assert objects.container["securityContext"].get("privileged", False) is privileged
    allows = objects.of("SecurityContextConstraints")
    assert (allows["allowPrivilegedContainer"], allows["allowedCapabilities"]) == (privileged, capabilities)


def test_builtin_modules_are_those_of_the_tree(chart):
    """A module that is added to plugins/ must be known to the chart."""
    built = {m.parent.name for m in (ROOT / "plugins").glob("*/CMakeLists.txt")
             if "drasriov_add_module(" in m.read_text(encoding="utf-8")}
    listed = {m["name"] for m in yaml.safe_load(chart.render().configuration)["modules"]}
    assert listed == built


REFUSED = [
    ({"modul": []}, "modul"),
    ({"image": {"repo": "x"}}, "repo"),
    ({"modules": []}, "modules"),
    ({"modules": [{"module": "builtin:cdi"}]}, "name"),
    ({"modules": [{"name": "Cdi", "module": "builtin:cdi"}]}, "pattern"),
    ({"modules": [{"name": "cdi", "module": "builtin:cdi", "failurePolicy": "Maybe"}]}, "failurePolicy"),
    ({"modules": [{"name": "cdi", "module": "builtin:cdi", "sha256": "0"}]}, "sha256"),
    ({"logging": {"level": 10}}, "level"),
    ({"logging": {"format": "xml"}}, "format"),
    ({"kubeletRootDirectory": "var/lib"}, "kubeletRootDirectory"),
    ({"kubeletPlugin": {"securityProfile": "none"}}, "securityProfile"),
    ({"kubeletPlugin": {"extraCapabilities": ["CAP_NET_RAW"]}}, "extraCapabilities"),
    ({"kubeletPlugin": {"hostPID": "yes"}}, "hostPID"),
    ({"kubeletPlugin": {"nriPluginIndex": 5}}, "nriPluginIndex"),
    ({"kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": 70000}}}}, "healthcheckPort"),
    ({"metrics": {"enabled": "yes"}}, "enabled"),
    ({"metrics": {"enabled": True, "port": 0}}, "port"),
    ({"metrics": {"enabled": True, "address": "[::1]:80"}}, "address"),
    ({"metrics": {"podMonitor": {}}}, "podMonitor"),
    ({"metrics": {"serviceMonitor": {"interval": "30"}}}, "interval"),
    ({"metrics": {"serviceMonitor": {"scrapeTimeout": "1 s"}}}, "scrapeTimeout"),
    ({"metrics": {"serviceMonitor": {"labels": {"a": 1}}}}, "labels"),
    ({"metrics": {"serviceMonitor": {"namespace": "x"}}}, "namespace"),
    ({"metrics": {"prometheusRule": {"disabled": ["SriovDriverUp"]}}}, "disabled"),
    ({"metrics": {"prometheusRule": {"labels": {"a": 1}}}}, "labels"),
    ({"metrics": {"prometheusRule": {"rules": []}}}, "rules"),
    ({"driver": {"name": "Bad_Name"}}, "name"),
    ({"driver": {"advertise": "some"}}, "advertise"),
    ({"driver": {"netAttachDefNamespaces": ["a/b"]}}, "netAttachDefNamespaces"),
    # Contradictions, said by the templates.
    ({"modules": modules("cdi", "cdi")}, "has this name, too"),
    ({"modules": [{"name": "x", "module": "builtin:cdii"}]}, 'there is no builtin module "cdii"'),
    ({"modules": [{"name": "x", "module": "lib/x.so"}]}, "neither builtin:NAME nor an absolute path"),
    ({"modules": [{"name": "x"}]}, "needs module"),
    ({"modules": [{**vendor(), "module": "builtin:cdi"}]}, "has module and source"),
    ({"modules": [vendor(path="acme.so")]}, "is not absolute"),
    ({"modules": [vendor(path="/a/../b.so")]}, "without //, . and .."),
    ({"modules": [vendor(path="/lib/")]}, "must name a file"),
    ({"modules": [vendor(image="images.example/acme:1")]}, "without a digest"),
    ({"modules": modules("discovery-sysfs", "netconf-cni", "cdi")}, "nothing tells it of pods"),
    ({"kubeletPlugin": {"hostPID": False}}, "need the node's processes"),
    ({"metrics": {"serviceMonitor": {"enabled": True}}}, "nothing would answer it; set metrics.enabled"),
    ({"metrics": {"enabled": True, "prometheusRule": {"enabled": True}}}, "the rules look for its job and its label node"),
    ({"metrics": {"enabled": True, "port": 51516}}, "are both 51516; give them different ports"),
]


@pytest.mark.parametrize("values, says", REFUSED)
def test_wrong_values_are_refused(chart, values, says):
    with pytest.raises(Refused, match=re.escape(says)):
        chart.render(values)


def test_namespace_default_is_refused_unless_allowed(chart):
    with pytest.raises(Refused, match="allowDefaultNamespace"):
        chart.render(namespace="default")
    assert chart.render({"allowDefaultNamespace": True}, namespace="default").of("DaemonSet")


def test_images_by_tag_may_be_allowed(chart):
    listed = modules("discovery-sysfs", "cdi") + [vendor(image="images.example/acme:1")]
    assert chart.render({"modules": listed, "allowModuleImagesWithoutDigest": True}).of("DaemonSet")


def test_old_kubernetes_is_refused(chart):
    with pytest.raises(Refused, match="kubeVersion"):
        chart.render(kubernetes="1.33.9")


def test_every_value_has_a_default_and_a_description():
    schema = yaml.safe_load((FOLDER / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
    def compare(described, given, at):
        assert described.get("description"), at
        if "properties" in described and at != "values.modules":
            assert described["additionalProperties"] is False, at
            assert set(given) == set(described["properties"]) - {"global"}, at
            for name, child in described["properties"].items():
                if name != "global":
                    compare(child, given[name], f"{at}.{name}")
    compare({**schema, "description": schema["title"]}, values, "values")


def test_the_reference_of_values_is_current():
    done = subprocess.run([ROOT / "scripts/generate-chart-docs", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
