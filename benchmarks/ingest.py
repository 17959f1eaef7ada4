"""Ingestion beside plain Spark on the same log, in turns: read JSON, map it, drop duplicates, write days.

    python benchmarks/ingest.py [--rows 4000000] [--rounds 3] > section.md

Plain Spark validates nothing, keeps no bad rows and has no versions. The second night brings one more file.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from rgg_shared.core import Lake, get_spark
from rgg_shared.data import Source, ingest

SCHEMA = "visit string, visitor string, product string, action string, ts string, country string, device string"
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
    spark.read.schema(SCHEMA).json(log).createOrReplaceTempView("raw")
    events = spark.sql(SELECT).selectExpr("*", "to_date(event_time) AS day")
    keys = ["session_id", "item_id", "event_type", "event_time"]
    events.dropDuplicates(keys).write.partitionBy("day").parquet(f"{folder}/events")


def measure(work) -> float:
    "Return the seconds that `work` takes."
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    spark = get_spark()
    with tempfile.TemporaryDirectory() as root:
        log = f"{root}/log"
        write_log(spark, f"{log}/first", given.rows, "2026-03-01", 10)
        print("| | plain Spark, s | ingest, s | ratio | rows read on the second night |")
        print("| --- | --- | --- | --- | --- |")
        for name, head in (("session ids are sessions", "-- sessions: unique\n"), ("ids may be used again", "")):
            sql = Path(root, "clicks.sql")
            sql.write_text(
                f"-- format: json\n-- option recursiveFileLookup: true\n-- schema: {SCHEMA}\n{head}{SELECT}\n"
            )
            assert Source.load(str(sql)).select
            plain, ours = [], []
            for number in range(given.rounds):
                folder = f"{root}/run{number}"
                plain.append(measure(lambda path=folder: run_plain_spark(spark, log, f"{path}/plain")))
                lake = Lake(f"{folder}/lake", spark)
                ours.append(measure(lambda lake=lake: ingest(spark, lake, log, str(sql))))
                if number < given.rounds - 1:
                    shutil.rmtree(folder)
            write_log(spark, f"{log}/second", given.rows // 10, "2026-03-11", 1)
            again = ingest(spark, lake, log, str(sql))
            shutil.rmtree(f"{log}/second")
            shutil.rmtree(folder)
            ratio = median(ours) / median(plain)
            print(f"| {name} | {median(plain):.1f} | {median(ours):.1f} | {ratio:.2f} | {again.rows_in:,} |", flush=True)


if __name__ == "__main__":
    main()
