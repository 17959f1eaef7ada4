"""Ingestion beside plain Spark on the same log, in turns: read JSON, map it, drop duplicates, write days.

    python benchmarks/ingest.py [--rows 4000000] [--rounds 3] > section.md

Plain Spark validates nothing, keeps no bad rows and has no versions. The second night brings one more file.
"""

import argparse
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from rgg_shared.core import Lake, get_spark
from rgg_shared.data import ingest

COLUMNS = ("visit", "visitor", "product", "action", "ts", "country", "device")
SCHEMA = ", ".join(f"{name} string" for name in COLUMNS)
SELECT = """SELECT visit AS session_id, visitor AS member_id, product AS item_id, action AS event_type,
  try_to_timestamp(ts) AS event_time, lower(country) AS shop, device
FROM raw"""


def write_log(spark, path: str, rows: int, first_day: str, days: int):
    "Write a log of sessions of eight clicks; one row in a thousand is a copy, one has no item."
    clicks = spark.range(rows).selectExpr(
        "concat('s', id div 8) AS visit",
        "concat('m', (id div 8) % 100003) AS visitor",
        "IF(id % 1000 = 7, '', concat('item-', pmod(xxhash64(id), 30000))) AS product",
        "CASE WHEN id % 37 = 0 THEN 'cart' WHEN id % 97 = 0 THEN 'purchase' ELSE 'view' END AS action",
        f"date_format(timestampadd(SECOND, int(pmod(xxhash64(id div 8), {days * 86400}) + 20 * (id % 8)), "
        f"timestamp'{first_day} 00:00:01'), \"yyyy-MM-dd'T'HH:mm:ss.SSS'Z'\") AS ts",
        "IF(id % 3 = 0, 'FR', 'DE') AS country",
        "IF(id % 2 = 0, 'phone', 'desktop') AS device",
    )
    copies = clicks.where("substr(visit, 2) % 125 = 0 AND device = 'phone'").limit(rows // 1000)
    clicks.union(copies).write.json(path, compression="gzip")


def run_plain_spark(spark, log: str, folder: str):
    "Read, map, deduplicate and write the log."
    spark.read.option("recursiveFileLookup", "true").schema(SCHEMA).json(log).createOrReplaceTempView("raw")
    events = spark.sql(SELECT).selectExpr("*", "to_date(event_time) AS day")
    keys = ["session_id", "item_id", "event_type", "event_time"]
    events.dropDuplicates(keys).write.partitionBy("day").parquet(f"{folder}/events")


def measure(work) -> float:
    "Return the seconds that `work` takes."
    began = time.monotonic()
    work()
    return time.monotonic() - began


def compare(spark, root: str, log: str, name: str, head: str, given):
    "Ingest `log` and read it with plain Spark, in turns, then ingest one file more; print a row."
    sql = Path(root, "clicks.sql")
    head = f"-- format: json\n-- option recursiveFileLookup: true\n-- schema: {SCHEMA}\n{head}"
    sql.write_text(f"{head}{SELECT}\n")
    plain, ours = [], []
    for number in range(given.rounds):
        folder = f"{root}/run{number}"
        lake = Lake(f"{folder}/lake", spark)
        plain.append(measure(partial(run_plain_spark, spark, log, f"{folder}/plain")))
        ours.append(measure(partial(ingest, spark, lake, log, str(sql))))
        if number < given.rounds - 1:
            shutil.rmtree(folder)
    write_log(spark, f"{log}/second", given.rows // 10, "2026-03-11", 1)
    started = time.monotonic()
    again = ingest(spark, lake, log, str(sql))
    night = time.monotonic() - started
    shutil.rmtree(f"{log}/second")
    shutil.rmtree(folder)
    figures = [f"{median(plain):.1f}", f"{median(ours):.1f}", f"{median(ours) / median(plain):.2f}"]
    print("|", " | ".join([name, *figures, f"{night:.1f}", f"{again.rows_in:,}"]), "|", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    spark = get_spark()
    with tempfile.TemporaryDirectory() as root:
        log = f"{root}/log"
        write_log(spark, f"{log}/first", given.rows, "2026-03-01", 10)
        print("| | plain Spark, s | ingest, s | ratio | second night, s | rows read in it |")
        print("| --- | --- | --- | --- | --- | --- |")
        compare(spark, root, log, "session ids are sessions", "-- sessions: unique\n", given)
        compare(spark, root, log, "ids may be used again", "", given)


if __name__ == "__main__":
    main()
