"""Fixtures that every test shares."""

import json
import os

import nbformat
import pytest

from rgg_shared.core import use_keras_2
from rgg_shared.core.spark import get_spark, read_class_archive

use_keras_2()  # for a pytest that `make` has not started

# The JVMs of tests live for seconds: too short for code to be compiled twice, for a heap to grow,
# and for threads that collect garbage beside the others on two cores.
# Notebooks and executors inherit these settings.
JVM = f"{read_class_archive()} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xms1g -XX:MetaspaceSize=256m"
CONF = {
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": JVM,
    "spark.executor.extraJavaOptions": JVM,
}
os.environ.setdefault("RGG_SPARK_CONF", json.dumps(CONF))


def notebook(path, *cells, parameters=""):
    "Write a small notebook: its parameters cell and further cells; a cell that begins with # is a heading."
    nb = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    )
    nb.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    for cell in cells:
        new = nbformat.v4.new_markdown_cell if cell.startswith("#") else nbformat.v4.new_code_cell
        nb.cells.append(new(cell))
    nbformat.write(nb, path)
    return path


@pytest.fixture(scope="session")
def spark():
    """One Spark session for all tests; the suite's time is mostly Spark's, so it is started once.

    Spark interprets its expressions: to compile Java for a few rows takes longer. Notebooks compile."""
    conf = {
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    session = get_spark("tests", master="local[2]", conf=conf)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def small_catalogue():
    "Six known items in two categories, and one that nobody has clicked yet."
    import numpy as np

    from rgg_shared.data import Catalogue

    ids = np.array(["", "[UNK]", "a", "b", "c", "d", "e", "f", "new"], dtype=object)
    features = np.array([[0], [0], [1], [1], [1], [2], [2], [2], [1]], np.int32)
    counts = np.array([0, 0, 9, 8, 7, 6, 5, 4, 0])
    return Catalogue(ids, counts, features, (3,), np.array([0, 0, 1, 1, 1, 1, 1, 0, 1], bool))


@pytest.fixture(scope="session")
def cycles_gru(small_catalogue):
    "A small GRU that has learnt the cycle a b c and the cycle d e f, with purchases in the second."
    from rgg_shared.core import tf
    from rgg_shared.models import GRUSettings, SessionGRU

    tf.keras.utils.set_random_seed(3)
    item_index = tf.constant([[2, 3, 4, 2, 3, 4], [5, 6, 7, 5, 6, 7]] * 16)
    events = tf.constant([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 3]] * 16)
    model = SessionGRU(
        small_catalogue, GRUSettings(width=16, negatives=32, item_dropout=0.0, state_dropout=0.0)
    )
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02))
    model.fit(tf.data.Dataset.from_tensors((item_index, events)).repeat(80), verbose=0)
    return model


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """The path of a small served model: 40 items, item-1 to item-40, lists of 20, answers that depend on
    every event."""
    import numpy as np

    from rgg_shared.data import Catalogue
    from rgg_shared.models import GRUSettings, SessionGRU, export_model, serve_network

    n = 40
    ids = np.array(["", "[UNK]", *(f"item-{i}" for i in range(1, n + 1))], dtype=object)
    counts = np.concatenate([[0, 0], np.arange(n, 0, -1)])
    features = np.concatenate([[[0], [0]], np.arange(n)[:, None] % 4 + 1]).astype(np.int32)
    catalogue = Catalogue(ids, counts, features, (5,), np.array([False, False] + [True] * n))
    gru = SessionGRU(catalogue, GRUSettings(width=8, negatives=16))
    random = np.random.default_rng(
        5
    )  # initial weights are near zero; these tell every item and event type apart
    for weight in gru.trainable_variables:
        weight.assign(random.normal(0, 0.6, weight.shape))
    return export_model(
        serve_network(gru, catalogue, top_k=20), str(tmp_path_factory.mktemp("small") / "model")
    )


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    "An MLflow client with a database of its own, and the experiment `search` in it."
    import mlflow

    folder = tmp_path_factory.mktemp("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    client.create_experiment("search", (folder / "artifacts").as_uri())
    return client


@pytest.fixture(scope="session")
def bucket():
    "An S3 bucket in this process, which the environment points to."
    boto3, server = (
        pytest.importorskip("boto3"),
        pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0),
    )
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        settings = {
            "ACCESS_KEY_ID": "key",
            "SECRET_ACCESS_KEY": "secret",
            "DEFAULT_REGION": "us-east-1",
            "ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        }
        for name, value in settings.items():
            patch.setenv(f"AWS_{name}", value)
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["local", "file", "s3", "s3a", "memory"])
def folder(request, tmp_path):
    "A path for a folder that is not there yet, on each kind of storage."
    if request.param.startswith("s3"):
        request.getfixturevalue("bucket")
        return f"{request.param}://bucket/{tmp_path.name}/a folder+ü%20"
    if request.param == "memory":
        pytest.importorskip("fsspec")
        return f"memory://{tmp_path.name}/x"
    return f"{tmp_path}/a folder%20" if request.param == "local" else f"file://{tmp_path}/a folder%20"
