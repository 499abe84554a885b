# SPDX-License-Identifier: Apache-2.0
"""results.py FOLDER OUT TESTS…: one JUnit file of those that the guest has left. A folder of tests that did not come to its end
is an error of its own. Exit status like pytest's: 0 all passed, 1 something failed, 5 there was no test."""
import pathlib
import sys
import xml.etree.ElementTree as tree


def main(folder, out, *expected):
    suite = tree.Element("testsuite", name="vm")
    for name in expected:
        status = (folder / f"status-{name}")
        ended = status.exists() and status.read_text(encoding="ascii").strip() in ("0", "1", "5")
        junit = folder / f"junit-{name}.xml"
        if junit.exists():
            suite.extend(tree.parse(junit).getroot().iter("testcase"))
        if not ended:
            case = tree.SubElement(suite, "testcase", classname="vm", name=f"{name} comes to its end")
            tree.SubElement(case, "error", message="the guest stopped before, or took too long: see serial.log")
    cases = list(suite)
    counts = {"tests": len(cases), "failures": 0, "errors": 0, "skipped": 0}
    for case in cases:
        for key, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if case.find(child) is not None:
                counts[key] += 1
                word = "SKIPPED" if key == "skipped" else "FAILED"
                print(f"{word} vm: {case.get('name')}: {case.find(child).get('message', '')[:300]}")
                break
    for key, value in counts.items():
        suite.set(key, str(value))
    root = tree.Element("testsuites")
    root.append(suite)
    tree.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    bad = counts["failures"] + counts["errors"]
    print(f"{len(cases) - bad - counts['skipped']} passed, {bad} failed, {counts['skipped']} skipped")
    return 1 if bad else 0 if cases else 5


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), *sys.argv[2:]))
