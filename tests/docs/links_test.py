# SPDX-License-Identifier: Apache-2.0
"""What the pages of this tree point to is there: links to files, and files and folders that are named in code spans."""
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1))
PLACES = ("cmake", "charts", "demo", "docs", "hook", "host", "plugins", "scripts", "sdk", "tests")


def pages():
    return [page for page in ROOT.rglob("*.md") if not {"build", ".git", ".cache"} & set(page.relative_to(ROOT).parts)
            and not page.relative_to(ROOT).parts[0].startswith("build-")]


def prose(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """The anchors of a page's headings, as they are made of their text."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        broken = []
        for page in pages():
            for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
                if re.match(r"[a-z]+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = (page.parent / path) if path else page
                if not target.exists() or (anchor and anchor not in anchors(target)):
                    broken.append(f"{page.relative_to(ROOT)}: {link}")
        self.assertEqual(broken, [])

    def test_named_files_are_there(self):
        missing = []
        for page in pages():
            for name in re.findall(r"`([\w.]+/[\w./-]*)`", prose(page)):
                # A program or a class is named without the ending of its source.
                found = any(list(base.glob(f"{name.rstrip('/')}{end}")) for base in (ROOT, page.parent) for end in ("", ".*"))
                if name.split("/")[0] in PLACES and not found:
                    missing.append(f"{page.relative_to(ROOT)}: {name}")
        self.assertEqual(missing, [])

    def test_there_are_pages(self):
        self.assertGreater(len(pages()), 30)


if __name__ == "__main__":
    unittest.main()
