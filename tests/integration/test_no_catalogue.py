"""A click log without a catalogue: the models know items by their ids alone.

The notebooks are worked through one after the other on one Spark session, as in an interactive workspace.
"""

import csv
import io
from contextlib import redirect_stdout

import matplotlib
import pytest
from helpers import run_cells

from rgg_shared.core import find_project_root
from rgg_shared.serving import connect

LOG = find_project_root().parent / "shared/data/yoochoose-clicks-100k_train_full.txt"
SETTINGS = {
    "gru": {"epochs": 1, "width": 16, "batch_size": 64},
    "ranker": {"epochs": 1, "units": 8, "candidates": 20},
}


def copy_part(source, target):
    "Copy one in thirty sessions of a click log."
    with open(source, newline="") as log, open(target, "w", newline="") as part:
        header, *rows = csv.reader(log, delimiter="\t")
        kept = [row for row in rows if int(row[0]) // 10 % 30 == 0]
        csv.writer(part, delimiter="\t").writerows([header, *kept])


@pytest.fixture(scope="module")
def night(spark, tmp_path_factory):
    "The globals of each notebook at its end, by notebook and for 40_train by model, and what was printed."
    if not LOG.exists():
        pytest.skip(f"the public click log {LOG.name} is not here")
    folder = tmp_path_factory.mktemp("night")
    copy_part(LOG, folder / "clicks.txt")
    shared, printed, done = {"lake": str(folder / "lake")}, io.StringIO(), {}
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context(), redirect_stdout(printed):
        patch.setenv("RGG_DATA", str(folder / "data"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        source = {"source": str(folder / "clicks.txt"), "source_sql": "notebooks/sources/yoochoose.sql"}
        done["10_ingest"] = run_cells("10_ingest", **shared, **source)
        done["30_featurize"] = run_cells("30_featurize", **shared)
        for model in SETTINGS:
            done[model] = run_cells("40_train", **shared, model=model, settings=SETTINGS, night="tonight")
        done["50_promote"] = run_cells("50_promote", **shared, night="tonight")
        yield done, printed.getvalue()


def test_both_models_are_trained_on_two_slots_and_the_gate_decides(night):
    done, said = night
    assert {done[model]["run"].run_id for model in SETTINGS} == done["50_promote"]["trained"].keys()
    for model in SETTINGS:
        logs = connect().list_artifacts(done[model]["run"].run_id, "logs")
        assert [log.path for log in logs] == ["logs/worker-0.log", "logs/worker-1.log"]
    assert "SIGSEGV" not in said
    measured = done["50_promote"]["measured"]
    assert measured.keys() == {"popularity", "popularity_last_day", "markov", "challenger"}
    assert len({metrics["positions"] for metrics in measured.values()}) == 1
    assert done["50_promote"]["decision"].reason


def test_the_retrieval_under_the_ranker_is_that_of_the_night(night):
    done, _ = night
    client, ranker = connect(), done["ranker"]["run"].run_id
    assert client.get_run(ranker).data.tags["retrieval_run"] == done["gru"]["run"].run_id
    assert not client.get_metric_history(ranker, "retrieval_loss"), "it is not trained again"
