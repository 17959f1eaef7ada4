"""Fixtures that every test shares."""
import pytest

from rgg_shared.runtime import get_spark


@pytest.fixture(scope="session")
def spark():
    "One Spark session for all tests; the suite's time is mostly Spark's, so it is started once."
    session = get_spark("tests", master="local[2]", conf={"spark.sql.shuffle.partitions": "2"})
    yield session
    session.stop()


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    "The path of a small served model: 40 items, item-1 to item-40, lists of 20, answers that depend on every event."
    import numpy as np

    from rgg_shared import models

    n = 40
    ids = np.array(["", "[UNK]", *(f"item-{i}" for i in range(1, n + 1))], dtype=object)
    counts = np.concatenate([[0, 0], np.arange(n, 0, -1)])
    features = np.concatenate([[[0], [0]], np.arange(n)[:, None] % 4 + 1]).astype(np.int32)
    catalogue = models.Catalogue(ids, counts, features, (5,), np.array([False, False] + [True] * n))
    gru = models.SessionGRU(catalogue, models.SessionGRUConfig(width=8, negatives=16))
    random = np.random.default_rng(5)  # initial weights are near zero; these tell every item and event type apart
    for weight in gru.trainable_variables:
        weight.assign(random.normal(0, 0.6, weight.shape))
    vectors = models.item_vectors(gru, catalogue)
    return models.save(models.Served(catalogue, gru, vectors, top_k=20), str(tmp_path_factory.mktemp("small") / "model"))
