# SPDX-License-Identifier: Apache-2.0
"""docs/kubelet-contract.md names a test for each rule, and each test that it names exists."""
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1))
RULES = [f"R{i}" for i in range(1, 23)]


def existing_tests():
    names = set()
    for file in (ROOT / "tests").rglob("*.cpp"):
        names |= {f"{suite}.{name}" for suite, name in
                  re.findall(r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", file.read_text(encoding="utf-8"), re.MULTILINE)}
    for folder in ("e2e", "process"):
        for file in (ROOT / "tests" / folder).glob("*.py"):
            names |= {f"{file.name}::{name}" for name in
                      re.findall(r"^ *def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)}
    return names


def table():
    """Rule → the tests that it names."""
    text = (ROOT / "docs/kubelet-contract.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (R\d+) \| .*? \| (.*) \|$", text, re.MULTILINE)
    return {rule: re.findall(r"`([^`]+)`", tests) for rule, tests in rows}


class KubeletContract(unittest.TestCase):
    def test_every_rule_has_a_test(self):
        self.assertEqual(list(table()), RULES)
        self.assertEqual([rule for rule, tests in table().items() if not tests], [])

    def test_every_named_test_exists(self):
        existing = existing_tests()
        self.assertEqual({(rule, test) for rule, tests in table().items() for test in tests if test not in existing}, set())


if __name__ == "__main__":
    unittest.main()
