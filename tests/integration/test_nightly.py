"""The job nightly on a small simulated shop, as a user runs it, and what can be done with what it leaves."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from rgg_shared.core.lake import Lake
from rgg_shared.jobs.records import load_run
from rgg_shared.serving.registry import connect, load_champion
from rgg_shared.models.table import choose_settings

SMALL = [
    'models=["gru"]',
    "days=6",
    "sessions_per_day=700",
    'settings={"gru": {"epochs": 2, "batch_size": 64, "learning_rate": 0.008}}',
    "min_count=2",
    "top_k=5",
]


SPACE = {"epochs": [1, 2], "width": [16, 24]}


def rgg(data, *arguments):
    "Run `rgg` in a process of its own, with everything it keeps below `data`."
    command = [sys.executable, "-c", "from rgg_shared.jobs.cli import main; main()", *arguments]
    # MLflow sets its variable in this process; with it a kernel would hide the output of its processes.
    hidden = ("MLFLOW_TRACKING_URI", "PYTEST_CURRENT_TEST")
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    own = {"RGG_DATA": str(data), "RGG_MASTER": "local[2]"}
    return subprocess.run(command, env=inherited | own, capture_output=True, text=True, timeout=3600)


def newest_run(data):
    return load_run("") if (data / "runs").exists() else None


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    "The data directory after one night."
    data = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RGG_DATA", str(data))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        done = rgg(data, "run", "nightly", *(word for pair in SMALL for word in ("-p", pair)))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        yield data, done.stdout


@pytest.fixture
def lake(spark, shop):
    return Lake(str(shop[0] / "lake"), spark)


def files(data):
    "The files of the lake and their number of bytes, without the names that Spark makes up."
    found = [p for p in (data / "lake").rglob("*") if p.is_file() and not p.name.startswith((".", "_"))]
    return len(found), sorted({p.relative_to(data).parts[1] for p in found})


def test_the_night_ends_with_a_champion_and_says_so(shop):
    data, said = shop
    champion = load_champion()
    run = newest_run(data)
    assert run.state == "SUCCESS" and {t["state"] for t in run.tasks.values()} == {"SUCCESS"}
    assert (
        champion.version == "1"
        and champion.run_id == run.tasks["train"]["iterations"]["0"]["values"]["run_id"]
    )
    for expected in (
        "popularity",
        "markov",
        "challenger",
        "recommender version 1 has the alias champion",
        "looked at:",
        "recommended:",
    ):
        assert expected in said
    assert all(
        Path(run.tasks[task]["notebook"]).exists()
        for task in ("simulate", "ingest", "featurize", "promote", "score")
    )


def test_no_executed_notebook_shows_warnings_of_its_tools(shop):
    notebooks = list((shop[0] / "runs").rglob("*.ipynb"))
    assert len(notebooks) > 5
    for path in notebooks:
        cells = nbformat.read(path, as_version=4).cells
        red = [out.text for cell in cells for out in cell.get("outputs", []) if out.get("name") == "stderr"]
        assert not red, f"{path.name}: {red[0][:500]}"


def test_every_row_is_an_event_or_in_quarantine(shop, lake):
    values = newest_run(shop[0]).tasks["ingest"]["values"]
    assert values["rows_in"] == lake.spark.read.text(lake.path("raw/clicks")).count()
    assert values["rows_in"] == values["events"] + values["quarantined"]
    assert (
        values["events"] == lake.read("events").count()
        and values["quarantined"] == lake.read("quarantine").count() > 0
    )


def test_two_workers_trained_in_one_cluster(shop):
    client, run_id = connect(), load_champion().run_id
    logs = [client.download_artifacts(run_id, f"logs/worker-{n}.log") for n in (0, 1)]
    first = [Path(log).read_text().splitlines()[0] for log in logs]
    clusters = [json.loads(line.split("TF_CONFIG ")[1]) for line in first]
    assert clusters[0]["cluster"] == clusters[1]["cluster"] and [c["task"]["index"] for c in clusters] == [
        0,
        1,
    ]
    assert len({line.split("process ")[1].split(",")[0] for line in first}) == 2


def test_the_run_is_documented_in_mlflow(shop):
    client, run_id = connect(), load_champion().run_id
    run = client.get_run(run_id)
    assert {"data_digest", "epochs", "num_slots", "width", "test_start"} <= run.data.params.keys()
    assert {
        "test_recall_20",
        "test_mrr_20",
        "val_recall_20",
        "test_markov_recall_20",
        "test_coverage_20",
    } <= run.data.metrics.keys()
    assert len(client.get_metric_history(run_id, "loss")) == 2
    assert {"training_curve.png", "evaluation.png"} <= {f.path for f in client.list_artifacts(run_id)}
    table = pd.read_csv(client.download_artifacts(run_id, "evaluation.csv")).set_index(
        ["method", "slice", "value"]
    )
    assert table.loc[("gru", "all", "all"), "recall_20"] == pytest.approx(
        run.data.metrics["test_recall_20"], rel=1e-4
    )
    assert {"position", "session length", "member", "shop", "category", "among all on sale"} <= set(
        table.index.get_level_values("slice")
    )
    assert table.loc[("gru", "among all on sale", "new items"), "recall_20"] > 0


def test_recommendations_are_ranked_on_sale_and_not_bought(shop, lake):
    rows = lake.read("recommendations")
    bought = lake.read("events").where("event_type = 'purchase'").select("session_id", "item_id")
    assert rows.where("rank between 1 and 5").count() == rows.count() > 0
    assert rows.join(bought, ["session_id", "item_id"]).count() == 0
    assert rows.join(lake.read("items"), "item_id", "left_anti").count() == 0
    assert [r.model_version for r in rows.select("model_version").distinct().collect()] == ["1"]


def test_a_stage_that_runs_again_does_not_grow_the_lake(shop):
    data, _ = shop
    before = files(data)
    done = rgg(data, "run", "nightly", "--task", "ingest", *(word for pair in SMALL for word in ("-p", pair)))
    assert done.returncode == 0, done.stdout[-3000:]
    assert files(data) == before


def test_every_other_job_works_on_the_same_lake(shop, lake):
    given = {
        "explore": [],
        "ab_test": ["-p", "visits=1500"],
        "realtime": [],
        "weekly_search": ["-p", "trials=2", "-p", f"space={json.dumps(SPACE)}"],
        "hourly_sale": ["-p", "top_k=5"],
        "monitor": ["-p", "threshold=99"],
    }
    scored = list((shop[0] / "lake/recommendations").rglob("*.parquet"))
    with ThreadPoolExecutor(len(given)) as pool:
        runs = dict(zip(given, pool.map(lambda job: rgg(shop[0], "run", job, *given[job]), given)))
    assert all(done.returncode == 0 for done in runs.values()), [
        done.stdout[-2000:] for done in runs.values()
    ]
    assert "clicks for the champion over popularity (95%: " in runs["ab_test"].stdout
    explored = nbformat.read(next((shop[0] / "runs").glob("*-explore-*/explore.ipynb")), as_version=4)
    outputs = [output for cell in explored.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    assert (
        lake.read("live_recommendations").count() > 0
        and lake.read("monitoring").where("drifted").count() == 0
    )
    tasks = {
        job: load_run(next((shop[0] / "runs").glob(f"*-{job}-*")).name).tasks
        for job in ("hourly_sale", "monitor")
    }
    again = list((shop[0] / "lake/recommendations").rglob("*.parquet"))
    assert len(scored) == len(again) > 0 and set(scored) != set(again), "hourly_sale has scored once more"
    assert (
        tasks["hourly_sale"]["refresh"]["values"]["candidates"] > 0
        and tasks["monitor"]["retrain"]["state"] == "EXCLUDED"
    )
    values = load_run(next((shop[0] / "runs").glob("*-weekly_search-*")).name).tasks["search"]["values"]
    assert values["best"] and choose_settings("gru", {"gru": values["best"]}), "the job takes what is printed"
    client, parent = connect(), values["search_run_id"]
    trials = client.search_runs(
        [client.get_run(parent).info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    assert [trial.info.status for trial in trials] == ["FINISHED"] * 2 and client.get_run(
        parent
    ).info.status == "FINISHED"
    assert all(
        len(client.get_metric_history(t.info.run_id, "val_mrr_20")) == int(t.data.params["epochs"])
        for t in trials
    )
    assert {"parallel_coordinates.png", "history.png", "best.json"} <= {
        f.path for f in client.list_artifacts(parent)
    }


def test_bad_input_ends_with_a_sentence_and_leaves_the_lake(shop, tmp_path):
    before = files(shop[0])
    missing = ["-p", "source=/nowhere.csv", "-p", "source_sql=notebooks/sources/yoochoose.sql"]
    given = {
        "split train would be empty": (shop[0], "--task", "featurize", "-p", "valid_days=400"),
        "The model 'recommender' has no version with the alias 'champion' yet: "
        "run the tasks train and promote first.": (tmp_path / "score", "--task", "score"),
        "Cannot read /nowhere.csv as csv": (tmp_path / "source", *missing),
    }
    with ThreadPoolExecutor(len(given)) as pool:
        runs = list(pool.map(lambda words: rgg(words[0], "run", "nightly", *words[1:]), given.values()))
    for sentence, done in zip(given, runs):
        assert (
            done.returncode == 1 and sentence in done.stdout and "Traceback" not in done.stdout
        ), done.stdout[-2000:]
    states = [line.split()[:2] for line in runs[-1].stdout.splitlines()]
    assert ["simulate", "EXCLUDED"] in states and ["ingest", "FAILED"] in states
    assert files(shop[0]) == before
