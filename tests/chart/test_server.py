# SPDX-License-Identifier: Apache-2.0
"""A real API server takes every object that the chart makes; helm installs, upgrades and removes it."""
import copy

import pytest
import yaml

from chart import EXAMPLES, FOLDER, NAMESPACE, RELEASE, ROOT, Refused, modules
from cluster import manifests
from harness.control_plane import wait_for

VENDOR = {"name": "acme", "source": {"image": "images.example/acme@sha256:" + "0123456789abcdef" * 4, "path": "/lib/acme.so",
                                     "delivery": "initContainer"}}
MATRIX = {
    "defaults": ({}, ()),
    **{example.stem: ({}, (example,)) for example in EXAMPLES},
    "minimal profile with networks": ({"kubeletPlugin": {"securityProfile": "minimal"}}, ()),
    "CNI in the container": ({"kubeletPlugin": {"securityProfile": "minimal"}, "modules": modules(
        "discovery-sysfs", "runtime-nri", "netconf-cni", "mount-vhost", "cdi", mount_vhost={"socketDir": "/run/vhost"},
        netconf_cni={"mountNamespace": "container"})}, ()),
    "vendor module": ({"modules": modules("discovery-sysfs", "cdi") + [VENDOR]}, ()),
    "another name": ({"driver": {"name": "vf.example.com"}}, ()),
    "no probes": ({"kubeletPlugin": {"containers": {"plugin": {"healthcheckPort": -1}}}}, ()),
    "values of the Go chart": ({
        "fullnameOverride": "net", "selectorLabelsOverride": {"app": "vf"}, "imagePullSecrets": [{"name": "pull"}],
        "serviceAccount": {"annotations": {"for": "us"}}, "kubeletPlugin": {
            "podAnnotations": {"note": "text"}, "podSecurityContext": {"fsGroup": 7}, "nodeSelector": {"with": "vfs"},
            "tolerations": [{"operator": "Exists"}], "updateStrategy": {"type": "OnDelete"}, "nriPluginIndex": 17,
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "vfs", "operator": "Exists"}]}]}}},
            "containers": {"plugin": {"securityContext": {"privileged": True}, "resources": {"limits": {"cpu": 1}}}}}}, ()),
}


def test_a_monitor_that_the_cluster_does_not_know_stops_the_release(cluster, chart):
    """Before anything of it is made. The definition comes with the next test."""
    place = ("upgrade", "--install", "watched", chart.folder, "--namespace", NAMESPACE, "--kubeconfig", cluster.plane.kubeconfig,
             "--no-hooks", "--set", "metrics.enabled=true")
    with pytest.raises(Refused, match='no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1"'):
        chart.helm(*place, "--set", "metrics.serviceMonitor.enabled=true")
    found = cluster.kubectl("get", "daemonset,service,configmap,clusterrole", "-A", "-l", "app.kubernetes.io/instance=watched",
                            "-o", "name")
    assert found == ""


@pytest.mark.parametrize("values, files", MATRIX.values(), ids=MATRIX.keys())
def test_the_server_takes_every_object(cluster, chart, values, files):
    cluster.define_monitors()
    # Under names of their own: applied to the release of other tests they would be mixed with its values.
    objects = chart.render({"fullnameOverride": "probe", **values}, files, crds=True)
    said = cluster.dry_run(objects)
    assert said.count("serverside-applied") == len(objects), said


def test_the_server_refuses_what_it_does_not_know(cluster, chart):
    """That a wrong field would be seen above."""
    daemon_set = copy.deepcopy(chart.render().of("DaemonSet"))
    daemon_set["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(Refused, match="livenesProbe"):
        cluster.dry_run([daemon_set])


def test_install_upgrade_remove(cluster, chart):
    """In a namespace of its own, so that the release of the other tests stays."""
    def helm(*arguments):
        return chart.helm(*arguments, "--namespace", "other", "--kubeconfig", cluster.plane.kubeconfig)
    def own():
        """What is there of the release, and what there is of filters."""
        kinds = ("daemonset,service,configmap,serviceaccount,clusterrole,clusterrolebinding,deviceclass,validatingadmissionpolicy,"
                 "validatingadmissionpolicybinding,job")
        found = cluster.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/instance=second", "-o", "name")
        return set(found.split())
    name = "vf.example.com"
    place = ("upgrade", "--install", "second", chart.folder, "--create-namespace", "--no-hooks", "--set", f"driver.name={name}",
             "--set", "metrics.enabled=true")
    notes = helm(*place)
    assert "rollout status daemonset/second-dra-driver-sriov-kubeletplugin" in notes
    installed = own()
    assert installed == {f"{kind}/second-dra-driver-sriov{ending}" for kind, ending in (
        ("daemonset.apps", "-kubeletplugin"), ("service", "-metrics"), ("configmap", "-config"), ("serviceaccount", "-service-account"),
        ("clusterrole.rbac.authorization.k8s.io", "-role"), ("clusterrole.rbac.authorization.k8s.io", "-filters-edit"),
        ("clusterrole.rbac.authorization.k8s.io", "-filters-view"),
        ("clusterrolebinding.rbac.authorization.k8s.io", "-role-binding"),
        ("validatingadmissionpolicy.admissionregistration.k8s.io", "-own-node"),
        ("validatingadmissionpolicybinding.admissionregistration.k8s.io", "-own-node"),
        ("validatingadmissionpolicy.admissionregistration.k8s.io", "-vf-config"),
        ("validatingadmissionpolicybinding.admissionregistration.k8s.io", "-vf-config"))} | {
            f"deviceclass.resource.k8s.io/{name}"}
    helm(*place, "--set", "driver.advertise=filtered", "--set", "rbac.filterRoles=false")
    assert len(own()) == len(installed) - 2
    text = cluster.kubectl("get", "configmap", "-n", "other", "second-dra-driver-sriov-config", "-o", "jsonpath={.data.config\\.yaml}")
    assert yaml.safe_load(text)["advertise"] == "filtered"
    # As docs/install.md says: the values given before stay.
    helm("upgrade", "second", chart.folder, "--no-hooks", "--reset-then-reuse-values", "--set", "logging.level=6")
    kept = yaml.safe_load(cluster.kubectl("get", "configmap", "-n", "other", "second-dra-driver-sriov-config", "-o",
                                          "jsonpath={.data.config\\.yaml}"))
    assert (kept["driverName"], kept["advertise"], kept["verbosity"]) == (name, "filtered", 6)
    helm("uninstall", "second", "--no-hooks", "--wait")
    assert own() == set()
    # As with every chart, the definition and with it the users' filters stay.
    assert cluster.kubectl("get", "crd", "-o", "name", f"sriovresourcefilters.{name}")


def test_a_changed_definition_is_applied(cluster, nodes):
    """Helm leaves definitions as they are; docs/install.md says how they are brought up to date."""
    definition = copy.deepcopy(manifests(FOLDER / "crds")[0])
    said = "another text"
    definition["spec"]["versions"][0]["additionalPrinterColumns"][0]["description"] = said
    apply = ("apply", "--server-side", "--force-conflicts", "-f")
    try:
        cluster.kubectl(*apply, "-", text=yaml.safe_dump(definition))
        columns = cluster.kubectl("get", "crd", definition["metadata"]["name"], "-o",
                                  "jsonpath={.spec.versions[0].additionalPrinterColumns[0].description}")
        assert columns == said
    finally:
        cluster.kubectl(*apply, FOLDER / "crds")


def test_the_pod_is_made_as_the_chart_says(nodes, cluster):
    """Not only the template is taken: the DaemonSet controller got a pod for each node through admission."""
    for node in nodes:
        spec = node.pod["spec"]
        assert (spec["hostNetwork"], spec["hostPID"], spec["enableServiceLinks"]) == (True, True, False)
        assert spec["priorityClassName"] == "system-node-critical" and spec["priority"] > 10**9
        assert spec["serviceAccountName"] == f"{RELEASE}-dra-driver-sriov-service-account"
        token = next(source for volume in spec["volumes"] for source in volume.get("projected", {}).get("sources", [])
                     if "serviceAccountToken" in source)
        assert token["serviceAccountToken"]["path"] == "token"


def test_kubectl_explain_tells_of_filters(cluster, nodes):
    text = cluster.kubectl("explain", "sriovresourcefilters.spec.configs.resourceFilters.drivers")
    assert "while no claim holds it" in text


def test_users_may_edit_filters_of_their_namespace(cluster, nodes):
    """Aggregated: whoever may edit or view a namespace."""
    for role, verbs in (("edit", {"get", "list", "watch", "create", "update", "patch", "delete"}), ("view", {"get", "list", "watch"})):
        def aggregated(role=role, verbs=verbs):
            rules = cluster.admin.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")["rules"]
            return {verb for r in rules if "sriovresourcefilters" in r.get("resources", ()) for verb in r["verbs"]} == verbs
        wait_for(aggregated, f"the aggregation of {role}")


DEMOS = sorted(path.parent for path in (ROOT / "demo").glob("*/README.md"))


@pytest.mark.parametrize("folder", DEMOS, ids=[d.name for d in DEMOS])
def test_the_server_takes_the_demos(cluster, nodes, folder):
    objects = manifests(folder)
    for namespace in (o for o in objects if o["kind"] == "Namespace"):
        cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump(namespace))
    said = cluster.dry_run(objects)
    assert said.count("serverside-applied") == len(objects), said
