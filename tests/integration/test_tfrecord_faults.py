"""The format `tfrecord` when files are damaged, executors die and jobs are killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location(
    "tfrecord_corruption", ROOT / "benchmarks" / "tfrecord_corruption.py"
)
corruption = importlib.util.module_from_spec(spec)
spec.loader.exec_module(corruption)


@pytest.mark.parametrize("kind", corruption.KINDS)
def test_damage_never_makes_up_a_row_nor_loses_one_that_is_untouched(kind, tmp_path):
    results = [corruption.check(kind, seed, tmp_path) for seed in range(40)]
    assert any(raised for raised, *_ in results)


CLUSTER = """
import os, signal, sys
import psutil
from pyspark.sql import functions as F
from rgg_shared.tfrecord import read_tfrecord, write_tfrecord
from rgg_shared.core import get_spark
folder = sys.argv[1]
spark = get_spark("faults", master="local-cluster[2,1,1024]", conf={"spark.ui.enabled": "false"})

def fail_once(flag, what):
    "Return a function over batches that fails once, at a fourth batch: it raises, or its executor is killed."
    def pass_on(batches):
        for number, batch in enumerate(batches):
            if number == 3:
                try:
                    os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                    if what == "raise":
                        raise RuntimeError("once")
                    executor = next(p for p in psutil.Process().parents() if "java" in p.name())
                    os.kill(executor.pid, signal.SIGKILL)
                except FileExistsError:
                    pass
            yield batch
    return pass_on

spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 1000)
for what in ("raise", "kill"):
    path, flag = f"{folder}/{what}", f"{folder}/{what}.flag"
    df = spark.range(20_000, numPartitions=2).mapInArrow(fail_once(flag, what), "id long")
    contract = write_tfrecord(df, path)
    ids = [row.id for row in read_tfrecord(spark, path).collect()]
    print("RESULT", what, os.path.exists(flag), contract.rows, sorted(ids) == list(range(20_000)))
spark.stop()
"""


def environment():
    return os.environ | {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}


def test_a_write_outlives_a_task_that_fails_and_an_executor_that_is_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER, str(tmp_path)],
        env=environment(),
        timeout=900,
        capture_output=True,
        text=True,
        check=False,
    )
    for what in ("raise", "kill"):
        assert f"RESULT {what} True 20000 True" in done.stdout, done.stderr[-3000:]
        shards = {entry.name for entry in (tmp_path / what).iterdir()} - {"contract.json", "_SUCCESS"}
        assert len(shards) == 2, "no half file, no temporary folder"
        assert all(name.endswith(".tfrecord") for name in shards)
        assert (tmp_path / what / "_SUCCESS").is_file()


SLOW = """
import sys, time
from rgg_shared.tfrecord import read_tfrecord, write_tfrecord
from rgg_shared.core import get_spark
spark = get_spark("killed", master="local[2]", conf={"spark.ui.enabled": "false"})

def slow(batches):
    for batch in batches:
        yield batch
        time.sleep(1)

spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 1000)
write_tfrecord(spark.range(10**6, numPartitions=2).mapInArrow(slow, "id long"), sys.argv[1], "overwrite")
"""


def test_a_job_that_is_killed_leaves_the_old_table_and_the_next_write_cleans_up(spark, tmp_path):
    import tensorflow as tf

    from rgg_shared.tfrecord.data_source import read_tfrecord, write_tfrecord

    path = tmp_path / "x"
    write_tfrecord(spark.range(100, numPartitions=2), str(path))
    job = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(path)],
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list(path.glob("_temporary-*/part-*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    half = list(path.glob("_temporary-*/part-*"))
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert half, "the write had not begun"
    ids = lambda: sorted(row.id for row in read_tfrecord(spark, str(path)).collect())
    assert ids() == list(range(100))
    plain = tf.data.TFRecordDataset(tf.io.gfile.glob(f"{path}/*.tfrecord"))
    assert len(list(plain)) == 100
    write_tfrecord(spark.range(7, numPartitions=1), str(path), "overwrite")
    assert ids() == list(range(7))
    assert len(list(path.iterdir())) == 1 + 2
