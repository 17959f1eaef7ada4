"""The notebooks are the source: what is committed is what a clean export leaves."""

import shutil
import subprocess
import sys

import nbformat
import pytest

from rgg_shared.core.environment import find_project_root


def check(root):
    "Run `export.py --check` in a tree."
    command = [sys.executable, "notebooks/library/export.py", "--check"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    "A copy of the tree's notebooks, library and tests."
    for name in ("notebooks", "rgg_shared", "tests"):
        shutil.copytree(
            find_project_root() / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(find_project_root() / "settings.ini", tmp_path)
    return tmp_path


def change(path, edit):
    "Apply `edit` to a notebook and write it back."
    nb = nbformat.read(path, as_version=4)
    edit(nb)
    nbformat.write(nb, path)


def test_the_tree_is_what_a_clean_export_leaves():
    done = check(find_project_root())
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_of_drift_is_named(copy):
    module = copy / "rgg_shared" / "data" / "events.py"
    module.write_text(module.read_text() + "\nedited = True\n")
    code = nbformat.v4.new_output("stream", text="left over")
    change(copy / "notebooks/30_featurize.ipynb", lambda nb: nb.cells[1].update(outputs=[code]))
    change(copy / "notebooks/40_train.ipynb", lambda nb: [cell.metadata.clear() for cell in nb.cells])
    done = check(copy)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "notebooks/30_featurize.ipynb: differs from a clean export; run `make export`",
        "rgg_shared/data/events.py: differs from a clean export; run `make export`",
        "notebooks/40_train.ipynb: needs exactly one cell tagged `parameters`",
    ]


def test_a_notebook_that_cannot_be_read_or_lies_elsewhere_is_named(copy):
    (copy / "notebooks/library/core/99_broken.ipynb").write_text("{ no")
    shutil.copy(copy / "notebooks/60_score.ipynb", copy / "notebooks/library/stray.ipynb")
    done = check(copy)
    broken, stray = done.stderr.splitlines()
    assert done.returncode == 1 and stray.startswith("notebooks/library/stray.ipynb: a library notebook")
    assert broken.startswith("notebooks/library/core/99_broken.ipynb: cannot be read as a notebook")
