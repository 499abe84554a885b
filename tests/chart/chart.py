# SPDX-License-Identifier: Apache-2.0
"""The chart as helm renders it."""
import os
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "charts/dra-driver-sriov"
EXAMPLES = sorted((FOLDER / "examples").glob("*.yaml"))
NAMESPACE = "dra-sriov-driver"
RELEASE = "sriov"
# As helm's own program calls itself without a cluster, it would render for Kubernetes 1.20.
KUBERNETES = "1.34.0"


class Refused(Exception):
    """helm ended with an error; its text."""


class Chart:
    def __init__(self, state):
        self.state = Path(state)
        self.folder = FOLDER
        self.helm_program = os.environ["DRASRIOV_HELM"]

    def helm(self, *arguments):
        """What helm prints. Its folders are the test's."""
        folders = {f"HELM_{kind}_HOME": str(self.state / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run([self.helm_program, *map(str, arguments)], capture_output=True, text=True, check=False,
                              env={**os.environ, **folders})
        if done.returncode != 0:
            raise Refused(done.stderr)
        return done.stdout

    def render(self, values=None, files=(), namespace=NAMESPACE, kubernetes=KUBERNETES, crds=False):
        """The objects of an installation, in helm's order. values: a dict, laid over the files."""
        arguments = ["template", RELEASE, FOLDER, "--namespace", namespace, "--kube-version", kubernetes]
        arguments += ["--include-crds"] if crds else []
        for file in files:
            arguments += ["--values", file]
        if values:
            given = self.state / "values.yaml"
            given.write_text(yaml.safe_dump(values), encoding="utf-8")
            arguments += ["--values", given]
        return Objects(o for o in yaml.safe_load_all(self.helm(*arguments)) if o)


class Objects(list):
    def of(self, kind, ending=""):
        """The only object of that kind whose name ends so."""
        found = [o for o in self if o["kind"] == kind and o["metadata"]["name"].endswith(ending)]
        assert len(found) == 1, [(o["kind"], o["metadata"]["name"]) for o in self]
        return found[0]

    def kinds(self):
        return {o["kind"] for o in self}

    @property
    def pod(self):
        return self.of("DaemonSet")["spec"]["template"]["spec"]

    @property
    def container(self):
        return next(c for c in self.pod["containers"] if c["name"] == "plugin")

    @property
    def configuration(self):
        """The text of the driver's configuration file."""
        return self.of("ConfigMap", "-config")["data"]["config.yaml"]

    def host_paths(self):
        return {v["hostPath"]["path"] for v in self.pod["volumes"] if "hostPath" in v}


def modules(*names, **config):
    """A list of builtin modules; config: name with _ for - → its configuration."""
    return [{"name": n, "module": f"builtin:{n}", "config": config.get(n.replace("-", "_"), {})} for n in names]
