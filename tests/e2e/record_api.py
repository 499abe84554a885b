# SPDX-License-Identifier: Apache-2.0
"""record_api.py OUT: what a real API server answers to a driver's requests, as OUT/NAME.json:

    {"about": TEXT, "kubernetes": VERSION,
     "exchanges": [{"request": {"method", "path", "headers", "body"},
                    "response": {"status", "headers", "body" or, of a watch, "lines"}}]}

Bodies are kept as text, byte for byte. Tests replay these files (tests/cluster). `tests/e2e/run --record` calls this
inside an isolated control plane; it is run again when a Kubernetes version is added, and the difference is read."""
import http.client
import json
import ssl
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

from harness.control_plane import NODE, wait_for

DRIVER = "sriovnetwork.openshift.io"
SLICES = "/apis/resource.k8s.io/v1/resourceslices"
CLAIMS = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
FILTERS = f"/apis/{DRIVER}/v1alpha1/namespaces/dra-sriov-driver/sriovresourcefilters"
CHART = Path(__file__).resolve().parent.parent.parent / "charts/dra-driver-sriov"
KEPT_HEADERS = ("content-type", "retry-after", "warning", "transfer-encoding", "content-length")
APPLY = "application/apply-patch+yaml"


class Server:
    def __init__(self, control_plane):
        url = urlsplit(control_plane.server)
        self.address = (url.hostname, url.port)
        self.context = ssl.create_default_context(cafile=control_plane.ca_file)
        self.admin = control_plane.admin_token()
        self.exchanges = []

    def call(self, method, path, body=None, token=None, content_type="application/json", keep=True, watch=False):
        """Status and body (parsed if JSON); the exchange is recorded if `keep`."""
        connection = http.client.HTTPSConnection(*self.address, context=self.context, timeout=120)
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"Accept": "application/json", "User-Agent": "dra-driver-sriov/recording"}
        if text is not None:
            headers["Content-Type"] = content_type
        connection.request(method, path, text, {**headers, "Authorization": f"Bearer {token or self.admin}"})
        response = connection.getresponse()
        answer = response.read().decode()
        connection.close()
        if keep:
            recorded = {"status": response.status,
                        "headers": {k.lower(): v for k, v in response.getheaders() if k.lower() in KEPT_HEADERS}}
            if watch and response.status == 200:
                recorded["lines"] = answer.splitlines()
            else:
                recorded["body"] = answer
            request = {"method": method, "path": path, "headers": headers}
            self.exchanges.append({"request": request | ({} if text is None else {"body": text}), "response": recorded})
        try:
            return response.status, json.loads(answer)
        except json.JSONDecodeError:
            return response.status, answer

    def setup(self, method, path, body=None, **more):
        status, answer = self.call(method, path, body, keep=False, **more)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return answer


def slice_object(name, devices, count=1, generation=1):
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name},
            "spec": {"driver": DRIVER, "nodeName": NODE,
                     "pool": {"name": NODE, "generation": generation, "resourceSliceCount": count},
                     "devices": [{"name": f"0000-08-{i // 8:02x}-{i % 8}",
                                  "attributes": {f"{DRIVER}/vfID": {"int": i}}} for i in range(devices)]}}


def claim_object(name):
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"devices": {"requests": [{"name": "vf", "exactly": {"deviceClassName": DRIVER}}]}}}


def allocation():
    return {"devices": {"results": [{"request": "vf", "driver": DRIVER, "pool": NODE, "device": "0000-08-00-2"}]},
            "nodeSelector": {"nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}]}]}}


def status_object(claim, uid=None, device="0000-08-00-2", data=None):
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
            "metadata": {"name": claim["metadata"]["name"], "namespace": "default", "uid": uid or claim["metadata"]["uid"]},
            "status": {"devices": [{
                "driver": DRIVER, "pool": NODE, "device": device, "data": data or {"kind": "VfConfig"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "Prepared", "message": "prepared",
                                "lastTransitionTime": "2026-01-02T15:04:05Z"}]}]}}


class Recorder:
    def __init__(self, server, version, out):
        self.server, self.version, self.out = server, version, out

    def keep(self, name, about):
        text = json.dumps({"about": about, "kubernetes": self.version, "exchanges": self.server.exchanges}, indent=1)
        (self.out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {[e['response']['status'] for e in self.server.exchanges]}")
        self.server.exchanges.clear()

    def lists(self):
        call, setup = self.server.call, self.server.setup
        selector = "fieldSelector=" + quote(f"spec.driver={DRIVER},spec.nodeName={NODE}")
        call("GET", f"{SLICES}?{selector}&limit=3")
        self.keep("list-empty", "a list of nothing")
        for i in range(7):
            setup("POST", SLICES, slice_object(f"page-{i}", 2))
        token = ""
        while True:
            _, answer = call("GET", f"{SLICES}?{selector}&limit=3" + (f"&continue={token}" if token else ""))
            token = answer["metadata"].get("continue", "")
            if not token:
                break
        self.keep("list-pages", "7 slices in pages of 3")
        call("GET", "/api/v1/nodes?fieldSelector=" + quote(f"metadata.name={NODE}") + "&limit=500")
        call("GET", f"/api/v1/nodes/{NODE}")
        call("GET", "/api/v1/nodes/nobody")
        self.keep("node", "one node as a list, as an object, and one that is not there")
        return selector

    def watches(self, selector, forget):
        call, setup = self.server.call, self.server.setup
        version = setup("GET", f"{SLICES}?{selector}")["metadata"]["resourceVersion"]
        changed = setup("GET", f"{SLICES}/page-0")
        changed["spec"]["devices"][0]["attributes"][f"{DRIVER}/vfID"]["int"] = 9
        setup("PUT", f"{SLICES}/page-0", changed)
        setup("DELETE", f"{SLICES}/page-1")
        setup("POST", SLICES, slice_object("page-8", 1))
        other = slice_object("other-node", 1)
        other["spec"]["nodeName"] = other["spec"]["pool"]["name"] = "node-b"
        setup("POST", SLICES, other)
        path = f"{SLICES}?{selector}&watch=true&allowWatchBookmarks=true&timeoutSeconds="
        call("GET", f"{path}6&resourceVersion={version}", watch=True)
        self.keep("watch", "changes of slices until the server ends the watch; other nodes' are left out")
        forget()
        call("GET", f"{path}5&resourceVersion=1", watch=True)
        self.keep("watch-expired", "a resource version that is gone: 410 as an event")

    def writes(self):
        call, setup = self.server.call, self.server.setup
        generated = slice_object("", 1)
        generated["metadata"] = {"generateName": "00000-"}
        _, created = call("POST", SLICES, generated)
        call("PUT", f"{SLICES}/{created['metadata']['name']}", created)
        self.keep("write", "a slice with a generated name, and an update without a change")
        call("POST", SLICES, slice_object("page-2", 1))
        self.keep("already-exists", "409 AlreadyExists")
        stale = setup("GET", f"{SLICES}/page-2")
        setup("PUT", f"{SLICES}/page-2", stale | {"spec": slice_object("page-2", 5)["spec"]})
        call("PUT", f"{SLICES}/page-2", stale)
        self.keep("conflict", "409 Conflict: an update of an old version")
        wrong = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}}
        call("DELETE", f"{SLICES}/page-2", wrong)
        call("DELETE", f"{SLICES}/nothing")
        call("DELETE", f"{SLICES}/page-2")
        self.keep("delete", "with a precondition that fails, of nothing, and as it should be")
        call("POST", SLICES, slice_object("too-many", 129))
        self.keep("invalid-slice", "422: 129 devices")
        call("POST", SLICES, '{"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "spec": {"driver"')
        self.keep("bad-request", "400: half of an object")

    def claims(self, reader):
        call, setup = self.server.call, self.server.setup
        claim = setup("POST", CLAIMS, claim_object("one"))
        status = f"{CLAIMS}/one/status?fieldManager={DRIVER}&force=true"
        call("PATCH", status, status_object(claim), content_type=APPLY)
        self.keep("apply-unallocated", "status of a claim that has no allocation")
        claim["status"] = {"allocation": allocation(), "reservedFor": [
            {"resource": "pods", "name": "pod", "uid": "00000000-0000-4000-8000-000000000001"}]}
        setup("PUT", f"{CLAIMS}/one/status", claim)
        call("GET", f"{CLAIMS}/one")
        call("GET", f"{CLAIMS}/none")
        self.keep("claim", "an allocated claim, and one that is not there")
        call("PATCH", status, status_object(claim), content_type=APPLY)
        call("PATCH", status, status_object(claim), content_type=APPLY)
        self.keep("apply", "claim status applied twice; the second changes nothing")
        call("PATCH", status, status_object(claim, uid="00000000-0000-4000-8000-00000000000f"), content_type=APPLY)
        self.keep("apply-other-uid", "claim status of a claim that was made anew")
        call("PATCH", f"{CLAIMS}/none/status?fieldManager={DRIVER}&force=true",
             status_object({"metadata": {"name": "none"}}, uid="00000000-0000-4000-8000-00000000000f"), content_type=APPLY)
        self.keep("apply-absent", "claim status of a claim that is gone")
        call("PATCH", status, status_object(claim, device="0000-08-00-3"), content_type=APPLY)
        self.keep("apply-invalid", "422: a device that is not allocated")
        call("PATCH", status, status_object(claim, data={"kind": "VfConfig", "changed": True}), content_type=APPLY, token=reader)
        self.keep("apply-unauthorized", "a user with resourceclaims/status but, from 1.36 on, without resourceclaims/driver")

    def refusals(self, reader):
        call = self.server.call
        call("GET", SLICES, token=reader)
        call("GET", SLICES, token="no-token")
        self.keep("denied", "403 and 401")

    def filters(self):
        import yaml
        call, setup = self.server.call, self.server.setup
        call("GET", FILTERS + "?limit=500")
        self.keep("crd-absent", "404 of a resource whose definition is absent: no Status object")
        with open(CHART / "crds/sriovresourcefilters.yaml", encoding="utf-8") as file:
            setup("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(file))
        until = time.monotonic() + 60
        while call("GET", FILTERS, keep=False)[0] != 200 and time.monotonic() < until:
            time.sleep(0.1)
        def sriov_filter(name, filters):
            return {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
                    "metadata": {"name": name, "namespace": "dra-sriov-driver"},
                    "spec": {"configs": [{"resourceName": "fast", "resourceFilters": filters}]}}
        call("POST", FILTERS, sriov_filter("good", [{"vendors": ["8086"], "numaNodes": ["0"]}]))
        call("POST", FILTERS, sriov_filter("bad", [{"vendors": ["0x8086"], "numaNodes": ["-1", "one"]}]))
        call("POST", FILTERS, sriov_filter("bad", [{"numaNodes": [0]}]))
        call("GET", FILTERS + "?limit=500")
        self.keep("filters", "filters: made, refused by a rule, refused for a type, listed")
        good = setup("GET", f"{FILTERS}/good")
        status = f"{FILTERS}/good/status?fieldManager={DRIVER}&force=true"

        def told(**metadata):
            return {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
                    "metadata": {"name": "good", "namespace": "dra-sriov-driver", "uid": good["metadata"]["uid"],
                                 "resourceVersion": good["metadata"]["resourceVersion"]} | metadata,
                    "status": {"conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 1, "reason": "Applied",
                                               "message": f"applied first on node {NODE}",
                                               "lastTransitionTime": "2026-01-02T15:04:05Z"}]}}
        call("PATCH", status, told(), content_type=APPLY)
        self.keep("filter-status", "a filter's status, applied")
        call("PATCH", status, told(), content_type=APPLY)
        self.keep("filter-status-stale", "the same by a second driver, which has not seen it yet")

    def events(self):
        call, setup = self.server.call, self.server.setup
        claim = setup("GET", f"{CLAIMS}/one")
        path = "/apis/events.k8s.io/v1/namespaces/default/events"
        event = {"apiVersion": "events.k8s.io/v1", "kind": "Event",
                 "metadata": {"name": "one.18d0c0ffee", "namespace": "default"},
                 "eventTime": "2026-01-02T15:04:05.000000Z", "reportingController": DRIVER,
                 "reportingInstance": f"{DRIVER}-{NODE}", "action": "Preparing", "reason": "PrepareFailed",
                 "type": "Warning", "note": "device 0000:08:00.2: busy",
                 "regarding": {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "namespace": "default",
                               "name": "one", "uid": claim["metadata"]["uid"]}}
        call("POST", path, event)
        call("PATCH", f"{path}/one.18d0c0ffee",
             {"series": {"count": 2, "lastObservedTime": "2026-01-02T15:05:05.000000Z"}},
             content_type="application/merge-patch+json")
        del event["eventTime"]
        call("POST", path, event | {"metadata": {"name": "two", "namespace": "default"}})
        self.keep("events", "an event, its repetition, and one that lacks a field")


def compact_etcd(control_plane, revision):
    """Forgets etcd's history up to now, as the API server does every 5 minutes."""
    arguments = Path(f"/proc/{control_plane.pid('etcd')}/cmdline").read_bytes().decode().split("\0")
    url = urlsplit(next(a for a in arguments if a.startswith("--client-url=")).split("=", 1)[1])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("POST", "/v3/kv/compaction", json.dumps({"revision": str(revision), "physical": True}))
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"etcd compaction: {response.status} {response.read()}")


def answers(server):
    try:
        return server.call("GET", "/readyz", keep=False)[0] == 200
    except OSError:
        return False


def reader_token(server):
    """Of a service account that may write claim status and nothing else."""
    name = {"name": "reader"}
    server.setup("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": name})
    rbac = "/apis/rbac.authorization.k8s.io/v1/"
    server.setup("POST", rbac + "clusterroles", {"metadata": name, "rules": [
        {"apiGroups": ["resource.k8s.io"], "resources": ["resourceclaims/status"], "verbs": ["patch"]}]})
    server.setup("POST", rbac + "clusterrolebindings", {
        "metadata": name, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]})
    answer = server.setup("POST", "/api/v1/namespaces/default/serviceaccounts/reader/token", {"spec": {}})
    return answer["status"]["token"]


def record(control_plane, out):
    server = Server(control_plane)
    version = server.setup("GET", "/version")["gitVersion"]
    out = Path(out) / version.rsplit(".", 1)[0].removeprefix("v")
    out.mkdir(parents=True, exist_ok=True)
    server.setup("POST", "/api/v1/namespaces", {"metadata": {"name": "dra-sriov-driver"}})
    server.setup("POST", "/api/v1/nodes", {"metadata": {"name": NODE, "labels": {"rack": "a"}}})
    server.setup("POST", "/apis/resource.k8s.io/v1/deviceclasses", {
        "metadata": {"name": DRIVER}, "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]}})
    reader = reader_token(server)
    recorder = Recorder(server, version, out)
    selector = recorder.lists()

    def forget():
        """History is gone from etcd, and from the API server's own memory of it."""
        compact_etcd(control_plane, server.setup("GET", SLICES)["metadata"]["resourceVersion"])
        with control_plane.without("kube-apiserver"):
            pass
        wait_for(lambda: answers(server), "the API server")

    recorder.watches(selector, forget)
    recorder.writes()
    recorder.claims(reader)
    recorder.refusals(reader)
    recorder.filters()
    recorder.events()


def main():
    import os

    from harness.control_plane import ControlPlane
    plane = ControlPlane(os.environ["DRASRIOV_E2E_STATE"], os.environ["DRASRIOV_TESTCLUSTER"], controllers=False)
    try:
        record(plane.start(), sys.argv[1])
    finally:
        plane.stop()


if __name__ == "__main__":
    main()
