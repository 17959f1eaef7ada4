"""Next-item figures on two public click logs: the job nightly, with the published splits, beside its baselines.

    python benchmarks/real_data.py PATH_OF_THE_DATA [--only eshop] [--seeds 3] > section.md

Everything is kept below a temporary directory. Training is on all sessions before the test (`valid_days=0`); the settings
below were chosen on the last day (yoochoose) and the last 14 days (e-shop) of these, with the same split by time. Seeds
differ in the initial weights, the order of the sessions and what is dropped; mean and range over them.
"""
import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean

from rgg_shared.jobs import Run, execute_job, plan_job

DATA = {
    "yoochoose": dict(
        files=("yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt"),
        source_sql="notebooks/sources/yoochoose.sql", test_days="1", settings={"epochs": 12},
    ),
    "eshop": dict(
        files=("eshop_clothing_2008.csv",), source_sql="notebooks/sources/eshop_2008.sql", test_days="14",
        settings={"epochs": 12, "learning_rate": 0.008, "width": 192, "shortcut": True, "cosine": False,
                  "item_dropout": 0.3, "id_dropout": 0.0},
    ),
}
MEASURES = {"recall_5": "Recall@5", "recall_20": "Recall@20", "mrr_20": "MRR@20"}


def run_tasks(tasks: tuple[str, ...], given: dict[str, str]) -> Run:
    "Run tasks of the job nightly one after another; the last one's run comes back."
    for task in tasks:
        ended = execute_job(plan_job("nightly", given, only=task), lambda run, line=None, **_: line and print(line, flush=True))
        if ended.state != "SUCCESS":
            sys.exit("\n".join(f"{key}: {t['error']}" for key, t in ended.tasks.items() if t["error"]))
    return ended


def run(name: str, folder: Path, seed: int) -> dict:
    "The held-out metrics by method."
    settings = dict(DATA[name])
    source = ",".join(str(folder / file) for file in settings.pop("files"))
    settings["settings"] = json.dumps({"gru": settings["settings"]})
    given = settings | dict(lake=f"data/{name}", source=source, valid_days="0", seed=str(seed), models='["gru"]')
    tasks = ("ingest", "featurize", "train") if seed == 1 else ("train",)
    [trained] = run_tasks(tasks, given).tasks["train"]["iterations"].values()
    return trained["values"]["test_metrics"]


def spread(values: list[float]) -> str:
    "The mean, and the range where there is one."
    low, high = min(values), max(values)
    return f"{mean(values):.3f}" + (f" ({low:.3f} to {high:.3f})" if high - low > 0.0005 else "")


if __name__ == "__main__":
    it = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    it.add_argument("folder", type=Path, help="where the two logs are")
    it.add_argument("--only", choices=DATA, help="one of the logs")
    it.add_argument("--seeds", type=int, default=3)
    given = it.parse_args()
    os.environ["RGG_DATA"] = tempfile.mkdtemp(prefix="rgg-real-data-")
    log = os.dup(1)
    os.dup2(2, 1)  # what the runs print is no part of the result
    found = {name: [run(name, given.folder.absolute(), seed + 1) for seed in range(given.seeds)]
             for name in ([given.only] if given.only else DATA)}
    sys.stdout.flush()
    os.dup2(log, 1)
    print("| data | method | " + " | ".join(MEASURES.values()) + " | positions |\n|" + "---|" * (len(MEASURES) + 3))
    for name, runs in found.items():
        for method in runs[0]:
            figures = (spread([r[method][measure] for r in runs]) for measure in MEASURES)
            print(f"| {name} | {method} | {' | '.join(figures)} | {runs[0][method]['positions']:,.0f} |")
