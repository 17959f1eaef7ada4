"""Next-item figures on two public click logs: the job nightly, with the published splits, beside its baselines.

    python benchmarks/real_data.py PATH_OF_THE_DATA [eshop|yoochoose]

Everything is kept below a temporary directory. The network has the job's default size; epochs and learning rate are
given below and were not searched for. Training is on all sessions before the test (`valid_days=0`).
"""
import os
import sys
import tempfile
from pathlib import Path

from rgg_shared import jobs

DATA = {
    "yoochoose": dict(
        files=("yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt"),
        source_sql="notebooks/sources/yoochoose.sql", test_days="1", epochs="7", learning_rate="0.005",
    ),
    "eshop": dict(
        files=("eshop_clothing_2008.csv",),
        source_sql="notebooks/sources/eshop_2008.sql", test_days="14", epochs="4", learning_rate="0.004",
    ),
}


def run(name: str, folder: Path) -> dict:
    "The held-out metrics by method."
    settings = dict(DATA[name])
    source = ",".join(str(folder / file) for file in settings.pop("files"))
    given = settings | dict(lake=f"data/{name}", source=source, valid_days="0")
    ended = jobs.execute(jobs.plan("nightly", given), lambda run, task, step=None, line=None: line and print(task, line))
    if ended.state != "SUCCESS":
        sys.exit("\n".join(f"{key}: {t['error']}" for key, t in ended.tasks.items() if t["error"]))
    return ended.tasks["train"]["values"]["test_metrics"]


if __name__ == "__main__":
    folder, names = Path(sys.argv[1]).absolute(), sys.argv[2:] or list(DATA)
    os.environ["RGG_DATA"] = tempfile.mkdtemp(prefix="rgg-real-data-")
    found = {name: run(name, folder) for name in names}
    print("\n| data | method | Recall@5 | Recall@20 | MRR@20 | positions |\n|---|---|---|---|---|---|")
    for name, measured in found.items():
        for method, m in measured.items():
            print(f"| {name} | {method} | {m['recall_5']:.3f} | {m['recall_20']:.3f} | {m['mrr_20']:.3f} | {m['positions']:,.0f} |")
