# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/metrics.md are the series that the code makes, with their kinds, labels and bounds; the chart's alerts use no others."""
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1))
sys.path.insert(0, str(ROOT / "tests/tools"))
from metrics_page import alerts, page_alerts, page_bounds, page_series  # noqa: E402 - a folder that other tests use as well

KINDS = {"counter_add": "counter", "gauge_set": "gauge", "histogram_observe": "histogram"}
# Of Prometheus, and of the chart's ServiceMonitor.
FOREIGN_SERIES, FOREIGN_LABELS = {"up"}, {"node", "namespace", "job", "le"}


def code_series():
    """The same of the sources: each call names its series with a text, or with a constant of its file."""
    found = {}
    for folder, prefix, always in (("host", "", []), ("plugins", "drasriov_module_", ["module"])):
        for file in (ROOT / folder).rglob("*.cpp"):
            text = file.read_text(encoding="utf-8")
            for call in re.finditer(r"\b(counter_add|gauge_set|histogram_observe)\(\s*(?:\"(\w+)\"|(k\w+))([^;]*);", text):
                function, name, constant, rest = call.groups()
                if constant:
                    name = re.search(rf'\b{constant} = "(\w+)"', text)[1]
                labels = re.findall(r'\{\s*"(\w+)",', rest)
                if re.match(r",\s*labels,", rest):
                    labels = re.findall(r'Label\{\s*"(\w+)",', text[text.rindex(" labels{", 0, call.start()):call.start()])
                series = (KINDS[function], always + labels)
                assert found.setdefault(prefix + name, series) == series, (file, name)
    return found


def base_name(name):
    """The series' name in the table."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if page_series().get(base, ("",))[0] == "histogram" else name


class Metrics(unittest.TestCase):
    def test_the_page_has_the_series_of_the_code(self):
        self.assertEqual(page_series(), code_series())
        self.assertGreater(len(page_series()), 10)

    def test_each_series_has_a_help_text(self):
        texts = dict(re.findall(r'\{"(drasriov_\w+)", "([^"\\]+\.)"\}', (ROOT / "host/telemetry/help.cpp").read_text(encoding="utf-8")))
        self.assertEqual(set(page_series()), set(texts))

    def test_the_page_has_the_bounds_of_the_code(self):
        [bounds] = re.findall(r"kBuckets = \{([^}]*)\}", (ROOT / "host/telemetry/metrics.hpp").read_text(encoding="utf-8"))
        self.assertEqual(re.split(r",\s*", bounds.strip()), page_bounds())

    def test_the_page_has_the_alerts_of_the_chart(self):
        self.assertEqual(page_alerts(), {rule["alert"]: (rule["for"], rule["labels"]["severity"]) for rule in alerts()})

    def test_names_follow_the_conventions(self):
        for name, (kind, _) in page_series().items():
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            self.assertEqual(kind == "histogram", name.endswith("_seconds"), name)

    def test_alerts_use_what_there_is(self):
        self.assertGreater(len(alerts()), 5)
        # What the chart replaces by its own: else the alerts of one release are about all of them.
        release = 'namespace="dra-sriov-driver", job="sriov-dra-dra-driver-sriov-metrics"'
        for rule in alerts():
            with self.subTest(rule["alert"]):
                names = {base_name(n) for n in re.findall(r"\b(up|drasriov_\w+)\b", rule["expr"])}
                self.assertTrue(names)
                selectors = re.findall(r"\{([^}]*)\}", rule["expr"])
                self.assertEqual(len(re.findall(r"\b(?:up|drasriov_\w+)\b", rule["expr"])), len(selectors))
                for selector in selectors:
                    self.assertTrue(selector.startswith(release), selector)
                self.assertLessEqual(names, set(page_series()) | FOREIGN_SERIES)
                known = FOREIGN_LABELS.union(*(page_series()[n][1] for n in names - FOREIGN_SERIES))
                used = set(re.findall(r'(\w+)="', rule["expr"]))
                for grouped in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
                    used |= set(re.split(r",\s*", grouped))
                used |= set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
                self.assertLessEqual(used, known)


if __name__ == "__main__":
    unittest.main()
