"""Ingesting real click logs, and input that is wrong."""

from datetime import timedelta
from pathlib import Path

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from rgg_shared.core.environment import find_project_root
from rgg_shared.core.lake import Lake
from rgg_shared.data.sessions import to_sessions
from rgg_shared.data.ingestion import ingest
from rgg_shared.data.sources import choose_sources

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SMALL = {"days": 2, "sessions_per_day": 150, "items_per_day": 20}


def real(*names):
    """The paths of real click logs beside the repository, as one `source`; skips the test where they are
    missing."""
    paths = [find_project_root().parent / "shared" / "data" / name for name in names]
    if missing := [str(p) for p in paths if not p.is_file()]:
        pytest.skip(f"no {', '.join(missing)}: real data is not part of the repository")
    return ",".join(map(str, paths))


@pytest.fixture
def run(tmp_path, monkeypatch):
    "Execute a stage notebook on a lake of the test's own; its printed text comes back."
    monkeypatch.setenv("RGG_MASTER", "local[2]")

    def execute(name, **parameters):
        notebook = papermill.execute_notebook(
            NOTEBOOKS / f"{name}.ipynb",
            tmp_path / f"{name}.ipynb",
            {"lake": str(tmp_path / "lake"), **parameters},
            kernel_name="python3",
            cwd=find_project_root(),
            progress_bar=False,
        )
        outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
        text = "".join(out["text"] for out in outputs if out.get("name") == "stdout")
        return text, sum("image/png" in out.get("data", {}) for out in outputs)

    return execute


def test_ingest_stops_with_a_sentence_when_the_source_does_not_exist(tmp_path, run):
    with pytest.raises(
        PapermillExecutionError, match="Cannot read /nowhere.csv as csv .*Path does not exist"
    ) as e:
        run("10_ingest", source="/nowhere.csv", source_sql="notebooks/sources/yoochoose.sql")
    assert e.value.ename == "UserError" and not list((tmp_path / "lake").glob("[!_]*")), "no table is begun"


def test_ingest_refuses_a_parameter_that_it_does_not_have(run):
    with pytest.raises(PapermillExecutionError, match="no parameter sauce; it has: .*source_sql") as e:
        run("10_ingest", sauce="x")
    assert e.value.ename == "UserError"


def ingest_real(spark, lake, source, sql):
    "Ingest a real log with one of the SQL files that ship."
    chosen = choose_sources(lake, source, str(NOTEBOOKS / "sources" / sql))
    return ingest(spark, lake, chosen.source_path, chosen.source_sql, chosen.items_source, chosen.items_sql)


def test_the_eshop_log_is_ingested_in_full(spark, tmp_path):
    lake = Lake(str(tmp_path / "lake"), spark)
    counts = ingest_real(spark, lake, real("eshop_clothing_2008.csv"), "eshop_2008.sql")
    assert (counts.rows_in, counts.events, counts.quarantined, counts.items) == (165_474, 165_474, 0, 217)
    items, events = lake.read("items"), lake.read("events")
    assert items.where("category IS NULL OR colour IS NULL OR price IS NULL").count() == 0
    assert {"price_level", "photograph", "place_on_page", "shop_page"} < set(items.columns)
    first = to_sessions(events.where("session_id = '1'")).first()
    assert first.item_ids == ["A13", "A16", "B4", "B17", "B8", "C56", "C57", "P67", "P82"]
    assert first.country == "country 29"
    sessions = to_sessions(events).selectExpr("ended_at", "size(item_ids) > 1 AS several").toPandas()
    late = sessions["ended_at"] > sessions["ended_at"].max() - timedelta(days=14)
    assert (
        len(sessions) == 24_026 and sessions["several"][late].sum() == 1_701
    )  # 31 July 2008 on, as published


def test_the_yoochoose_logs_are_ingested_together(spark, tmp_path):
    source = real("yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt")
    lake = Lake(str(tmp_path / "lake"), spark)
    counts = ingest_real(spark, lake, source, "yoochoose.sql")
    assert counts.rows_in == 70_278 + 13_568 and counts.quarantined < 10 and counts.items == 2_933
    times = lake.read("events").where("session_id = '3'").orderBy("event_time").collect()
    assert times[0].event_time.isoformat() == "2014-04-02T11:17:46.940000"
