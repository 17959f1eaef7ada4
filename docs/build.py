"""Build the manual as a static site in `site/`: the README, the pages of `docs/`, the notebooks, and the API.

    python docs/build.py             execute the notebooks, then build
    python docs/build.py --fast      build without executing anything

Stage notebooks are the executed copies of the jobs' runs; jobs that have not run yet are run first, on a lake
and a registry of the manual's own in `data/manual`. The library's chapters are executed one by one, without
their tests. Pages keep the places of their sources, so that links between notebooks and pages work in the
repository and on the site alike.
"""

import argparse
import inspect
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from fastcore.docments import docments
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.setdefault("RGG_DATA", str(ROOT / "data/manual"))).absolute()
SOURCE = DATA / "pages"
FILES = ("LICENSE", "MLproject", "jobs.json", "databricks.yml", "settings.ini", "requirements.lock")
JOBS = ("nightly", "explore", "hourly_sale", "realtime", "monitor", "weekly_search", "ab_test")
PACKAGES = ("core", "tfrecord", "data", "distributed", "models", "evaluation", "tuning", "serving", "jobs")
PRIVATE = Config({"KernelManager": {"transport": "ipc"}})  # files of this user instead of open TCP ports
CONFIG = """
site_name: rgg
docs_dir: {source}
site_dir: {site}
use_directory_urls: false
theme:
  name: material
  features: [navigation.tabs, navigation.indexes, content.code.copy, search.highlight]
plugins: [search]
markdown_extensions:
  - tables
  - toc: {{permalink: true}}
  - attr_list
  - md_in_html
  - pymdownx.superfences:
      custom_fences:
        - name: mermaid
          class: mermaid
          format: !!python/name:pymdownx.superfences.fence_code_format
validation: {{links: {{anchors: warn}}}}
nav:
{nav}
"""


def title(text: str) -> str:
    "Return the first heading of a page."
    return re.search(r"^# (.*)", text, re.M)[1].strip()


def write(path: str, text: str):
    "Write a page of the site's source; links to notebooks lead to their pages."
    target = SOURCE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(re.sub(r"(\]\([^)\s]*)\.ipynb", r"\1.md", text), encoding="utf-8")


def page_of(notebook, name: str) -> str:
    "Return a notebook as Markdown, its pictures written beside the page."
    body, resources = MarkdownExporter().from_notebook_node(
        notebook, {"output_files_dir": f"{Path(name).stem}_files"}
    )
    folder = (SOURCE / name).parent
    for file, data in resources["outputs"].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    return re.sub(r"\x1b\[[0-9;]*m", "", body)


def chapter(path: Path):
    "Return a library notebook as the manual shows it: without tests and directives."
    notebook = nbformat.read(path, as_version=4)
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if re.match(r"#\|\s*(test|default_exp)", cell.source):
                continue
            cell.source = re.sub(r"^#\|.*\n", "", cell.source)
        shown.append(cell)
    notebook.cells = shown
    return notebook


def execute(path: Path):
    """Return a library notebook with the outputs of its examples. Ends the program, naming the notebook, if
    one fails."""
    notebook = chapter(path)
    place = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place, config=PRIVATE)
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        sys.exit(f"{path.relative_to(ROOT)} cannot be executed: {error}")
    return notebook


def write_chapters(run: bool):
    "Write the library's chapters, a page each."
    paths = sorted(ROOT.glob("notebooks/library/*/*.ipynb"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, notebook in zip(paths, pool.map(execute if run else chapter, paths)):
            name = path.relative_to(ROOT).with_suffix(".md").as_posix()
            write(name, page_of(notebook, name))
            print(f"chapter {name}", flush=True)


def run_jobs():
    "Run the jobs that have not run yet on the manual's lake."
    rgg = [sys.executable, "-c", "from rgg_shared.jobs.cli import main; main()"]
    small = {"weekly_search": ["-p", "trials=4"], "monitor": ["--task", "monitor"]}
    for job in JOBS:
        if not any((DATA / "runs").glob(f"*-{job}-*")):
            subprocess.run([*rgg, "run", job, *small.get(job, [])], cwd=ROOT, check=True)


def executed_copy(name: str) -> Path | None:
    "Return the newest executed copy of a stage notebook among the runs."
    copies = [p for p in (DATA / "runs").rglob("*.ipynb") if title_of_copy(p) == name]
    return max(copies, key=lambda p: p.stat().st_mtime, default=None)


def title_of_copy(path: Path) -> str:
    "Return the name of the notebook of which a file is an executed copy, by its first cell."
    first = nbformat.read(path, as_version=4).cells[0].source
    if not re.search(r"^# ", first, re.M):  # papermill puts a note above a notebook that has failed
        return ""
    names = {
        title(nbformat.read(p, as_version=4).cells[0].source): p.stem for p in ROOT.glob("notebooks/*.ipynb")
    }
    return names.get(title(first), "")


def write_stages(run: bool):
    "Write the stage notebooks, executed on the manual's lake."
    if run:
        run_jobs()
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        copy = executed_copy(path.stem) if run else None
        name = path.relative_to(ROOT).with_suffix(".md").as_posix()
        write(name, page_of(nbformat.read(copy or path, as_version=4), name))


def describe(thing, name: str) -> str:
    "Return a function or class as Markdown: its signature, what it does, and its parameters."
    lines = [f"### {name}", "", inspect.getdoc(thing) or "", ""]
    function = (
        thing.__init__ if inspect.isclass(thing) and not hasattr(thing, "__dataclass_fields__") else thing
    )
    try:
        comments = docments(function, full=True)
        signature = inspect.signature(function)
    except (TypeError, ValueError, OSError):
        return "\n".join(lines)
    rows = [
        f"| `{p.name}` | {'' if p.default is p.empty else f'`{p.default!r}`'} | "
        f"{comments[p.name]['docment'] or ''} |"
        for p in signature.parameters.values()
        if p.name != "self" and p.name in comments
    ]
    return (
        "\n".join([*lines, "| parameter | default | |", "|---|---|---|", *rows, ""])
        if rows
        else "\n".join(lines)
    )


def write_api():
    "Write a page for each package: what its façade offers, by module."
    import importlib

    for package in PACKAGES:
        facade = importlib.import_module(f"rgg_shared.{package}")
        lines, module = [f"# rgg_shared.{package}", "", facade.__doc__ or "", ""], ""
        for name in sorted(facade.__all__, key=lambda n: (getattr(getattr(facade, n), "__module__", ""), n)):
            thing = getattr(facade, name)
            if not (inspect.isfunction(thing) or inspect.isclass(thing)):
                continue
            if thing.__module__ != module:
                module = thing.__module__
                lines += [f"## {module.rsplit('.', 1)[-1]}", ""]
            lines += [describe(thing, name), ""]
        write(f"api/{package}.md", "\n".join(lines))


def nav() -> str:
    "Return the navigation: the manual, the stages, the library by package, the API."
    manual = ["  - Manual:", "    - index.md", "    - CONTRIBUTING.md"]
    manual += [f"    - {p.relative_to(SOURCE)}" for p in sorted((SOURCE / "docs").glob("*.md"))]
    manual.append("    - benchmarks/results.md")
    stages = [
        "  - Stages:",
        *(f"    - {p.relative_to(SOURCE)}" for p in sorted((SOURCE / "notebooks").glob("*.md"))),
    ]
    library = ["  - Library:"]
    for package in PACKAGES:
        library.append(f"    - {package}:")
        readme = SOURCE / f"rgg_shared/{package}/README.md"
        library += [f"      - {readme.relative_to(SOURCE)}"] * readme.exists()
        pages = sorted((SOURCE / f"notebooks/library/{package}").glob("*.md"))
        library += [f"      - {p.relative_to(SOURCE)}" for p in pages]
    api = ["  - API:", *(f"    - api/{package}.md" for package in PACKAGES)]
    return "\n".join([*manual, *stages, *library, *api])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fast", action="store_true", help="build without executing anything")
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="the folder to write; default: site")
    given = parser.parse_args()
    run, site = not given.fast, given.site.absolute()
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # examples make databases of their own
    shutil.rmtree(SOURCE, ignore_errors=True)
    write("index.md", (ROOT / "README.md").read_text("utf-8"))
    for page in ("CONTRIBUTING.md", "benchmarks/results.md", *map(str, sorted(ROOT.glob("docs/*.md")))):
        path = ROOT / page
        write(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    for path in ROOT.glob("rgg_shared/*/README.md"):
        write(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    for name in (*FILES, *(p.relative_to(ROOT) for p in ROOT.glob("notebooks/sources/*.sql"))):
        (SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, SOURCE / name)
    write_stages(run)
    write_chapters(run)
    write_api()
    config = SOURCE.with_name("mkdocs.yml")
    config.write_text(CONFIG.format(source=SOURCE, site=site, nav=nav()), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--clean", "-f", str(config)], check=True
    )
    print(f"the manual is in {site}/index.html")


if __name__ == "__main__":
    main()
