"""Compare retrieval alone with retrieval and ranker, on the simulated shop and, if given, public click logs.

    python benchmarks/ranking.py [PATH_OF_THE_DATA] [--data e-shop] [--seeds 3]

Both are measured on the test days by their saved graphs, among the vocabulary and among the items on sale,
and the retrieval that the ranker sorts for is the one it is compared with. All sessions before the test are
for training (`valid_days=0`): neither has seen a day that the other has not.
"""

import argparse
import os
import tempfile

from real_data import run_tasks

from rgg_shared.core import Lake, get_spark
from rgg_shared.data import read_examples
from rgg_shared.distributed import run_distributed
from rgg_shared.evaluation import rank_by_model, compute_next_item_metrics
from rgg_shared.models import Training, choose_settings, train_model

DATA = {  # files; what the job is given; settings of the session GRU
    "shop": ((), dict(test_days="1"), {}),
    "yoochoose": (
        ("yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt"),
        dict(test_days="1", source_sql="notebooks/sources/yoochoose.sql"),
        dict(epochs=12),
    ),
    "e-shop": (
        ("eshop_clothing_2008.csv",),
        dict(test_days="14", source_sql="notebooks/sources/eshop_2008.sql"),
        dict(
            width=192,
            shortcut=True,
            cosine=False,
            item_dropout=0.3,
            id_dropout=0.0,
            epochs=12,
            learning_rate=0.008,
        ),
    ),
}
NAMES = ("ndcg_10", "mrr_20", "recall_5", "recall_20", "on_sale_ndcg_10", "on_sale_recall_20")
TASKS = ("simulate", "ingest", "featurize")  # of the job nightly


def prepare(name: str, given: dict) -> str:
    "Run the job's first tasks; the path of the examples comes back."
    given = given | dict(lake=f"data/{name}", valid_days="0")
    run_tasks(TASKS[1:] if "source" in given else TASKS, given)
    return Lake(given["lake"]).path("examples")


def measure(examples: str, folder: str, seed: int, gru: dict) -> tuple[dict, dict, dict]:
    "The metrics of retrieval alone, of both stages, and of their parts."
    spark, test = get_spark(), read_examples(get_spark(), examples, "test")

    def run(function, name, **arguments):
        options = dict(backup_dir=folder, run_id=name, local_mode=True, bar=False)
        return run_distributed(function, **options, **arguments).folder

    parts, own = {}, dict(spark=spark, examples=examples, run=run, seed=seed)
    alone = train_model(Training("gru", folder=f"{folder}/gru", **own), choose_settings("gru", gru))
    training = Training(
        "ranker", folder=folder, retrieval=alone, others={"gru": gru}, log_metrics=parts.update, **own
    )
    path = train_model(training, choose_settings("ranker", {}))
    found = [compute_next_item_metrics(rank_by_model(test, saved)) for saved in (alone, path)]
    for metrics, saved in zip(found, (alone, path)):
        on_sale = compute_next_item_metrics(rank_by_model(test, saved, "candidates"))
        metrics.update(on_sale_recall_20=on_sale["recall_20"], on_sale_ndcg_10=on_sale["ndcg_10"])
    return *found, parts


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument(
        "folder", nargs="?", help="where the logs are; without it only the simulated shop is measured"
    )
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--data", choices=list(DATA), help="only this one")
    asked = asked.parse_args()
    os.environ["RGG_DATA"] = tempfile.mkdtemp(prefix="rgg-ranking-")
    rows, folder = [], os.path.abspath(asked.folder or "")
    for name in [asked.data] if asked.data else [n for n in DATA if n == "shop" or asked.folder]:
        files, given, gru = DATA[name]
        examples = prepare(
            name, given | ({"source": ",".join(f"{folder}/{file}" for file in files)} if files else {})
        )
        for seed in range(1, asked.seeds + 1):
            alone, both, parts = measure(examples, f"{examples}-{seed}", seed, gru)
            ratio, seen = (both[name] / alone[name] for name in ("ndcg_10", "on_sale_ndcg_10"))
            aucs = ", ".join(
                f"{task[4:]} {value:.3f}" for task, value in parts.items() if task.startswith("auc_")
            )
            for method, m, more in (
                ("retrieval", alone, "| | |"),
                ("both stages", both, f"| {ratio:.3f} | {seen:.3f} | {aucs}"),
            ):
                numbers = " | ".join(f"{m[n]:.4f}" for n in NAMES)
                rows.append(f"| {name} | {seed} | {method} | {numbers} {more} |")
                print(rows[-1], flush=True)
    print(
        "\n| data | seed | | NDCG@10 | MRR@20 | Recall@5 | Recall@20 | on sale: NDCG@10 | Recall@20 | ratio "
        "of NDCG@10 | on sale | AUC within lists |"
    )
    print("|" + "---|" * 12, *rows, sep="\n")
