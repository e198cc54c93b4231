"""The pages of the documentation lead to each other, and to files that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for folder in (".", "docs", "config", "benchmarks", "examples") for path in ROOT.glob(f"{folder}/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_lead_to_pages_that_there_are(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not re.match(r"https?:|/", link):
            assert (page.parent / link).exists(), link


def test_every_page_of_the_documentation_is_reached_from_the_readme():
    reached = set(re.findall(r"\]\(docs/(\w+\.md)", (ROOT / "README.md").read_text()))
    assert reached == {path.name for path in ROOT.glob("docs/*.md")}
