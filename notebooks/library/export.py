"""Clean every notebook, then generate rgg_shared/ and tests/ from the library's notebooks.

A notebook `notebooks/library/<package>/NN_<name>.ipynb` becomes `rgg_shared/<package>/<name>.py` and
`tests/<package>/test_<name>.py`; a package's `__init__.py`, its façade, is written by hand.

    python notebooks/library/export.py            write
    python notebooks/library/export.py --check    write nothing, exit 1 and name what has drifted
    python notebooks/library/export.py --update   bring edits of rgg_shared/*/*.py back, then write
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

import nbformat
from nbdev.clean import clean_nb
from nbdev.doclinks import _build_modidx
from nbdev.export import nb_export
from nbdev.maker import ModuleMaker
from nbdev.process import NBProcessor
from nbdev.sync import nbdev_update

ROOT = Path(__file__).resolve().parents[2]


class ExportTests:
    "The nbdev processor that collects the cells marked `#| test`."

    def begin(self):
        self.cells, self.module = [], None

    def _default_exp_(self, cell, module):
        self.module = module

    def _test_(self, cell):
        self.cells.append(cell)


def clean(path):
    "Rewrite the notebook at `path` without outputs, execution counts or metadata, but with its tags."
    nb = nbformat.read(path, as_version=4)
    clean_nb(nb, allowed_cell_metadata_keys=["tags"])
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    path.write_text(nbformat.writes(nb) + "\n", encoding="utf-8")


def rewrap(path):
    "Wrap the `__all__` of a generated module at 110 characters, which nbdev wraps at more."
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^__all__ = \[(.*?)\]\n", text, re.M | re.S)
    if found:
        names = ", ".join(name.strip() for name in found[1].split(","))
        lines = textwrap.wrap(f"__all__ = [{names}]", 110, subsequent_indent=" " * 11, break_long_words=False)
        text = text[: found.start()] + "\n".join(lines) + "\n" + text[found.end() :]
        path.write_text(text, encoding="utf-8")


def export(path):
    "Write the module and the tests of the library notebook at `path`; return their paths."
    nb_export(path, lib_path="rgg_shared")
    tests = ExportTests()
    NBProcessor(path, [tests]).process()
    package, _, name = tests.module.rpartition(".")
    written = [Path("rgg_shared", package, f"{name}.py")]
    rewrap(written[0])
    if tests.cells:
        maker = ModuleMaker(dest="tests", name=f"{package}.test_{name}", nb_path=path, parse=False)
        maker.make(tests.cells)
        written.append(Path("tests", package, f"test_{name}.py"))
    return written


def generated(root):
    "Return the files below `root` that `build` writes."
    modules = [path for path in root.glob("rgg_shared/*/*.py") if path.name != "__init__.py"]
    tests = [path for path in root.glob("tests/*/test_*.py") if path.parent.name != "integration"]
    return modules + tests


def misnamed(root):
    "Return one sentence for each library notebook whose module is not the one that its path says."
    for path in library(root):
        wanted = f"{path.parent.name}.{path.stem.split('_', 1)[-1]}"
        tests = ExportTests()
        NBProcessor(path, [tests]).process()
        if tests.module != wanted:
            yield f"{path.relative_to(root)}: exports {tests.module}, but its path says {wanted}"


def library(root):
    "Return the library's notebooks, in their order."
    return [path for path in notebooks(root) if path.match("notebooks/library/*/*.ipynb")]


def notebooks(root):
    "Return all notebooks, in their order."
    paths = sorted(root.glob("notebooks/**/*.ipynb"))
    return [path for path in paths if ".ipynb_checkpoints" not in path.parts]


def unusable(root):
    "Return one sentence for each notebook that cannot be read, or lies where none is exported or run."
    library_folder = root / "notebooks/library"
    for path in notebooks(root):
        name = path.relative_to(root).as_posix()
        depth = len(path.relative_to(library_folder).parts) if path.is_relative_to(library_folder) else 0
        if depth not in (0, 2):
            yield f"{name}: a library notebook lies in notebooks/library/PACKAGE"
        try:
            nbformat.read(path, as_version=4)
        except Exception as error:  # nbformat has many of its own
            yield f"{name}: cannot be read as a notebook ({str(error).splitlines()[0][:100]})"


def build():
    "Clean and export the tree below the working directory."
    for path in notebooks(Path()):
        clean(path)
    written = set()
    for path in library(Path()):
        written.update(export(path))
    for path in generated(Path()):
        if path not in written:
            path.unlink()


def snapshot(root):
    "Return `{relative path: bytes}` of everything `build` may touch below `root`."
    files = [*notebooks(root), *generated(root)]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def untagged(root):
    "Return the stage notebooks that lack exactly one cell tagged `parameters`."

    def count(path):
        nb = nbformat.read(path, as_version=4)
        return sum("parameters" in cell.metadata.get("tags", []) for cell in nb.cells)

    return [
        path.relative_to(root).as_posix()
        for path in sorted(root.glob("notebooks/*.ipynb"))
        if count(path) != 1
    ]


def drift():
    "Return one sentence for each file that differs from what a clean export would leave."
    before = snapshot(ROOT)
    with tempfile.TemporaryDirectory() as copy:
        for name in ("notebooks", "rgg_shared", "tests"):
            shutil.copytree(
                ROOT / name,
                Path(copy) / name,
                ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
            )
        shutil.copy(ROOT / "settings.ini", copy)
        os.chdir(copy)
        build()
        os.chdir(ROOT)
        after = snapshot(Path(copy))
    found = [
        f"{name}: differs from a clean export; run `make export`"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    found += misnamed(ROOT)
    return found + [f"{name}: needs exactly one cell tagged `parameters`" for name in untagged(ROOT)]


def update():
    "Carry edits of the generated modules back into their notebooks."
    _build_modidx()  # nbdev_update looks its modules up there; the index is of no use to anybody else
    try:
        nbdev_update()
    finally:
        Path("rgg_shared/_modidx.py").unlink()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit 1 if the tree is not what export would leave",
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="bring edits of the generated modules back into the notebooks first",
    )
    arguments = parser.parse_args()
    if found := list(unusable(ROOT)):
        sys.exit("\n".join(found))
    if arguments.check:
        found = drift()
        print("\n".join(found) or "notebooks and generated code agree")
        sys.exit(bool(found))
    os.chdir(ROOT)
    before = snapshot(ROOT)
    if arguments.update:
        update()
    build()
    after = snapshot(ROOT)
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    print("\n".join(changed) or "nothing has changed")


if __name__ == "__main__":
    main()
