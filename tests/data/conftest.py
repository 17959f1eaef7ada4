"""Fixtures of several test modules: a shop that ingests clicks, and the items of a small simulated shop."""
import pytest
from helpers import CLICKS, HEADER, SMALL, write_text

from rgg_shared.core import Lake
from rgg_shared.data import ingest, simulate_catalogue


@pytest.fixture
def shop(spark, tmp_path):
    class Shop:
        lake = Lake(str(tmp_path / "lake"), spark)
        sql = write_text(tmp_path / "clicks.sql", CLICKS)
        csv = str(tmp_path / "clicks.csv")

        def ingest(self, rows=None, items_sql="", items_source="", **options):
            if rows is not None:
                write_text(tmp_path / "clicks.csv", HEADER + rows)
            return ingest(spark, self.lake, self.csv, self.sql, items_source, items_sql, **options)
    return Shop()


@pytest.fixture(scope="module")
def items(spark):
    return simulate_catalogue(spark, SMALL).toPandas()
