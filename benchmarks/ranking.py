"""Retrieval alone beside retrieval and ranker, on the simulated shop and, where their folder is given, on public click logs.

    python benchmarks/ranking.py [PATH_OF_THE_DATA] [--data e-shop] [--seeds 3]

Both are measured on the test days by their saved graphs, among the vocabulary and among the items on sale, and the retrieval
that the ranker sorts for is the one it is compared with. All sessions before the test are for training (`valid_days=0`): neither
has seen a day that the other has not.
"""
import argparse
import os
import tempfile

from real_data import run_tasks

from rgg_shared.core import Lake, get_spark
from rgg_shared.data import read_examples
from rgg_shared.distributed import run_distributed
from rgg_shared.evaluation import model_ranks, next_item_metrics
from rgg_shared.models import export_session_gru, train_two_stage

DATA = {  # files; what the job is given; arguments of train_session_gru; arguments of train_ranker
    "shop": ((), dict(test_days="1"), dict(config={"width": 96}, epochs=6), dict(config={})),
    "yoochoose": (
        ("yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt"),
        dict(test_days="1", source_sql="notebooks/sources/yoochoose.sql"),
        dict(config={"width": 96}, epochs=12),
        dict(config={}),
    ),
    "e-shop": (
        ("eshop_clothing_2008.csv",),
        dict(test_days="14", source_sql="notebooks/sources/eshop_2008.sql"),
        dict(config=dict(width=192, shortcut=True, cosine=False, item_dropout=0.3, id_dropout=0.0), epochs=12, learning_rate=0.008),
        dict(config={}),
    ),
}
NAMES = ("ndcg_10", "mrr_20", "recall_5", "recall_20", "on_sale_ndcg_10", "on_sale_recall_20")
TASKS = ("simulate", "ingest", "featurize")  # of the job nightly


def prepare(name: str, given: dict) -> str:
    "Run the job's first tasks; the path of the examples comes back."
    given = given | dict(lake=f"data/{name}", valid_days="0")
    run_tasks(TASKS[1:] if "source" in given else TASKS, given)
    return Lake(given["lake"]).path("examples")


def measure(examples: str, folder: str, seed: int, gru: dict, second: dict) -> tuple[dict, dict, dict]:
    "The metrics of retrieval alone, of both stages, and of their parts."
    spark, test = get_spark(), read_examples(get_spark(), examples, "test")

    def run(function, name, **arguments):
        return run_distributed(function, backup_dir=folder, run_id=name, local_mode=True, bar=False, seed=seed, **arguments).folder

    path, parts = train_two_stage(spark, examples, folder, run, gru, second)
    alone = export_session_gru(examples, gru["config"], f"{folder}/retrieval")
    found = [next_item_metrics(model_ranks(test, saved)) for saved in (alone, path)]
    for metrics, saved in zip(found, (alone, path)):
        on_sale = next_item_metrics(model_ranks(test, saved, "candidates"))
        metrics.update(on_sale_recall_20=on_sale["recall_20"], on_sale_ndcg_10=on_sale["ndcg_10"])
    return *found, parts


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", nargs="?", help="where the logs are; without it only the simulated shop is measured")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--data", choices=list(DATA), help="only this one")
    asked = asked.parse_args()
    os.environ["RGG_DATA"] = tempfile.mkdtemp(prefix="rgg-ranking-")
    rows, folder = [], os.path.abspath(asked.folder or "")
    for name in [asked.data] if asked.data else [n for n in DATA if n == "shop" or asked.folder]:
        files, given, gru, second = DATA[name]
        examples = prepare(name, given | ({"source": ",".join(f"{folder}/{file}" for file in files)} if files else {}))
        for seed in range(1, asked.seeds + 1):
            alone, both, parts = measure(examples, f"{examples}-{seed}", seed, gru, second)
            ratio, seen = (both[name] / alone[name] for name in ("ndcg_10", "on_sale_ndcg_10"))
            aucs = ", ".join(f"{task[4:]} {value:.3f}" for task, value in parts.items() if task.startswith("auc_"))
            for method, m, more in ("retrieval", alone, "| | |"), ("both stages", both, f"| {ratio:.3f} | {seen:.3f} | {aucs}"):
                numbers = " | ".join(f"{m[n]:.4f}" for n in NAMES)
                rows.append(f"| {name} | {seed} | {method} | {numbers} {more} |")
                print(rows[-1], flush=True)
    print("\n| data | seed | | NDCG@10 | MRR@20 | Recall@5 | Recall@20 | on sale: NDCG@10 | Recall@20 | ratio of NDCG@10 | on sale | AUC within lists |")
    print("|" + "---|" * 12, *rows, sep="\n")
