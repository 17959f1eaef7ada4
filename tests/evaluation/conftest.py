"""What the tests of several modules of `evaluation` share: three training sessions, and their vocabulary."""
import pytest
from helpers import examples_of
from pyspark.sql import functions as F


@pytest.fixture(scope="session")
def train(spark):
    "Three sessions, the last one two days after the others."
    sessions = {"t1": ["a", "b", "c"], "t2": ["a", "b"], "t3": ["a", "c"]}
    rows = [(name, items, ["view"] * len(items)) for name, items in sessions.items()]
    ended = F.when(F.col("session_id") == "t3", F.lit("2026-03-09 12:00:00"))
    ended = ended.otherwise(F.lit("2026-03-07 12:00:00"))
    return examples_of(spark, rows).withColumn("ended_at", ended.cast("timestamp"))


@pytest.fixture(scope="session")
def vocabulary(spark):
    "Views in training, as in the catalogue: a 3, b 2, c 2."
    return spark.createDataFrame([("a", 3), ("b", 2), ("c", 2)], "item_id string, count long")
