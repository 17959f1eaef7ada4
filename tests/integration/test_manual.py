"""The manual builds, no link in it is broken, and what it says of the repository is so."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from rgg_shared.models import MODELS

ROOT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    "The links of a page, and the places in it that can be linked to."

    def __init__(self, text):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.add(attributes[name])


@pytest.fixture(scope="module")
def site():
    "The pages of the manual, built without executing a notebook."
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    done = subprocess.run(
        [sys.executable, "docs/build.py", "--fast"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return {path: Links(path.read_text("utf-8")) for path in (ROOT / "site").rglob("*.html")}


def broken(site):
    "Return one sentence for each link that leads nowhere on the site."
    for page, found in site.items():
        for link in sorted(found.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or page.name == "404.html":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            where = page.relative_to(ROOT / "site")
            if not target.exists():
                yield f"{where}: {link} leads nowhere"
            elif parts.fragment and target in site and unquote(parts.fragment) not in site[target].places:
                yield f"{where}: {link} names a place that is not there"


def test_no_link_is_broken(site):
    assert len(site) > 100
    assert list(broken(site)) == []


def test_the_manual_has_a_search_index_the_chapters_and_the_api(site):
    root = ROOT / "site"
    assert "rgg_shared" in (root / "search/search_index.json").read_text("utf-8")
    chapter = (root / "notebooks/library/models/05_gru.html").read_text("utf-8")
    assert "SessionGRU" in chapter and "def test_" not in chapter
    assert "run_distributed" in (root / "api/distributed.html").read_text("utf-8")


def test_the_readme_lists_the_models_and_the_packages_and_is_short():
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", readme, re.M))
    assert {name: rows.get(name) for name in MODELS} == {name: model.title for name, model in MODELS.items()}
    packages = {path.parent.name for path in ROOT.glob("rgg_shared/*/__init__.py")}
    assert packages == set(re.findall(r"^\| `(\w+)` \| (?:engine|\*\*recommender)", readme, re.M))
    assert len(readme.split()) <= 1500
