# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on loopback, and promtool: programs of get-prometheus. What it has scraped is compared with docs/metrics.md."""
import http.client
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import yaml

from metrics_page import page_bounds, page_series

TOOLS = Path(__file__).resolve().parent
PATIENCE = 90


def get_prometheus():
    """The folder of the programs, or None."""
    done = subprocess.run(["timeout", "300", TOOLS / "get-prometheus"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr[-1000:], file=sys.stderr)
        return None
    return Path(done.stdout.strip())


def programs_of_the_run():
    """For tests that pytest runs: the folder that the tier has got from get-prometheus; without one they are skipped."""
    import pytest  # tests/process does without
    found = os.environ["DRASRIOV_PROMETHEUS"]
    if not found:
        pytest.skip("NOT TESTED: tests/tools/get-prometheus could not get Prometheus from Debian's packages")
    return Path(found)


def promtool(programs, *arguments, text=None):
    """Exit status, and what it printed."""
    done = subprocess.run([programs / "promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def ask(address, path):
    """Status and text."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Prometheus:
    """wait_for: the caller's, so that its patience is."""

    def __init__(self, programs, folder, wait_for):
        self.programs, self.folder, self.wait_for = programs, Path(folder), wait_for
        self.process = self.address = None

    def start(self, configuration):
        """configuration: the content of prometheus.yml."""
        self.folder.mkdir(parents=True)
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        code, said = promtool(self.programs, "check", "config", file)
        assert code == 0, said
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [self.programs / "prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.folder}/data",
                 "--web.listen-address=127.0.0.1:0", "--log.format=json"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for(lambda: self._listening() or self.process.poll() is not None, "Prometheus to listen")
        assert self.process.poll() is None, self.log()
        self.address = self._listening()
        self.wait_for(self._is_ready, "Prometheus to be ready")
        return self

    def stop(self):
        """Ends it; the folder stays."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _listening(self):
        """The address, as the log has it, or None."""
        for line in self.log().splitlines():
            if '"Listening on"' in line and line.endswith("}"):
                return json.loads(line)["address"]
        return None

    def _is_ready(self):
        return ask(self.address, "/-/ready")[0] == 200

    def get(self, what, **parameters):
        """The data of /api/v1/WHAT."""
        status, text = ask(self.address, f"/api/v1/{what}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, text
        return json.loads(text)["data"]

    def query(self, expression):
        """What it is now: pairs of labels and value."""
        return [(found["metric"], float(found["value"][1])) for found in self.get("query", query=expression)["result"]]

    def value(self, expression):
        """Of the only series, or None."""
        found = self.query(expression)
        assert len(found) < 2, found
        return found[0][1] if found else None

    def scraped(self):
        """The text that the only target gives, asked as the server asks."""
        [target] = self.targets()
        return ask(target["scrapeUrl"].removeprefix("http://").removesuffix("/metrics"), "/metrics")[1]

    def targets(self):
        return self.get("targets", state="active")["activeTargets"]

    def alerts(self):
        """Name → state, of those that are pending or firing."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self.get("alerts")["alerts"]}

    def check_series(self, names, target_labels):
        """Each has been scraped, with the kind and exactly the labels that the page says, beside the target's; a histogram has the
        page's bounds and counts up."""
        def right():
            return not self._differences(names, target_labels)
        try:
            # A scrape that comes too late takes all series away until the next.
            self.wait_for(right, "the series of the page")
        except AssertionError:
            raise AssertionError(self._differences(names, target_labels)) from None

    def _differences(self, names, target_labels):
        found = []

        def same(name, what, expected, got):
            if expected != got:
                found.append(f"{name}: {what} {got}, not {expected}")
        for name in sorted(names):
            kind, labels = page_series()[name]
            same(name, "kind", {kind}, {entry["type"] for entry in self.get("metadata", metric=name).get(name, ())})
            parts = {name: ()} if kind != "histogram" else {f"{name}_sum": (), f"{name}_count": (), f"{name}_bucket": ("le",)}
            for part, more in parts.items():
                same(part, "labels", [sorted({"__name__", *labels, *target_labels, *more})],
                     sorted({tuple(sorted(series)): sorted(series) for series, _ in self.query(part)}.values()))
            if kind == "histogram":
                # Prometheus 3 writes 1.0 for a bound of 1.
                same(name, "bounds", {float(bound) for bound in (*page_bounds(), "+Inf")},
                     {float(series["le"]) for series, _ in self.query(f"{name}_bucket")})
                same(name, "unequal counts", [], self.query(f'{name}_bucket{{le="+Inf"}} != ignoring(le) {name}_count'))
        return found
