# SPDX-License-Identifier: Apache-2.0
"""The whole program's metrics as Prometheus has them: its lint of the text, a server that scrapes the port, and docs/metrics.md
asked of its API."""
import os
import re
import signal
import sys
import unittest
from pathlib import Path

from metrics_test import VF, get
from node import Node, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from metrics_page import page_series  # noqa: E402 - a folder that other tests use as well
from prometheus import Prometheus, get_prometheus, promtool  # noqa: E402

# The runtime and its CNI plugins are in tests/e2e/test_metrics.py.
ELSEWHERE = {"drasriov_module_cni_seconds", "drasriov_module_hook_seconds", "drasriov_module_runtime_connected"}
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


class PrometheusTest(unittest.TestCase):
    programs = None

    def setUp(self):
        self.node = Node(config="metricsPort: 0\n")
        self.addCleanup(self.node.close)
        self.process = self.node.start()
        self.port = int(wait_for(lambda: re.search(r"metrics over HTTP on 127\.0\.0\.1, port (\d+)", self.node.log()),
                                 "the endpoint")[1])

    def text(self):
        return get(self.port)[2]

    def devices(self, name):
        return self.node.path("machine/sys/bus/pci", name)

    def make_every_series(self):
        """Claims that succeed and fail, a scan that fails, and more events than the kernel keeps."""
        one, two = self.node.claim("one", VF), self.node.claim("two", VF)
        self.assertEqual(0, self.node.prepare(one)[0])
        self.assertNotEqual(0, self.node.prepare(two)[0], "the device is held")
        self.assertEqual(0, self.node.unprepare(one)[0])
        self.assertEqual(0, self.node.prepare(one)[0])
        touched = self.node.path("machine/sys/class/net/touched")
        os.rename(self.devices("devices"), self.devices("away"))
        with open(touched, "w", encoding="utf-8"):
            pass
        wait_for(lambda: "drasriov_scan_failures_total" in self.text(), "a failed scan")
        os.rename(self.devices("away"), self.devices("devices"))
        self.process.send_signal(signal.SIGSTOP)
        for _ in range(int(QUEUE.read_text(encoding="utf-8")) // 2 + 1):
            os.unlink(touched)
            with open(touched, "w", encoding="utf-8"):
                pass
        self.process.send_signal(signal.SIGCONT)
        wait_for(lambda: "drasriov_module_uevent_overflows_total" in self.text(), "lost events")

    def test_the_series_of_the_page_are_scraped(self):
        self.make_every_series()
        server = Prometheus(self.programs, self.node.path("prometheus"), wait_for)
        self.addCleanup(server.stop)
        server.start({"global": {"scrape_interval": "5s", "scrape_timeout": "5s"}, "scrape_configs": [
            {"job_name": "sriov", "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}]}]})
        wait_for(lambda: server.value("up") == 1, "the first scrape")
        # One that comes too late makes it down until the next.
        wait_for(lambda: [(target["health"], target["lastError"]) for target in server.targets()] == [("up", "")], "a healthy target")
        server.check_series(set(page_series()) - ELSEWHERE, {"job", "instance"})
        for expression, by, expected in (
                ('{__name__=~"drasriov_(devices_.+|filters_followed|module_uevent_.+)"}', ("__name__",), {
                    ("drasriov_devices_found",): 10, ("drasriov_devices_held",): 1, ("drasriov_devices_published",): 8,
                    ("drasriov_filters_followed",): 1, ("drasriov_module_uevent_overflows_total",): 1}),
                ("drasriov_module_up", ("module",), {("cdi",): 1, ("discovery-sysfs",): 1}),
                ("drasriov_claim_seconds_count", ("operation", "outcome"), {
                    ("prepare", "ok"): 2, ("prepare", "failed"): 1, ("unprepare", "ok"): 1})):
            def values(expression=expression, by=by):
                return {tuple(labels[name] for name in by): value for labels, value in server.query(expression)}
            # What they count follows the answers.
            wait_for(lambda expected=expected: values() == expected, f"{expected} of {expression}")
        known = {name + ending for name, (kind, _) in page_series().items()
                 for ending in (("_sum", "_count", "_bucket") if kind == "histogram" else ("",))}
        made = {name for name in server.get("label/__name__/values") if name != "up" and not name.startswith("scrape_")}
        self.assertLessEqual(made, known)
        self.node.stop(self.process)
        wait_for(lambda: server.value("up") == 0, "the driver to be missed")

    def test_promtool_has_nothing_to_say(self):
        self.make_every_series()
        text = self.text()
        self.assertEqual((0, ""), promtool(self.programs, "check", "metrics", text=text))
        # That it would: without what a series is, and with a line that is none.
        bare = re.sub(r"# HELP drasriov_devices_held .*\n", "", text)
        self.assertEqual((3, "drasriov_devices_held no help text\n"), promtool(self.programs, "check", "metrics", text=bare))
        self.assertEqual(1, promtool(self.programs, "check", "metrics", text=text + "drasriov_devices_held is 2\n")[0])


if __name__ == "__main__":
    PrometheusTest.programs = get_prometheus()
    if PrometheusTest.programs is None:
        print("SKIPPED, NOT TESTED: tests/tools/get-prometheus could not get Prometheus from Debian's packages")
        sys.exit(77)  # ctest counts it as skipped
    unittest.main(verbosity=2)
