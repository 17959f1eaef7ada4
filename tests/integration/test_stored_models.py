"""Models that version 0.1 logged with MLflow still load, answer as they did, and take in new items."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rgg_shared.data import load_saved_catalogue
from rgg_shared.models import load_predictor, read_model_card, refresh_model

SESSIONS = pd.DataFrame(
    {
        "item_ids": [["a", "b"], ["d", "nobody"], []],
        "event_types": [["view", "cart"], ["view", "view"], []],
    }
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    "The folder of the stored models: gru, ranker, popularity."
    folder = tmp_path_factory.mktemp("stored")
    with tarfile.open(Path(__file__).with_name("models_of_0_1.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("model", ["gru", "ranker", "popularity"])
def test_a_stored_model_answers_as_it_did_when_it_was_logged(stored, model):
    import mlflow

    found = mlflow.pyfunc.load_model(str(stored / model)).predict(SESSIONS)
    expected = pd.DataFrame(json.loads((stored / model / "expected.json").read_text()))
    assert found.item_ids.tolist() == expected.item_ids.tolist()
    for was, now in zip(expected.scores, found.scores):
        np.testing.assert_allclose(now, was, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.purchase_intent, expected.purchase_intent, rtol=1e-4)


@pytest.mark.parametrize("model", ["gru", "ranker"])
def test_a_stored_model_takes_in_new_items_by_its_weights(stored, model, tmp_path):
    path = str(stored / model / "data" / model)
    assert read_model_card(path)["model"] == model
    trained = load_saved_catalogue(path)
    grown = replace(
        trained,
        ids=np.append(trained.ids, "newer"),
        counts=np.append(trained.counts, 0),
        features=np.append(trained.features, [[2]], axis=0),
        on_sale=np.append(trained.on_sale, True),
    )
    again = load_predictor(refresh_model(path, grown, str(tmp_path / "refreshed")))
    before = load_predictor(path)
    for was, now in zip(before.ranks(SESSIONS), again.ranks(SESSIONS)):
        assert was.tolist() == now.tolist(), "known items have the ranks they had"
    np.testing.assert_allclose(
        again.predict(SESSIONS).purchase_intent, before.predict(SESSIONS).purchase_intent, rtol=1e-4
    )
    assert any("newer" in items for items in again.predict(SESSIONS).item_ids)
