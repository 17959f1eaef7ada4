"""The job nightly on a small simulated shop, as a user runs it, and what can be done with what it leaves."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from helpers import run_cells, run_cells_of_job

from rgg_shared.core.delta import list_active_files, open_delta
from rgg_shared.core.lake import Lake
from rgg_shared.core.messages import UserError
from rgg_shared.core.spark import build_local_conf
from rgg_shared.core.task_values import get_task_value
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


@contextmanager
def use_partitions_of_jobs(spark):
    "Write as many files as a job does, whose Spark session is not that of the tests."
    name = "spark.sql.shuffle.partitions"
    before = spark.conf.get(name)
    spark.conf.set(name, build_local_conf()[name])
    try:
        yield
    finally:
        spark.conf.set(name, before)


@pytest.fixture
def run_here(spark, shop, tmp_path, monkeypatch):
    "Return a function that works through the notebooks of a job on the shop's lake, in this process."
    monkeypatch.setenv("RGG_TASK_VALUES", str(tmp_path))
    plt.close("all")
    with matplotlib.rc_context():
        yield partial(run_cells_of_job, lake=str(shop[0] / "lake"))
        plt.close("all")


def active_files(lake, name):
    "Return the files of a table's newest version."
    return {file["path"] for file in list_active_files(open_delta(lake.table(name)))}


def test_a_stage_that_runs_again_gives_the_same_tables_and_leaves_nothing_else(shop, lake):
    folder, tables = shop[0] / "lake", ("events", "items", "quarantine")

    def describe():
        paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        others = sorted(path for path in paths if path.parts[0] not in tables)
        return others, [len(active_files(lake, name)) for name in tables], lake.read("events").count()

    before, version = describe(), open_delta(lake.table("events")).version()
    with use_partitions_of_jobs(lake.spark):
        run_cells("10_ingest", lake=str(shop[0] / "lake"))
    assert describe() == before and open_delta(lake.table("events")).version() == version, "nothing is new"
    assert not list(shop[0].rglob("_staging/*")), "nothing is left beside the versions"


def test_exploration_draws_four_pictures(run_here):
    run_here("explore")
    axes = [plt.figure(number).axes[0] for number in plt.get_fignums()]
    titles = [one.get_title(plt.rcParams["axes.titlelocation"]) for one in axes]
    assert len(titles) == 4 and all("%" in title for title in titles), "each title says what one sees"


def test_the_champion_is_compared_with_popularity(run_here, capsys):
    results = run_here("ab_test", visits="1500")["ab_test"]["results"]
    assert {"popularity", "champion"} < set(results.index) and results["ctr"].between(0, 1).all()
    assert "clicks for the champion over popularity (95%: " in capsys.readouterr().out


def test_live_sessions_are_scored_as_in_batch(run_here, lake):
    compared = run_here("realtime")["stream"]["compared"]
    assert compared.count() > 0 and compared.where("not same").count() == 0
    assert lake.read("live_recommendations").count() > 0


def test_a_search_is_documented_in_mlflow(run_here):
    run_here("weekly_search", trials="2", space=json.dumps(SPACE))
    best, parent = (get_task_value("search", name) for name in ("best", "search_run_id"))
    assert best and choose_settings("gru", {"gru": best}), "the job takes what is printed"
    client = connect()
    trials = client.search_runs(
        [client.get_run(parent).info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    assert [trial.info.status for trial in trials] == ["FINISHED"] * 2
    assert client.get_run(parent).info.status == "FINISHED"
    assert all(
        len(client.get_metric_history(t.info.run_id, "val_mrr_20")) == int(t.data.params["epochs"])
        for t in trials
    )
    pictures = {"parallel_coordinates.png", "history.png", "best.json"}
    assert pictures <= {f.path for f in client.list_artifacts(parent)}


def test_hourly_sale_scores_once_more(run_here, lake):
    scored = active_files(lake, "recommendations")
    run_here("hourly_sale", top_k="5")
    again = active_files(lake, "recommendations")
    assert len(scored) == len(again) > 0 and scored != again
    assert get_task_value("refresh", "candidates") > 0


def test_the_monitor_retrains_only_after_a_drift(shop, lake):
    done = rgg(shop[0], "run", "monitor", "-p", "threshold=99")
    assert done.returncode == 0, done.stdout[-2000:]
    assert lake.read("monitoring").where("drifted").count() == 0
    assert newest_run(shop[0]).tasks["retrain"]["state"] == "EXCLUDED"


def test_bad_input_ends_with_a_sentence_and_leaves_the_lake(shop, tmp_path):
    before = files(shop[0])
    missing = ["-p", "source=/nowhere.csv", "-p", "source_sql=notebooks/sources/yoochoose.sql"]
    done = rgg(tmp_path, "run", "nightly", *missing)
    assert done.returncode == 1 and "Cannot read /nowhere.csv as csv" in done.stdout
    assert "Traceback" not in done.stdout
    states = [line.split()[:2] for line in done.stdout.splitlines()]
    assert ["simulate", "EXCLUDED"] in states and ["ingest", "FAILED"] in states
    with pytest.raises(UserError, match="split train would be empty"):
        run_cells("30_featurize", lake=str(shop[0] / "lake"), valid_days=400)
    assert files(shop[0]) == before


def test_scoring_without_a_champion_ends_with_a_sentence(spark, shop, tmp_path, monkeypatch):
    before = files(shop[0])
    monkeypatch.setenv("RGG_DATA", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    missing = "The model 'recommender' has no version with the alias 'champion' yet: "
    with pytest.raises(UserError, match=f"{missing}run the tasks train and promote first."):
        run_cells("60_score", lake=str(shop[0] / "lake"))
    assert files(shop[0]) == before
