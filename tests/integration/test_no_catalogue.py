"""A whole night on a click log without a catalogue: the models know items by their ids alone."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rgg_shared.core import find_project_root
from rgg_shared.jobs import load_run

LOG = find_project_root().parent / "shared/data/yoochoose-clicks-100k_train_full.txt"
SETTINGS = {
    "gru": {"epochs": 1, "width": 16, "batch_size": 64},
    "ranker": {"epochs": 1, "units": 8, "candidates": 20},
}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    "The run of the job nightly on one in thirty sessions of a public log."
    if not LOG.exists():
        pytest.skip(f"the public click log {LOG.name} is not here")
    folder = tmp_path_factory.mktemp("night")
    with open(LOG, newline="") as log, open(folder / "clicks.txt", "w", newline="") as part:
        header, *rows = csv.reader(log, delimiter="\t")
        csv.writer(part, delimiter="\t").writerows(
            [header, *(row for row in rows if int(row[0]) // 10 % 30 == 0)]
        )
    given = {
        "lake": str(folder / "lake"),
        "source": str(folder / "clicks.txt"),
        "source_sql": "notebooks/sources/yoochoose.sql",
        "settings": json.dumps(SETTINGS),
    }
    words = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    command = [sys.executable, "-c", "from rgg_shared.jobs.cli import main; main()", "run", "nightly", *words]
    environment = os.environ | {"RGG_DATA": str(folder / "data")}
    done = subprocess.run(
        command, env=environment, cwd=find_project_root(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RGG_DATA", str(folder / "data"))
        yield load_run(next(Path(folder, "data/runs").glob("*-nightly-*")).name), done.stdout


def test_both_models_are_trained_on_two_slots_and_the_gate_decides(night):
    run, said = night
    assert run.state == "SUCCESS"
    models = {task["values"]["model"]: task for task in run.tasks["train"]["iterations"].values()}
    assert models.keys() == {"gru", "ranker"}
    assert "popularity" in run.tasks["promote"]["values"]["summary"], (
        "the gate has compared them with the baselines"
    )
    assert "SIGSEGV" not in said


def test_the_retrieval_under_the_ranker_is_that_of_the_night(night):
    import mlflow

    from rgg_shared.serving import connect

    run, _ = night
    models = {
        task["values"]["model"]: task["values"]["run_id"]
        for task in run.tasks["train"]["iterations"].values()
    }
    assert connect().get_run(models["ranker"]).data.tags["retrieval_run"] == models["gru"]
    assert not mlflow.MlflowClient().get_metric_history(models["ranker"], "retrieval_loss"), (
        "it is not trained again"
    )
