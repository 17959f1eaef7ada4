"""Fixtures of the tests of `models`: examples of two cycles of items, a saved GRU, counted evidence."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from rgg_shared.core import Lake
from rgg_shared.data import write_examples
from rgg_shared.models import Evidence, SavedModelPredictor, export_model, serve_network


@pytest.fixture(scope="session")
def examples(spark, tmp_path_factory):
    "Four days of sessions that walk through one of two cycles of items; the path of their examples."
    end = datetime(2026, 3, 10, 12)
    rows = []
    for n in range(400):
        ids = [f"{'ab'[n % 2]}{(n // 2 + i) % 5}" for i in range(3 + n % 4)]
        times = [
            end - timedelta(hours=n * 96 / 400) + timedelta(minutes=i - len(ids) + 1) for i in range(len(ids))
        ]
        rows.append((f"s{n}", ids, ["view"] * len(ids), times, times[0], times[-1]))
    sessions = spark.createDataFrame(
        rows,
        "session_id string, item_ids array<string>, event_types array<string>, event_times array<timestamp>, "
        "started_at timestamp, ended_at timestamp",
    )
    lake = Lake(str(tmp_path_factory.mktemp("lake")), spark)
    lake.write(
        spark.createDataFrame(
            [(f"{c}{i}", c) for c in "ab" for i in range(5)], "item_id string, brand string"
        ),
        "items",
    )
    return write_examples(lake, sessions, shards=2).path


@pytest.fixture(scope="session")
def saved(cycles_gru, small_catalogue, tmp_path_factory):
    served = serve_network(cycles_gru, small_catalogue, top_k=5)
    return SavedModelPredictor(export_model(served, str(tmp_path_factory.mktemp("saved") / "model")))


@pytest.fixture
def evidence():
    "Of nine rows: 3 followed 2 and 4 followed 3."
    return Evidence(
        np.array([2 * 9 + 3, 3 * 9 + 4]),
        np.array([[0.5, 0.6, 0.7], [0.1, 0.2, 0.3]], np.float32),
        np.arange(36, dtype=np.float32).reshape(9, 4) / 36,
    )
