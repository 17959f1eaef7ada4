"""The start of Spark's JVM with its first queries, from the archive of classes and without it, in turns.

    python benchmarks/spark_start.py [--rounds 3] > section.md

Each start is a process of its own, as a notebook is. CPU seconds are those of the JVM and its launcher.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

from rgg_shared.core.spark import read_class_archive, start_local_spark


def start_and_query():
    "Start Spark, write and read a small table, end the JVM; print wall and CPU seconds as JSON."
    began = time.monotonic()
    spark = start_local_spark("start", "local[2]", {"spark.sql.shuffle.partitions": "2"})
    with tempfile.TemporaryDirectory() as folder:
        spark.range(10).selectExpr("id", "string(id) AS name").write.parquet(f"{folder}/table")
        spark.read.parquet(f"{folder}/table").groupBy("name").count().orderBy("count").toPandas()
    jvm = spark.sparkContext._gateway.proc
    spark.stop()
    jvm.stdin.close()
    jvm.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps([time.monotonic() - began, used.ru_utime + used.ru_stime]))


def measure(options: str) -> list[float]:
    "Return wall and CPU seconds of a start with the JVM's options."
    conf = {"spark.driver.extraJavaOptions": options}
    environment = os.environ | {"RGG_SPARK_CONF": json.dumps(conf)}
    command = [sys.executable, __file__, "--once"]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="start once, in this process")
    given = parser.parse_args()
    if given.once:
        return start_and_query()
    archive = read_class_archive()
    if not archive:
        raise SystemExit("There is no archive of Spark's classes: run make first.")
    rounds = [(measure(archive), measure("")) for _ in range(given.rounds)]
    print("| | with the archive | without | ratio |\n| --- | --- | --- | --- |")
    for at, name in enumerate(("wall seconds", "CPU seconds")):
        ours, peer = (median(one[side][at] for one in rounds) for side in (0, 1))
        print(f"| {name} | {ours:.1f} | {peer:.1f} | {peer / ours:.1f} |")


if __name__ == "__main__":
    main()
