"""The manual builds, no link in it is broken, and what it says of the repository is so."""

import os
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
def folder(tmp_path_factory):
    "The manual, built without executing a notebook, in a folder of its own."
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    folder = tmp_path_factory.mktemp("manual")
    command = [sys.executable, "docs/build.py", "--fast", "--site", str(folder / "site")]
    environment = os.environ | {"RGG_DATA": str(folder / "data")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return folder / "site"


@pytest.fixture(scope="module")
def site(folder):
    "The links of the manual's pages."
    return {path: Links(path.read_text("utf-8")) for path in folder.rglob("*.html")}


def broken(site, folder):
    "Return one sentence for each link that leads nowhere on the site."
    for page, found in site.items():
        for link in sorted(found.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or page.name == "404.html":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            where = page.relative_to(folder)
            if not target.exists():
                yield f"{where}: {link} leads nowhere"
            elif parts.fragment and target in site and unquote(parts.fragment) not in site[target].places:
                yield f"{where}: {link} names a place that is not there"


def test_no_link_is_broken(site, folder):
    assert len(site) > 100
    assert list(broken(site, folder)) == []


def test_the_manual_has_a_search_index_the_chapters_and_the_api(folder):
    assert "rgg_shared" in (folder / "search/search_index.json").read_text("utf-8")
    chapter = (folder / "notebooks/library/models/05_gru.html").read_text("utf-8")
    assert "SessionGRU" in chapter and "def test_" not in chapter
    assert "run_distributed" in (folder / "api/distributed.html").read_text("utf-8")


def test_the_readme_lists_the_models_and_the_packages_and_is_short():
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", readme, re.M))
    assert {name: rows.get(name) for name in MODELS} == {name: model.title for name, model in MODELS.items()}
    packages = {path.parent.name for path in ROOT.glob("rgg_shared/*/__init__.py")}
    assert packages == set(re.findall(r"^\| `(\w+)` \| (?:engine|\*\*recommender)", readme, re.M))
    assert len(readme.split()) <= 1500
