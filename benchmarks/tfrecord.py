"""The Spark-TFRecord bridge against its peers, on the same rows in the same run.

    python benchmarks/tfrecord.py                 the table of rates (some five minutes)
    python benchmarks/tfrecord.py --growth        memory and cost per row as the table grows (some ten minutes)
    python benchmarks/tfrecord.py --rows 200000   a quick look
    python benchmarks/tfrecord.py --markdown      the tables as they stand in results.md

Every measure is taken several times, in turn with its peers, after a first round that is thrown away; the median counts.
"""
import argparse
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil
from pyspark.sql import functions as F

from rgg_shared import tfrecord
from rgg_shared.runtime import get_spark

COLUMNS = ["cast(rand(1) * 1e7 AS bigint) AS id",
           "transform(sequence(1, 1 + cast(rand(2) * 19 AS int)), x -> cast(rand(3) * 3e6 AS bigint)) AS hist",
           "cast(rand(4) AS float) AS price",
           "concat('category-', cast(rand(5) * 50 AS int)) AS cat"]
SUMS = [F.sum("id"), F.sum(F.size("hist")), F.round(F.sum("price"), 2), F.sum(F.length("cat"))]


def rows_of(spark, rows, partitions=8):
    "The table: an id, 1 to 19 ids, a price and one of fifty categories."
    return spark.range(rows, numPartitions=partitions).selectExpr(*COLUMNS)


def in_turn(peers, repeats):
    "Seconds of each of `peers`, name to function, measured one after the other `repeats` times after one more round."
    taken = {name: [] for name in peers}
    for round in range(repeats + 1):
        for name, run in peers.items():
            start = time.perf_counter()
            run()
            if round:
                taken[name].append(time.perf_counter() - start)
    return taken


def report(title, taken, rows, claims, markdown):
    "Print the rates of `taken` and the ratios in `claims`: (name, peer, what is to be reached)."
    print(f"\n### {title}\n" if markdown else f"\n{title}")
    table = [["", "thousand rows/s, median", "best"]]
    for name, seconds in taken.items():
        table.append([name, f"{rows / statistics.median(seconds) / 1e3:,.0f}", f"{rows / min(seconds) / 1e3:,.0f}"])
    show(table, markdown)
    if claims:
        print()
        rate = {name: 1 / statistics.median(seconds) for name, seconds in taken.items()}
        show([["ratio of medians", "measured", "to reach"]]
             + [[f"{ours} ÷ {peer}", f"{rate[ours] / rate[peer]:.2f}", goal] for ours, peer, goal in claims], markdown)


def show(table, markdown):
    "Print a table whose first row is its head."
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    for number, row in enumerate(table):
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        print(f"| {' | '.join(cells)} |" if markdown else "   ".join(cells).rstrip())
        if markdown and not number:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def encode_with_tensorflow(folder):
    "The function for mapInArrow that writes its rows with tf.train.Example, one row at a time."
    def write(batches):
        import uuid

        import pyarrow as pa
        import tensorflow as tf
        ints = lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        rows = 0
        with tf.io.TFRecordWriter(f"{folder}/{uuid.uuid4()}.tfrecord") as file:
            for batch in batches:
                for row in batch.to_pylist():
                    feature = {"id": ints([row["id"]]), "hist": ints(row["hist"]),
                               "price": tf.train.Feature(float_list=tf.train.FloatList(value=[row["price"]])),
                               "cat": tf.train.Feature(bytes_list=tf.train.BytesList(value=[row["cat"].encode()]))}
                    file.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
                rows += batch.num_rows
        yield pa.record_batch({"rows": [rows]})
    return write


def writing(df, folder, rows, repeats, markdown):
    "Claims about writing."
    taken = in_turn({
        "Parquet (snappy)": lambda: df.write.mode("overwrite").parquet(f"{folder}/parquet"),
        "tfrecord": lambda: tfrecord.save(df, f"{folder}/plain", "overwrite"),
        "tfrecord, gzip": lambda: tfrecord.save(df, f"{folder}/gzip", "overwrite", codec="gzip"),
    }, repeats)
    Path(f"{folder}/tensorflow").mkdir()
    slow = in_turn({"tf.train.Example in Python": lambda: df.mapInArrow(
        encode_with_tensorflow(f"{folder}/tensorflow"), "rows long").agg(F.sum("rows")).collect()}, max(1, repeats // 3))
    report("Writing", taken | slow, rows, [
        ("tfrecord", "Parquet (snappy)", "1.7"), ("tfrecord, gzip", "Parquet (snappy)", "1.1"),
        ("tfrecord", "tf.train.Example in Python", "20")], markdown)
    sizes = {name: sum(p.stat().st_size for p in Path(folder, name).rglob("*") if p.is_file()) / rows
             for name in ("parquet", "plain", "gzip")}
    print("\nBytes a row: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()) + ".")


def reading(spark, folder, rows, repeats, markdown):
    "Claims about reading: all columns are read and aggregated, and all formats have to agree."
    tables = {"Parquet (snappy)": lambda: spark.read.parquet(f"{folder}/parquet"),
              "tfrecord": lambda: tfrecord.read(spark, f"{folder}/plain"),
              "tfrecord, gzip": lambda: tfrecord.read(spark, f"{folder}/gzip")}
    found = {name: table().agg(*SUMS).first() for name, table in tables.items()}
    if len(set(found.values())) != 1:
        raise SystemExit(f"The formats do not hold the same rows: {found}")
    taken = in_turn({name: lambda table=table: table().agg(*SUMS).first() for name, table in tables.items()}, repeats)
    report("Reading and aggregating all columns", taken, rows, [
        ("tfrecord", "Parquet (snappy)", "0.40"), ("tfrecord, gzip", "Parquet (snappy)", "0.35")], markdown)


def feeding(folder, rows, repeats, markdown):
    "Claims about tf.data."
    import tensorflow as tf

    files = [str(path) for path in sorted(Path(folder, "plain").glob("*.tfrecord"))]
    spec = {"id": tf.io.FixedLenFeature([], tf.int64), "hist": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
            "price": tf.io.FixedLenFeature([], tf.float32), "cat": tf.io.FixedLenFeature([], tf.string)}
    auto = tf.data.AUTOTUNE

    def drained(data, limit=None):
        return sum(int(batch["id"].shape[0]) for batch in (data.take(limit) if limit else data))

    def by_hand():
        read = lambda file: tf.data.TFRecordDataset(file, buffer_size=1 << 20)
        data = tf.data.Dataset.from_tensor_slices(files).interleave(read, cycle_length=8, num_parallel_calls=auto)
        return data.batch(1024).map(lambda batch: tf.io.parse_example(batch, spec), auto).prefetch(auto)

    def one_by_one():
        data = tf.data.TFRecordDataset(files).map(lambda record: tf.io.parse_single_example(record, spec))
        return data.ragged_batch(1024)

    ours = lambda: tfrecord.dataset(f"{folder}/plain", batch_size=1024, ragged=True)
    taken = in_turn({"dataset(...)": lambda: drained(ours()), "tuned by hand": lambda: drained(by_hand())}, repeats)
    part = max(1, rows // 20 // 1024)
    slow = in_turn({"map(parse_single_example)": lambda: drained(one_by_one(), part)}, max(1, repeats // 3))
    scaled = {name: [seconds * rows / (part * 1024) for seconds in times] for name, times in slow.items()}
    report("Feeding TensorFlow", taken | scaled, rows, [
        ("dataset(...)", "tuned by hand", "0.90"), ("dataset(...)", "map(parse_single_example)", "20")], markdown)


class Peak:
    "The largest resident set of this process's Python workers while the block runs, in MB."

    def __enter__(self):
        self.mb, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _watch(self):
        while not self.over.wait(0.02):
            for process in psutil.Process().children(recursive=True):
                try:
                    if "python" in process.name():
                        self.mb = max(self.mb, process.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    continue


def growth(spark, folder, sizes, markdown):
    "Peak memory of the workers and cost per row, for tables of several sizes in eight partitions."
    table = [["rows", "write, worker's peak MB", "read, worker's peak MB", "write, µs/row", "read, µs/row"]]
    tfrecord.save(rows_of(spark, 1000), f"{folder}/warm", "overwrite")
    for rows in sizes:
        df = rows_of(spark, rows)
        noop = min(in_turn({"": lambda df=df: df.write.format("noop").mode("overwrite").save()}, 1)[""])
        with Peak() as writer:
            start = time.perf_counter()
            tfrecord.save(df, f"{folder}/growth", "overwrite")
            wrote = time.perf_counter() - start - noop
        with Peak() as reader:
            start = time.perf_counter()
            tfrecord.read(spark, f"{folder}/growth").agg(*SUMS).first()
            read = time.perf_counter() - start
        table.append([f"{rows:,}", f"{writer.mb:.0f}", f"{reader.mb:.0f}", f"{wrote / rows * 1e6:.2f}", f"{read / rows * 1e6:.2f}"])
    print("\n### As the table grows\n" if markdown else "\nAs the table grows (making the rows, a `noop` write, is subtracted)")
    show(table, markdown)


def machine():
    "What the figures were taken on, in a sentence."
    import pyspark
    import tensorflow as tf

    memory = psutil.virtual_memory().total / 2**30
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr.split('"')[1]
    return (f"{psutil.cpu_count()} cores, {memory:.0f} GiB; Python {platform.python_version()}, Java {java}, "
            f"Spark {pyspark.__version__}, TensorFlow {tf.__version__}; master local[2].")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the table (default 2,000,000)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each measure is taken (default 5)")
    parser.add_argument("--growth", action="store_true", help="instead: memory and cost at 10^5, 10^6, 3*10^6 and 10^7 rows")
    parser.add_argument("--markdown", action="store_true", help="print tables for results.md")
    given = parser.parse_args()
    spark = get_spark("benchmark", master="local[2]", conf={"spark.sql.files.minPartitionNum": "8", "spark.ui.enabled": "false"})
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        if given.growth:
            growth(spark, folder, (100_000, 1_000_000, 3_000_000, 10_000_000), given.markdown)
            return
        df = rows_of(spark, given.rows).cache()
        df.agg(*SUMS).first()
        start = time.perf_counter()
        tfrecord.save(df.limit(100), f"{folder}/first")
        print(f"The first write of the session: {time.perf_counter() - start:.1f} s.")
        writing(df, folder, given.rows, given.repeats, given.markdown)
        reading(spark, folder, given.rows, given.repeats, given.markdown)
        feeding(folder, given.rows, given.repeats, given.markdown)


if __name__ == "__main__":
    main()
