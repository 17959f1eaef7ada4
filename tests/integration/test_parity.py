"""Batch, SQL, the stream and the endpoint give the same items for the same events."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pyspark.sql import functions as F

import rgg_shared
from rgg_shared.core.lake import Lake
from rgg_shared.data.events import EVENT_COLUMNS
from rgg_shared.data.sessions import to_sessions
from rgg_shared.serving.registry import Champion
from rgg_shared.serving.scoring import recommend_with_champion, register_recommend
from rgg_shared.serving.streams import select_latest_lists, track_live_sessions, read_events, score_stream

K = 10
START = datetime(2026, 3, 5, 12, tzinfo=UTC)
# (item, event type, minutes after the start); several at one time, unknown items, purchases, a long one
SESSIONS = {
    "plain": [("item-3", "view", 0), ("item-4", "view", 1), ("item-5", "cart", 2)],
    "ties": [("item-9", "view", 1), ("item-2", "view", 1), ("item-2", "cart", 1), ("item-7", "view", 1)],
    "bought": [
        ("item-1", "view", 0),
        ("item-1", "purchase", 1),
        ("item-8", "purchase", 2),
        ("item-6", "view", 3),
    ],
    "unknown": [("never seen", "view", 2), ("ümlaut, “quoted”", "view", 3)],
    "single": [("item-40", "purchase", 5)],
    "long": [(f"item-{n % 37 + 1}", "view", n / 30) for n in range(250)],
}


@pytest.fixture(scope="module")
def rows():
    "The events as a shop would send them: in the order of time, those of one instant turned round."
    found = [
        (s, f"m-{s}", item, kind, START + timedelta(minutes=at), None)
        for s, steps in SESSIONS.items()
        for item, kind, at in steps
    ]
    found.reverse()
    return sorted(found, key=lambda row: row[4])


@pytest.fixture(scope="module")
def champion(small_model):
    return Champion(name="recommender", version="3", run_id="run", path=small_model)


@pytest.fixture(scope="module")
def sessions(spark, rows):
    return to_sessions(
        spark.createDataFrame(rows, ", ".join(f"{name} {kind}" for name, kind in EVENT_COLUMNS.items()))
    ).persist()


@pytest.fixture(scope="module")
def batch(spark, sessions, champion):
    "The answers of the nightly run."
    return answers(recommend_with_champion(spark, sessions, champion, K))


def answers(rows):
    "{session: (its items in order, purchase intent)} of recommendations in the long form."
    ordered = F.array_sort(F.collect_list(F.struct("rank", "item_id"))).item_id
    return {
        r[0]: (r[1], r[2])
        for r in rows.groupBy("session_id").agg(ordered, F.max("purchase_intent")).collect()
    }


def assert_same(found, batch):
    assert found.keys() == batch.keys() == SESSIONS.keys()
    for session, (items, intent) in batch.items():
        assert found[session][0] == items, session
        assert found[session][1] == pytest.approx(intent, rel=1e-4), session


def test_batch_recommends_what_can_be_recommended(batch):
    assert all(len(items) == len(set(items)) == K for items, _ in batch.values())
    assert not {"item-1", "item-8"} & set(batch["bought"][0]) and "item-40" not in batch["single"][0]
    assert len({tuple(items) for items, _ in batch.values()}) == len(SESSIONS), (
        "the model tells the sessions apart"
    )


def test_sql_says_what_batch_says(spark, sessions, champion, batch):
    register_recommend(spark, champion.path, K)
    sessions.createOrReplaceTempView("parity_sessions")
    rows = spark.sql(
        "SELECT session_id, recommend(item_ids, event_types) AS answer FROM parity_sessions"
    ).collect()
    assert_same({r.session_id: (r.answer.item_ids, r.answer.purchase_intent) for r in rows}, batch)


def test_the_stream_says_what_batch_says(spark, rows, champion, batch, tmp_path):
    landing, lake = tmp_path / "landing", Lake(str(tmp_path / "lake"), spark)
    landing.mkdir()
    for part in range(2):  # the second file continues sessions of the first
        lines = [
            json.dumps(dict(zip(EVENT_COLUMNS, row)), default=datetime.isoformat)
            for row in rows[part * 150 : (part + 1) * 150]
        ]
        (landing / f"{part}.json").write_text("\n".join(lines))
        os.utime(landing / f"{part}.json", (START.timestamp() + part,) * 2)
    live = track_live_sessions(read_events(spark, str(landing), files_per_batch=1))
    score_stream(spark, live, champion, lake, K).awaitTermination()
    table = lake.read("live_recommendations")
    assert table.select("batch_id").distinct().count() == 2
    assert_same(answers(select_latest_lists(table)), batch)


SERVER = """
import sys, uvicorn
from rgg_shared.serving.rest import create_app, open_socket
with open_socket("127.0.0.1", 0) as listening:
    app = create_app(sys.argv[1], version="3", top_k=int(sys.argv[2]))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
"""


@pytest.fixture(scope="module")
def url(champion):
    "The address of a server in a process of its own, on a free port of this machine."
    root = str(Path(rgg_shared.__file__).parents[1])
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, champion.path, str(K)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    try:
        port = server.stdout.readline().strip()
        assert port, f"the server ended with {server.wait()}"
        yield f"http://127.0.0.1:{port}/v1/models/recommender"
    finally:
        server.terminate()
        server.wait(20)


def ask(url, sessions):
    "The endpoint's answer for each of the sessions."
    instances = [{"item_ids": list(s.item_ids), "event_types": list(s.event_types)} for s in sessions]
    answer = httpx.post(f"{url}:predict", json={"instances": instances}, timeout=60)
    answer.raise_for_status()
    return {
        s.session_id: (p["item_ids"], p["purchase_intent"])
        for s, p in zip(sessions, answer.json()["predictions"], strict=True)
    }


def test_the_endpoint_says_what_batch_says(sessions, batch, url):
    rows = sessions.collect()
    assert_same(ask(url, rows), batch)
    one_by_one = {}
    for row in rows:
        one_by_one |= ask(url, [row])
    assert_same(one_by_one, batch)


def test_calls_at_the_same_time_get_their_own_answers(sessions, batch, url):
    rows = sessions.collect() * 8
    with ThreadPoolExecutor(8) as pool:
        for row, found in zip(rows, pool.map(lambda row: ask(url, [row]), rows)):
            assert found[row.session_id][0] == batch[row.session_id][0]
