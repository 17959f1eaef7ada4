"""Packages that are of use without the others, and the direction of the imports between all of them.

A process of its own says which packages it cannot import: `run_without` blocks them there and in every
process that it starts, so Spark's Python workers do without them too.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    "jobs",
    "tuning",
    "serving",
    "evaluation",
    "models",
    "distributed",
    "data",
    "tfrecord",
    "core",
]  # from the top
OF_OTHER_PACKAGES = ["mlflow", "tensorflow_recommenders", "papermill", "nbdev"]
LAZY = ["tensorflow", "pyspark", "numba", "mlflow"]


def run_without(blocked, code, tmp_path, *arguments):
    "Run `code` in a new process in which importing `blocked` raises ImportError; return what it prints."
    site = tmp_path / "site"
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "PYSPARK_PYTHON": sys.executable,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        cwd=tmp_path,
        timeout=900,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# Packages alone

BLOCKED = """
def is_blocked(name):
    "Return whether this process cannot import a package."
    import importlib
    try:
        importlib.import_module(name)
    except ImportError:
        return True
    return False

import sys

path, *blocked = sys.argv[1:]
assert all(is_blocked(name) for name in blocked)
"""

WRITE_AND_READ = (
    BLOCKED
    + """
from rgg_shared.core import get_spark
from rgg_shared.tfrecord import read_tfrecord, write_tfrecord

spark = get_spark("alone", master="local[2]", conf={"spark.ui.enabled": "false"})
assert all(spark.sparkContext.parallelize(blocked, 2).map(is_blocked).collect())
clicks = spark.sql('''SELECT * FROM VALUES (1L, array('a', 'b'), 0.5F), (2L, array(), NULL), (3L, NULL, 2.5F)
                      AS t(session, items, price)''')
contract = write_tfrecord(clicks, path, num_shards=2)
back = read_tfrecord(spark, path)
assert back.schema == clicks.schema, back.schema
assert back.orderBy("session").collect() == clicks.orderBy("session").collect()
spark.stop()
print("WROTE", contract.rows)
"""
)

READ_WITH_TENSORFLOW = (
    BLOCKED
    + """
from rgg_shared.tfrecord import read_dataset

batches = read_dataset(path, batch_size=3, padding={"items": "-", "price": -1.0})
[batch] = [{name: tensor.numpy().tolist() for name, tensor in batch.items()} for batch in batches]
rows = sorted(zip(batch["session"], batch["items"], batch["price"]))
assert rows == [(1, [b"a", b"b"], 0.5), (2, [b"-", b"-"], -1.0), (3, [b"-", b"-"], 2.5)], rows
print("READ", len(rows))
"""
)


def test_tfrecord_needs_nothing_of_the_other_packages_and_its_spark_side_no_tensorflow(tmp_path):
    path = tmp_path / "clicks"
    blocked = [*OF_OTHER_PACKAGES, "tensorflow"]
    assert "WROTE 3" in run_without(blocked, WRITE_AND_READ, tmp_path / "spark", path, *blocked)
    out = run_without(OF_OTHER_PACKAGES, READ_WITH_TENSORFLOW, tmp_path / "read", path, *OF_OTHER_PACKAGES)
    assert "READ 3" in out


# What a package imports

FACADES = """
import importlib
import sys

packages, lazy = (names.split(",") for names in sys.argv[1:])
for package in packages:
    facade = importlib.import_module(f"rgg_shared.{package}")
    assert dir(facade), package
    loaded = [name for name in lazy if name in sys.modules]
    print(package, *loaded)
"""


def test_importing_a_facade_loads_nothing_heavy(tmp_path):
    out = run_without([], FACADES, tmp_path, ",".join(PACKAGES), ",".join(LAZY))
    assert out.split("\n") == [*PACKAGES, ""]


def modules_of(root):
    """Return the modules below a folder: dotted name to parsed source; a package's name stands for its
    `__init__`."""
    trees = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name, path.name == "__init__.py"] = ast.parse(path.read_text("utf-8"))
    return trees


def imported_names(module, is_package, tree):
    "Yield each name below rgg_shared that a module imports, wherever the import stands."
    inner = [part for part in module.split(".") if part]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = []
            if node.level:
                steps = node.level - is_package  # a package is its own first level
                base = ["rgg_shared", *inner[: len(inner) - steps]]
            base += node.module.split(".") if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("rgg_shared.") for name in names if name.startswith("rgg_shared."))


def find_upward_imports(trees):
    "Return a sentence for each import of a package that stands above the importing one."
    sentences = []
    for (module, is_package), tree in trees.items():
        own = module.split(".")[0]
        for name in imported_names(module, is_package, tree):
            target = name.split(".")[0]
            if own in PACKAGES and target in PACKAGES and PACKAGES.index(target) < PACKAGES.index(own):
                sentences.append(f"{module} imports {name}, which is above it")
    return sentences


def test_packages_import_only_those_below_them():
    trees = modules_of(ROOT / "rgg_shared")
    assert {module.split(".")[0] for module, _ in trees} - {""} == {*PACKAGES}
    upward = find_upward_imports(trees)
    assert not upward, "\n".join(upward)


def test_only_jobs_imports_jobs():
    users = {
        module.split(".")[0]
        for (module, is_package), tree in modules_of(ROOT / "rgg_shared").items()
        for name in imported_names(module, is_package, tree)
        if name.split(".")[0] == "jobs"
    }
    assert users == {"jobs"}


@pytest.mark.parametrize(
    "statement",
    [
        "from rgg_shared.serving.gate import pass_gate",
        "from rgg_shared.serving import gate",
        "from rgg_shared import serving",
        "import rgg_shared.serving.gate",
        "from ..serving.gate import pass_gate",
        "from ..serving import gate",
        "from .. import serving",
        "def late():\n    from ..serving.gate import pass_gate",
    ],
)
def test_an_upward_import_is_found_in_every_form(statement):
    [sentence] = find_upward_imports({("models.gru", False): ast.parse(statement)})
    assert sentence.startswith("models.gru imports serving") and sentence.endswith(", which is above it")


@pytest.mark.parametrize(
    "statement",
    [
        "from ..core import UserError",
        "from .layers import Embedding",
        "import rgg_shared.data",
        "import serving",
    ],
)
def test_imports_from_below_and_from_elsewhere_are_allowed(statement):
    assert find_upward_imports({("models.gru", False): ast.parse(statement)}) == []


def test_a_facade_is_its_own_first_level():
    assert find_upward_imports({("models", True): ast.parse("from .serving import gate")}) == []
    assert find_upward_imports({("models", True): ast.parse("from ..serving import gate")}) == [
        "models imports serving.gate, which is above it"
    ]
