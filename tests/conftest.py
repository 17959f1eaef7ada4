"""Fixtures that every test shares."""
import pytest

from rgg_shared.runtime import get_spark


@pytest.fixture(scope="session")
def spark():
    "One Spark session for all tests; the suite's time is mostly Spark's, so it is started once."
    session = get_spark("tests", master="local[2]", conf={"spark.sql.shuffle.partitions": "2"})
    yield session
    session.stop()
