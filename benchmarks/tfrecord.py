"""Compare the TFRecord bridge with its peers on the same rows: Parquet, tf.train.Example, tf.data by hand.

    python benchmarks/tfrecord.py --growth --markdown > section.md

Peers take turns, so that noise hits all alike, and the order turns by one with every round. A call is timed
from start to end, after the disk has caught up with the calls before; the first warms up and counts only in
the table of first calls. A ratio is one of median rates, its range is what the single rounds give. Needs
about 1 GB below the temporary directory, 4 GB with --growth.
"""

import argparse
import math
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
from pyspark.sql import functions as F

from rgg_shared.core import get_spark
from rgg_shared.tfrecord import read_dataset, read_tfrecord, write_tfrecord

CONF = {
    "spark.ui.enabled": "false",
    "spark.sql.files.minPartitionNum": "8",
}  # so every source reads 8 files in 8 tasks
TOTALS = ["sum(id)", "sum(size(hist))", "sum(price)", "sum(length(cat))"]
SECTIONS = ("write", "read", "example", "tfdata")
GROWTH = (10**5, 10**6, 3 * 10**6, 10**7)
BATCH = 1024


@dataclass
class Measure:
    "A call, and the seconds it has taken."

    name: str
    rows: int
    run: Callable
    warm: Callable | None = None  # instead of a first `run`, where that takes minutes
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def rate(self, seconds: Callable = median) -> float:
        "Thousand rows a second."
        return self.rows / seconds(self.seconds) / 1e3


def timed(call: Callable) -> float:
    "The seconds that `call` takes, with nothing left to write from before."
    os.sync()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def take_turns(repeats: int, *measures: Measure) -> tuple[Measure, ...]:
    "The measures, each warmed up once and then timed in every round."
    for measure in measures:
        measure.first = timed(measure.warm or measure.run)
    for turn in (at % len(measures) for at in range(repeats)):
        for measure in measures[turn:] + measures[:turn]:
            measure.seconds.append(timed(measure.run))
            print(
                f"{measure.name}, {measure.rows:,} rows: {measure.seconds[-1]:.2f} s",
                file=sys.stderr,
                flush=True,
            )
    return measures


def claims(title: str, *compared: tuple[Measure, Measure, float]) -> tuple:
    "The title, header and rows of a table of ours, its peer and the ratio to reach."
    rates = lambda measure: f"{measure.rate():,.0f} ({measure.rate(min):,.0f})"
    rows = []
    for ours, peer, aim in compared:
        rounds = [other / mine * ours.rows / peer.rows for mine, other in zip(ours.seconds, peer.seconds)]
        rows.append(
            [
                ours.name,
                rates(ours),
                peer.name,
                rates(peer),
                f"{ours.rate() / peer.rate():.2f}",
                f"{min(rounds):.2f} to {max(rounds):.2f}",
                f"{aim:g}",
            ]
        )
    title = f"{title}, thousand rows/s: median (best)"
    return title, ["ours", "", "peer", "", "ratio", "by round", "to reach"], rows


@contextmanager
def session():
    "A Spark session with Python workers of its own."
    spark = get_spark("benchmark", master="local[2]", conf=CONF)
    try:
        yield spark
    finally:
        spark.stop()


def examples(spark, rows: int):
    "The table that all write: always the same rows, in 8 partitions."
    return spark.range(rows, numPartitions=8).selectExpr(
        "cast(rand(1) * 1e7 as bigint) as id",
        "transform(sequence(1, 1 + cast(rand(2) * 19 as int)), i -> cast(rand(3) * 3e6 as bigint)) as hist",
        "cast(rand(4) as float) as price",
        "concat('cat-', cast(rand(5) * 50 as int)) as cat",
    )


def totals(df) -> list:
    "One number for each column."
    return list(df.selectExpr(*TOTALS).first())


def check(found: list, expected: list, where: str):
    """Stop the run unless the numbers are the same; a sum of floats depends on their order, so it may differ
    a little."""
    if not all(
        math.isclose(a, b, rel_tol=1e-9) if isinstance(b, float) else a == b for a, b in zip(found, expected)
    ):
        sys.exit(f"{where} gives {found} instead of {expected}, so its time means nothing.")


def writes(df, rows: int, folder: Path, repeats: int) -> tuple[tuple, tuple]:
    "Spark writes."
    plain, gzip, parquet = measures = take_turns(
        repeats,
        Measure("write", rows, lambda: write_tfrecord(df, f"{folder}/plain", "overwrite")),
        Measure("write gzip", rows, lambda: write_tfrecord(df, f"{folder}/gzip", "overwrite", codec="gzip")),
        Measure("write Parquet", rows, lambda: df.write.mode("overwrite").parquet(f"{folder}/parquet")),
    )
    return claims("Spark writes", (plain, parquet, 1.7), (gzip, parquet, 1.1)), measures


def reads(spark, expected: list, rows: int, folder: Path, repeats: int) -> tuple[tuple, tuple]:
    "Spark reads and adds up all columns."
    plain, gzip, parquet = measures = take_turns(
        repeats,
        Measure(
            "read", rows, lambda: check(totals(read_tfrecord(spark, f"{folder}/plain")), expected, "tfrecord")
        ),
        Measure(
            "read gzip", rows, lambda: check(totals(read_tfrecord(spark, f"{folder}/gzip")), expected, "gzip")
        ),
        Measure(
            "read Parquet",
            rows,
            lambda: check(totals(spark.read.parquet(f"{folder}/parquet")), expected, "Parquet"),
        ),
    )
    return claims(
        "Spark reads and adds up all columns", (plain, parquet, 0.4), (gzip, parquet, 0.35)
    ), measures


def example_writer(folder: str, by_row: bool) -> Callable:
    "For `mapInArrow`: writes a shard with TensorFlow's own classes, as TensorFlow's guide to TFRecord does."

    def write(batches):
        import pyarrow as pa
        import tensorflow as tf
        from pyspark import TaskContext

        rows, ints = 0, lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        with tf.io.TFRecordWriter(f"{folder}/part-{TaskContext.get().partitionId():05d}.tfrecord") as shard:
            for batch in batches:
                rows += batch.num_rows
                by_column = zip(*(column.to_pylist() for column in batch.columns))
                for id, hist, price, cat in map(dict.values, batch.to_pylist()) if by_row else by_column:
                    shard.write(
                        tf.train.Example(
                            features=tf.train.Features(
                                feature={
                                    "id": ints([id]),
                                    "hist": ints(hist),
                                    "price": tf.train.Feature(float_list=tf.train.FloatList(value=[price])),
                                    "cat": tf.train.Feature(
                                        bytes_list=tf.train.BytesList(value=[cat.encode()])
                                    ),
                                }
                            )
                        ).SerializeToString()
                    )
        yield pa.RecordBatch.from_pydict({"rows": [rows]})

    return write


def example_writes(df, ours: Measure, expected: list, folder: Path, repeats: int) -> tuple[tuple, tuple]:
    """Spark writes with a loop in Python, which is warmed up with one row in a hundred; `ours` is measured
    already."""

    def by_hand(table, by_row: bool):
        (folder / "example").mkdir(exist_ok=True)
        write = example_writer(f"{folder}/example", by_row)
        return table.mapInArrow(write, "rows bigint").agg(F.sum("rows")).first()

    name = "tf.train.Example, TFRecordWriter, {} to_pylist"
    peers = take_turns(
        repeats,
        *(
            Measure(
                name.format(kind),
                ours.rows,
                lambda by=by: by_hand(df, by),
                lambda by=by: by_hand(df.sample(0.01), by),
            )
            for kind, by in (("row by row from the batch's", True), ("columns'", False))
        ),
    )
    check(
        totals(read_tfrecord(df.sparkSession, f"{folder}/example", schema=df.schema)),
        expected,
        "tf.train.Example",
    )
    return claims(
        "Spark writes, beside TensorFlow's classes in mapInArrow", *((ours, peer, 20) for peer in peers)
    ), ()


def pipelines(files: list[str]) -> dict[str, Callable]:
    """What one would write by hand for these files: a pipeline that parses batches, and one that parses
    records."""
    import tensorflow as tf

    auto = tf.data.AUTOTUNE
    spec = {
        "id": tf.io.FixedLenFeature([], tf.int64),
        "price": tf.io.FixedLenFeature([], tf.float32),
        "hist": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
        "cat": tf.io.FixedLenFeature([], tf.string),
    }
    opened = lambda file: tf.data.TFRecordDataset(file, buffer_size=1 << 20)
    batches = lambda data: (
        data.batch(BATCH).map(lambda batch: tf.io.parse_example(batch, spec), auto).prefetch(auto)
    )
    return {
        "interleave, batch, parse_example": lambda: batches(
            tf.data.Dataset.from_tensor_slices(files).interleave(
                opened, len(files), block_length=16, num_parallel_calls=auto
            )
        ),
        "parse_single_example, padded_batch": lambda: (
            tf.data.TFRecordDataset(files)
            .map(lambda record: tf.io.parse_single_example(record, spec))
            .padded_batch(BATCH)
            .prefetch(auto)
        ),
    }


def consume(data, expected: list, where: str):
    "Pull every batch, and check the number of rows and the sum of `id`."
    found = [0, 0]
    for batch in data:
        ids = batch["id"].numpy()
        found = [found[0] + len(ids), found[1] + int(ids.sum())]
    check(found, expected, where)


def tf_data(expected: list, rows: int, folder: Path, repeats: int, slow: int) -> tuple[tuple, tuple]:
    "tf.data pulls batches of all features with dense lists; the slow pipeline takes turns of its own."
    name, path = f"dataset(batch_size={BATCH})", f"{folder}/plain"
    files = sorted(map(str, Path(path).glob("*.tfrecord")))
    make = {name: lambda: read_dataset(path, batch_size=BATCH)} | pipelines(files)
    measure = lambda name: Measure(name, rows, lambda: consume(make[name](), [rows, expected[0]], name))
    *batched, by_record = make
    ours, *tuned = measures = take_turns(repeats, *map(measure, batched))
    again, single = take_turns(slow, measure(name), measure(by_record))
    return claims(
        "tf.data reads and parses", *((ours, peer, 0.9) for peer in tuned), (again, single, 20)
    ), measures


@contextmanager
def peak_memory():
    """Within the block: a list, in the end with the most memory, in MiB, that one of Spark's Python workers
    held."""
    peak, done = [0.0], threading.Event()

    def watch():
        workers, looked = [], 0.0
        while not done.wait(0.02):
            if time.monotonic() - looked > 0.5:  # not each time: it goes through every process of the machine
                workers, looked = psutil.Process().children(recursive=True), time.monotonic()
            for worker in workers:
                with suppress(psutil.NoSuchProcess):
                    if worker.name().startswith("python"):
                        peak[0] = max(peak[0], worker.memory_info().rss / 2**20)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield peak
    done.set()
    thread.join()


def grown(rows: int, folder: Path, repeats: int) -> tuple:
    """Rows, a worker's MiB (write, read), microseconds a row (generate, write, write Parquet, read, read
    Parquet)."""
    tfr, parquet = f"{folder}/plain", f"{folder}/parquet"
    with session() as spark, peak_memory() as writing:
        df = examples(spark, rows)
        nothing, *written = take_turns(
            repeats,
            Measure("generate", rows, lambda: df.write.format("noop").mode("overwrite").save()),
            Measure("generate, write", rows, lambda: write_tfrecord(df, tfr, "overwrite")),
            Measure("generate, write Parquet", rows, lambda: df.write.mode("overwrite").parquet(parquet)),
        )
    with session() as spark, peak_memory() as reading:
        expected = totals(spark.read.parquet(parquet))
        table = lambda: read_tfrecord(
            spark, tfr, maxPartitionBytes=2**40
        )  # a task for each shard, however large
        read = take_turns(
            repeats,
            Measure("read", rows, lambda: check(totals(table()), expected, "tfrecord")),
            Measure("read Parquet", rows, lambda: totals(spark.read.parquet(parquet))),
        )
    cost = lambda measure: 1e3 / measure.rate()
    return (
        rows,
        *writing,
        *reading,
        cost(nothing),
        *(cost(m) - cost(nothing) for m in written),
        *map(cost, read),
    )


def growth(sizes: list[int], folder: Path, repeats: int) -> tuple:
    "The table of memory and cost by the number of rows."
    found = [grown(rows, folder, repeats) for rows in sizes]
    rows = [[f"{f[0]:,}", f"{f[1]:,.0f}", f"{f[2]:,.0f}", *(f"{cost:.2f}" for cost in f[3:])] for f in found]
    large = [f for f in found if f[0] >= 10**6] or found
    ratios = [f"{max(f[at] for f in large) / min(f[at] for f in large):.2f}" for at in (1, 2)]
    rows.append([f"most / least from {large[0][0]:,} on, at most 1.2", *ratios, *[""] * 5])
    title = (
        "The largest Python worker, and microseconds a row, by the number of rows in 8 partitions; "
        "they are generated, "
        "not cached, and the time for that (a write to Spark's `noop`) is taken off the writes"
    )
    return (
        title,
        ["rows", "MiB: write", "MiB: read", "generate", "write", "write Parquet", "read", "read Parquet"],
        rows,
    )


def first_calls(measures: list[Measure]) -> tuple:
    "The table of what a call takes at first."
    rows = [[m.name, f"{m.first:.2f}", f"{median(m.seconds):.2f}"] for m in measures]
    title = "First calls in their order, seconds; Spark's session is new, what numba compiles is on the disk"
    return title, ["", "first", "median after it"], rows


def facts(spark, rows: int, folder: Path) -> list[str]:
    "What the figures depend on, and the size of the files."
    java = spark.sparkContext._jvm.java.lang.System.getProperty("java.version")
    names = ("pyspark", "pyarrow", "numpy", "numba", "isal", "protobuf", "tensorflow")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    size = lambda name: sum(p.stat().st_size for p in (folder / name).rglob("part-*")) / rows
    return [
        f"Machine: {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB; Python "
        f"{platform.python_version()}, Java {java}, {versions}; Spark on local[2].",
        f"{rows:,} rows of `id` bigint, `hist` array of 1 to 19 bigint, `price` float and `cat` string, "
        f"cached in 8 "
        f"partitions; bytes a row: plain {size('plain'):.0f}, gzip {size('gzip'):.0f}, Parquet "
        f"{size('parquet'):.0f}.",
    ]


def compared(given: argparse.Namespace, folder: Path) -> tuple[list[tuple], list[str]]:
    "The tables of all sections but growth, and the facts."
    with (
        session() as spark
    ):  # numba compiles at its first call on a machine, and the session after this one loads that
        write_tfrecord(examples(spark, 1000), f"{folder}/plain", "overwrite")
        totals(read_tfrecord(spark, f"{folder}/plain"))
    with session() as spark:
        df, rows, repeats, slow = (
            examples(spark, given.rows).cache(),
            given.rows,
            given.repeats,
            given.slow_repeats,
        )
        expected = totals(df)
        written = writes(df, rows, folder, repeats)  # always: the others need its files
        sections = {
            "read": lambda: reads(spark, expected, rows, folder, repeats),
            "example": lambda: example_writes(df, written[1][0], expected, folder, slow),
            "tfdata": lambda: tf_data(expected, rows, folder, repeats, slow),
        }
        done = [written, *(section() for name, section in sections.items() if name in given.only)]
        return [*(table for table, _ in done), first_calls([m for _, ms in done for m in ms])], facts(
            spark, rows, folder
        )


def show(tables: list[tuple], notes: list[str], markdown: bool):
    "Print it all: as a section for results.md, or with aligned columns."
    command = " ".join(["python benchmarks/tfrecord.py", *sys.argv[1:]])
    print(*(["## The TFRecord bridge", f"`{command}`"] if markdown else []), *notes, sep="\n\n")
    for title, header, rows in tables:
        widths = [0 if markdown else max(map(len, column)) for column in zip(header, *rows)]
        lines = [header, ["-" * max(width, 3) for width in widths], *rows]
        print(
            f"\n{title}:\n",
            *("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines),
            sep="\n",
        )


def arguments() -> argparse.Namespace:
    "What the command line asks for."
    it = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    it.add_argument(
        "--rows", type=int, default=2_000_000, help="rows to write and read (default %(default)s)"
    )
    it.add_argument("--repeats", type=int, default=5, help="rounds (default %(default)s)")
    it.add_argument(
        "--slow-repeats", type=int, default=2, help="rounds with slow peers (default %(default)s)"
    )
    it.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="what to run; `write` always is"
    )
    it.add_argument(
        "--growth",
        nargs="*",
        type=int,
        metavar="ROWS",
        help="also memory and cost by the number of rows, "
        f"in up to 3 rounds (default ROWS: {' '.join(map(str, GROWTH))})",
    )
    it.add_argument(
        "--markdown", action="store_true", help="print a section for results.md; progress goes to stderr"
    )
    return it.parse_args()


if __name__ == "__main__":
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="rgg-tfrecord-") as below:
        tables, notes = compared(given, Path(below))
        if given.growth is not None:
            tables.append(growth(given.growth or list(GROWTH), Path(below), min(3, given.repeats)))
    show(tables, notes, given.markdown)
