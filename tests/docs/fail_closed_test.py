# SPDX-License-Identifier: Apache-2.0
"""The rows of docs/fail-closed.md are those of tests/process/fail_closed_test.py, each with its test."""
import ast
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1))
FILE = "fail_closed_test.py"


def rows_of_the_page():
    text = (ROOT / "docs/fail-closed.md").read_text(encoding="utf-8")
    return dict(re.findall(rf"^\| `([a-z-]+)` \|.*\| `{FILE}::(\w+)` \|$", text, re.MULTILINE))


def program():
    return ast.parse((ROOT / "tests/process" / FILE).read_text(encoding="utf-8"))


def rows_of_the_tests():
    for node in program().body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ROWS":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{FILE} has no ROWS")


class FailClosed(unittest.TestCase):
    def test_the_page_has_the_rows_of_the_tests(self):
        self.assertEqual(list(rows_of_the_page()), list(rows_of_the_tests()))

    def test_each_row_has_its_test_and_each_test_its_row(self):
        tests = {node.name for node in ast.walk(program()) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
        expected = {row: "test_" + row.replace("-", "_") for row in rows_of_the_tests()}
        self.assertEqual(rows_of_the_page(), expected)
        self.assertEqual(tests, set(expected.values()))


if __name__ == "__main__":
    unittest.main()
