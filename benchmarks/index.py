"""ScaNN beside brute force over catalogues of 10,000 to 3 million items, and a whole model of 3 million.

    python benchmarks/index.py > section.md
    python benchmarks/index.py --sizes 10000 100000 --rounds 3 --model-items 0

Vectors are synthetic but made like trained ones: 64 dimensions and a bias, each item the sum of what all have
in common, its category, its brand and itself, with a spectrum that falls, then brought to length 1; biases
are skewed (Gumbel, standard deviation 0.5 beside a cosine that counts 16-fold). Queries look for items drawn
by popularity, at a cosine of about 0.8; those that are measured are not those that the index was tuned with.
Every size has a process of its own. The peers take turns; a speed is the median over the rounds, and the best
is in brackets.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

WIDTH, K = 64, 100
BATCH = 256


def shop(items: int, seed: int = 1) -> np.ndarray:
    "Item vectors with their bias, float32 [items, 65]."
    random = np.random.default_rng(seed)
    spectrum = (np.arange(1, WIDTH + 1) ** -0.35).astype(np.float32)
    part = lambda n: spectrum * random.standard_normal((n, WIDTH), np.float32)
    categories, brands = max(10, items // 2_000), max(20, items // 500)
    share = random.dirichlet(np.full(brands, 0.5))
    brand = random.choice(brands, items, p=share)
    usual = random.integers(0, categories, brands)[brand]  # a brand sells mostly one category
    category = np.where(random.random(items) < 0.7, usual, random.integers(0, categories, items))
    vectors = 0.7 * part(1) + part(categories)[category] + 0.7 * part(brands)[brand]
    for at in range(0, items, 2**18):
        own = vectors[at : at + 2**18]
        own += 0.7 * part(len(own))
        own /= np.linalg.norm(own, axis=1, keepdims=True)
    bias = 0.4 * random.gumbel(size=(items, 1))
    return np.concatenate([vectors, bias.astype(np.float32)], axis=1)


def popularity(vectors: np.ndarray) -> np.ndarray:
    "How often each item is looked for."
    weight = np.exp(2 * vectors[:, -1].astype(float))
    return weight / weight.sum()


def looking_for(vectors: np.ndarray, number: int, seed: int) -> np.ndarray:
    "Queries near items, float32 [number, 65]."
    random = np.random.default_rng(seed)
    wanted = vectors[random.choice(len(vectors), number, p=popularity(vectors)), :-1]
    queries = wanted + 0.75 / WIDTH**0.5 * random.standard_normal(wanted.shape, np.float32)
    queries *= 16 / np.linalg.norm(queries, axis=1, keepdims=True)
    return np.concatenate([queries, np.ones((number, 1), np.float32)], axis=1)


def peak() -> float:
    "GiB that this process has held at most."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def searches(
    items: int, rounds: int, vectors: np.ndarray | None = None, queries: np.ndarray | None = None
) -> dict:
    "Queries a second of both, alone and in batches, by round; recall, seconds to build, memory."
    from rgg_shared.core import tf
    from rgg_shared.models import Exact, Scann, recall

    vectors = shop(items) if vectors is None else vectors
    queries = (
        [looking_for(vectors, 1024, seed) for seed in (2, 3)]
        if queries is None
        else np.array_split(queries, 2)
    )
    exact, before, start = Exact(vectors), peak(), time.perf_counter()
    scann = Scann(vectors, queries[0], K)
    found = {
        "items": len(vectors),
        "seconds": time.perf_counter() - start,
        "vectors": before,
        "peak": peak(),
        "leaves": scann.leaves,
        "searched": scann.searched,
        "reordered": scann.most,
        "tuned": scann.recall,
    }
    signature = [tf.TensorSpec([None, vectors.shape[1]], tf.float32)]
    peers = {
        "exact": tf.function(lambda q: exact(q, K), signature),
        "scann": tf.function(lambda q: scann(q, K), signature),
    }
    asked = tf.constant(queries[1])
    in_batches = lambda search: [search(asked[i : i + BATCH])[1].numpy() for i in range(0, len(asked), BATCH)]
    best, about = (np.concatenate(in_batches(peers[name])) for name in ("exact", "scann"))
    found |= {f"recall_{k}": recall(best[:, :k], about[:, :k]) for k in (20, 100)}
    singles = min(100, len(asked))
    for name in peers:
        found[f"{name}_single"], found[f"{name}_batch"] = [], []
    for _ in range(rounds):
        for name, search in peers.items():
            start = time.perf_counter()
            for i in range(singles):
                search(asked[i : i + 1])
            found[f"{name}_single"].append(singles / (time.perf_counter() - start))
            start = time.perf_counter()
            in_batches(search)
            found[f"{name}_batch"].append(len(asked) / (time.perf_counter() - start))
    return found | {"peak": max(found["peak"], peak())}


def trained(path: str, rounds: int) -> dict:
    "The same for the vocabulary of a saved session GRU; queries are those after single views."
    from rgg_shared.core import tf

    loaded = tf.saved_model.load(path)
    vectors, scale = (
        loaded.vocabulary.numpy(),
        next(float(w) for w in loaded.weights if w.name.startswith("scale")),
    )
    random = np.random.default_rng(2)
    queries = vectors[random.integers(0, len(vectors), 1024)].copy()
    queries[:, :-1] += (
        0.75 / queries.shape[1] ** 0.5 * random.standard_normal(queries[:, :-1].shape, np.float32)
    )
    queries[:, :-1] *= scale / np.linalg.norm(queries[:, :-1], axis=1, keepdims=True)
    queries[:, -1] = 1
    return searches(0, rounds, vectors, queries)


def export(items: int, folder: str, kind: str) -> dict:
    "A session GRU of so many known items, written as it is served; all its items are on sale."
    start = time.perf_counter()
    from rgg_shared.data import Catalogue
    from rgg_shared.models import (
        GRUSettings,
        SessionGRU,
        export_model,
        read_model_card,
        serve_network,
    )

    vectors, random = shop(items), np.random.default_rng(4)
    ids = np.array(["", "[UNK]", *(f"item-{i:08}" for i in range(items))], dtype=object)
    counts = np.concatenate([[0, 0], 1 + (popularity(vectors) * 50 * items).astype(int)])
    features = np.concatenate([np.zeros((2, 4)), random.integers(1, 500, (items, 4))]).astype(np.int32)
    catalogue = Catalogue(ids, counts, features, (500,) * 4, np.arange(items + 2) > 1)
    model = SessionGRU(catalogue, GRUSettings(width=WIDTH, shortcut=True))  # the query is near the last item
    model.items.ids.assign(np.concatenate([np.zeros((2, WIDTH + 1), np.float32), vectors]))
    model.shortcut.kernel.assign(10 * np.eye(WIDTH))
    del vectors
    made, before = time.perf_counter() - start, peak()
    path = export_model(serve_network(model, catalogue, K, kind), folder)
    size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file()) / 2**30
    graph = Path(path, "saved_model.pb").stat().st_size / 2**20
    report = read_model_card(path)["index"]
    return {
        "network": before,
        "peak": peak(),
        "seconds": time.perf_counter() - start - made,
        "size": size,
        "graph": graph,
        "recall": report["recall"],
        "index_seconds": report["seconds"],
    }


def answer(items: int, folder: str, rounds: int) -> dict:
    "The saved model in a process that has loaded nothing else."
    import pandas as pd

    from rgg_shared.models import load_predictor

    start = time.perf_counter()
    model = load_predictor(folder)
    single = pd.DataFrame(
        {"item_ids": [["item-00000007", "item-00000100"]], "event_types": [["view", "purchase"]]}
    )
    model.predict(single)
    loaded = time.perf_counter() - start
    random = np.random.default_rng(5)
    batch = pd.DataFrame(
        {"item_ids": [[f"item-{i:08}" for i in row] for row in random.integers(0, items, (1024, 5))]}
    )
    batch["event_types"] = [["view"] * 5] * len(batch)
    alone, together = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(20):
            model.predict(single)
        alone.append((time.perf_counter() - start) / 20)
        start = time.perf_counter()
        model.predict(batch)
        together.append(len(batch) / (time.perf_counter() - start))
    found = {"load": loaded, "alone": alone, "together": together, "peak": peak()}
    model.ranks(batch[:32])
    return found | {"ranks": peak()}


def in_a_process(task: str, **arguments) -> dict:
    "What a function of this file gives in a process of its own."
    code = (
        "import importlib.util, json, sys; "
        "spec = importlib.util.spec_from_file_location('benchmark', sys.argv[1]); "
        "here = importlib.util.module_from_spec(spec); spec.loader.exec_module(here); "
        "print(json.dumps(getattr(here, sys.argv[2])(**json.loads(sys.argv[3]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, __file__, task, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{task} {arguments} failed:\n{done.stderr[-3000:]}")
    print(task, arguments, done.stdout.splitlines()[-1], file=sys.stderr, flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(head: list[str], rows: list[list[str]]):
    "Print a Markdown table."
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")
    print()


def both(values: list[float], digits: int = 0) -> str:
    "The median, and the best in brackets."
    return f"{median(values):,.{digits}f} ({max(values):,.{digits}f})"


def speeds(found: dict, way: str) -> list[str]:
    "Brute force, ScaNN and their ratio."
    exact, scann = found[f"exact_{way}"], found[f"scann_{way}"]
    return [both(exact), both(scann), f"{median(scann) / median(exact):.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000, 3_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trained", help="a saved session GRU whose vocabulary is measured too")
    parser.add_argument("--model-items", type=int, default=3_000_000, help="of the whole model; 0: none")
    parser.add_argument(
        "--kinds", nargs="*", default=["scann", "exact"], help="the indexes of the whole model"
    )
    options = parser.parse_args()
    found = [in_a_process("trained", path=options.trained, rounds=options.rounds)] if options.trained else []
    found += [in_a_process("searches", items=size, rounds=options.rounds) for size in options.sizes]
    if found:
        print(f"Queries/s, median (best) of {options.rounds} rounds, top {K}; a batch is {BATCH} queries:\n")
        head = [
            "candidates",
            "single: brute force",
            "ScaNN",
            "ratio",
            "batch: brute force",
            "ScaNN",
            "ratio",
            "recall@20",
            "recall@100",
        ]
        recalls = lambda f: [f"{f['recall_20']:.4f}", f"{f['recall_100']:.4f}"]
        table(
            head, [[f"{f['items']:,}", *speeds(f, "single"), *speeds(f, "batch"), *recalls(f)] for f in found]
        )
        table(
            [
                "candidates",
                "leaves",
                "searched",
                "compared in full",
                "build, s",
                "GiB at most: vectors and brute force",
                "and ScaNN",
            ],
            [
                [
                    f"{f['items']:,}",
                    f"{f['leaves']:,}",
                    f"{f['searched']:,}",
                    f"{f['reordered']:,}",
                    f"{f['seconds']:.0f}",
                    f"{f['vectors']:.1f}",
                    f"{f['peak']:.1f}",
                ]
                for f in found
            ],
        )
    rows, used_by = [], []
    for kind in options.kinds if options.model_items else ():
        with tempfile.TemporaryDirectory() as folder:
            made = in_a_process("export", items=options.model_items, folder=f"{folder}/model", kind=kind)
            used = in_a_process(
                "answer", items=options.model_items, folder=f"{folder}/model", rounds=options.rounds
            )
        rows.append(
            [
                kind,
                f"{made['network']:.1f}",
                f"{made['peak']:.1f}",
                f"{made['index_seconds']:.0f}",
                f"{made['seconds']:.0f}",
                f"{made['size']:.1f}",
                f"{made['graph']:.0f}",
                f"{made['recall']:.4f}",
            ]
        )
        used_by.append(
            [
                kind,
                f"{used['load']:.0f}",
                *(f"{used[name]:.1f}" for name in ("peak", "ranks")),
                f"{median(used['alone']) * 1e3:.1f} ({min(used['alone']) * 1e3:.1f})",
                both(used["together"]),
            ]
        )
    if rows:
        print(
            f"A session GRU of {options.model_items:,} items × {WIDTH}, all of them known and on sale, "
            f"exported in one process:\n"
        )
        head = [
            "index",
            "GiB at most: the network made",
            "exported",
            "index, s",
            "export, s",
            "files, GiB",
            "graph, MiB",
            "recall@100",
        ]
        table(head, rows)
        print("and used in another, sessions as raw strings, through `models.load`:\n")
        table(
            [
                "index",
                "load, s",
                "GiB at most: lists",
                "and ranks",
                "a session, ms",
                "1,024 sessions, sessions/s",
            ],
            used_by,
        )


if __name__ == "__main__":
    main()
