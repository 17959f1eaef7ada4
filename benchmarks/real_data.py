"""Measure next-item models on two public click logs: the job nightly with published splits, and baselines.

    python benchmarks/real_data.py PATH_OF_THE_DATA [--only eshop] [--seeds 3] > section.md

Everything is kept below a temporary directory. Training is on all sessions before the test (`valid_days=0`);
the settings below were chosen on the last day (yoochoose) and the last 14 days (e-shop) of these, with the
same split by time. Seeds differ in the initial weights, the order of the sessions and what is dropped; mean
and range over them.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean

from rgg_shared.jobs import Run, execute_job, plan_job
from rgg_shared.models import find_model

DATA = {
    "yoochoose": dict(
        files=("yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt"),
        source_sql="notebooks/sources/yoochoose.sql",
        test_days="1",
        settings={"epochs": 12},
    ),
    "eshop": dict(
        files=("eshop_clothing_2008.csv",),
        source_sql="notebooks/sources/eshop_2008.sql",
        test_days="14",
        settings={
            "epochs": 12,
            "learning_rate": 0.008,
            "width": 192,
            "shortcut": True,
            "cosine": False,
            "item_dropout": 0.3,
            "id_dropout": 0.0,
        },
    ),
}
MEASURES = {"recall_5": "Recall@5", "recall_20": "Recall@20", "mrr_20": "MRR@20"}


def run_tasks(tasks: tuple[str, ...], given: dict[str, str]) -> Run:
    "Run tasks of the job nightly one after another; return the run of the last."
    for task in tasks:
        ended = execute_job(
            plan_job("nightly", given, only=task),
            lambda run, line=None, **_: line and print(line, flush=True),
        )
        if ended.state != "SUCCESS":
            sys.exit("\n".join(f"{key}: {t['error']}" for key, t in ended.tasks.items() if t["error"]))
    return ended


def run(name: str, folder: Path, model: str, seed: int, prepared: bool) -> dict:
    "Return the held-out metrics by method, after one training; the data is ingested unless that is done."
    given = dict(DATA[name])
    source = ",".join(str(folder / file) for file in given.pop("files"))
    shared = {
        setting: value
        for setting, value in given["settings"].items()
        if hasattr(find_model(model).settings, setting)
    }
    given["settings"] = json.dumps({model: shared})
    given |= {
        "lake": f"data/{name}",
        "source": source,
        "valid_days": "0",
        "seed": str(seed),
        "models": json.dumps([model]),
    }
    tasks = ("train",) if prepared else ("ingest", "featurize", "train")
    [trained] = run_tasks(tasks, given).tasks["train"]["iterations"].values()
    return trained["values"]["test_metrics"]


def spread(values: list[float]) -> str:
    "Return the mean, and the range where there is one."
    low, high = min(values), max(values)
    return f"{mean(values):.3f}" + (f" ({low:.3f} to {high:.3f})" if high - low > 0.0005 else "")


def measure(names: list[str], folder: Path, models: list[str], seeds: int) -> list[str]:
    """Return the rows of the table: by log the baselines, then each model with its mean and range over the
    seeds."""
    rows = []
    for name in names:
        shown = set()
        for model in models:
            runs = [run(name, folder, model, seed + 1, bool(shown or seed)) for seed in range(seeds)]
            for method in runs[0]:
                if method in shown:
                    continue
                shown.add(method)
                figures = " | ".join(
                    spread([found[method][measure] for found in runs]) for measure in MEASURES
                )
                rows.append(f"| {name} | {method} | {figures} | {runs[0][method]['positions']:,.0f} |")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the two logs are")
    parser.add_argument("--only", choices=DATA, help="one of the logs")
    parser.add_argument(
        "--models", nargs="+", default=["gru"], help="sequence models, with the settings that they share"
    )
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    os.environ["RGG_DATA"] = tempfile.mkdtemp(prefix="rgg-real-data-")
    log = os.dup(1)
    os.dup2(2, 1)  # what the runs print is no part of the result
    names = [options.only] if options.only else list(DATA)
    rows = measure(names, options.folder.absolute(), options.models, options.seeds)
    sys.stdout.flush()
    os.dup2(log, 1)
    print(
        "| data | method | "
        + " | ".join(MEASURES.values())
        + " | positions |\n|"
        + "---|" * (len(MEASURES) + 3)
    )
    print("\n".join(rows))
