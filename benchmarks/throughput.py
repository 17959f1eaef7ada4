"""Compare the session GRU's step with TensorFlow Recommenders' own, and find how large a catalogue may be.

    python benchmarks/throughput.py > section.md
    python benchmarks/throughput.py --items 3000000 > section.md

The peer is the same network with the same number of drawn negatives, trained as TFRS's documentation has it:
`tfrs.tasks.Retrieval`, for which a batch's targets are each other's negatives too, and Keras's Adam. Both
read the same examples, made-up sessions of five events in the mean: three in four go on to one of the item's
16 followers, which differ in weight, the others to any item by its popularity (Zipf). With --data, the
examples of an earlier run. Each training has a process of its own. With --items, some steps over a made-up
catalogue, and the most memory that the process has taken.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

import numpy as np
from training import table

NEGATIVES, WIDTH, BATCH = 2048, 100, 512


def made_up_sessions(random, items: int, sessions: int) -> list[list[int]]:
    "Walks over the items, 2 to 20 events each."
    popularity = 1 / np.arange(1, items + 1) ** 0.8
    edges = np.cumsum(popularity / popularity.sum())
    anywhere = lambda n: np.minimum(np.searchsorted(edges, random.random(n)), items - 1)
    followers, weights = anywhere((items, 16)), np.cumsum(0.8 ** np.arange(16) / sum(0.8 ** np.arange(16)))
    walk = [anywhere(sessions)]
    for _ in range(19):
        follower = followers[walk[-1], np.minimum(np.searchsorted(weights, random.random(sessions)), 15)]
        walk.append(np.where(random.random(sessions) < 0.75, follower, anywhere(sessions)))
    lengths = np.minimum(1 + random.geometric(1 / 4, sessions), 20)
    return [row[:n].tolist() for row, n in zip(np.stack(walk, axis=1), lengths)]


def make_examples(folder: str, items: int = 43_000, sessions: int = 180_000) -> str:
    "Examples of made-up sessions for training and validation, with their catalogue; the path comes back."
    import pandas as pd

    from rgg_shared.tfrecord import write_tfrecord
    from rgg_shared.core import get_spark

    spark, random = get_spark("benchmark"), np.random.default_rng(1)
    walks = made_up_sessions(random, items, sessions + sessions // 20)
    for split, part in {"train": walks[:sessions], "valid": walks[sessions:]}.items():
        frame = pd.DataFrame({"item_ids": [[f"item-{i}" for i in walk] for walk in part]})
        frame["event_types"] = [["view"] * len(walk) for walk in part]
        write_tfrecord(
            spark.createDataFrame(frame).repartition(4), f"{folder}/{split}", "overwrite", {"split": split}
        )
    counts = np.bincount(np.concatenate(walks[:sessions]), minlength=items)
    order = np.argsort(-counts, kind="stable")
    catalogue = pd.DataFrame(
        {"row": np.arange(2, items + 2), "item_id": [f"item-{i}" for i in order], "count": counts[order]}
    )
    catalogue["features"], catalogue["on_sale"] = [[]] * items, True
    spark.createDataFrame(
        catalogue, "row int, item_id string, count long, features array<int>, on_sale boolean"
    ).coalesce(1).write.parquet(f"{folder}/catalogue")
    spark.stop()
    return folder


def as_tfrs_has_it(SessionGRU):
    "The session GRU with TFRS's retrieval task."
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    class Peer(SessionGRU):
        def __init__(self, *args):
            super().__init__(*args)
            self.task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

            self.sampler = self.retrieval_loss.sampler
            self.retrieval_loss = self.tfrs_loss

        def tfrs_loss(self, queries, positives, training=False):
            item_index = tf.concat([positives, self.sampler.draw()], axis=0)
            batch = tf.cast(tf.size(positives), tf.float32)
            expected = (
                tf.exp(self.sampler.log_expected(item_index)) + tf.gather(self.share, item_index) * batch
            )
            candidates = self.candidates(item_index, training)
            return self.task(
                queries,
                candidates,
                candidate_sampling_probability=expected,
                candidate_ids=item_index,
                compute_metrics=False,
            )

    return Peer


def train_one(who: str, examples: str, epochs: int) -> dict:
    "Seconds, targets a second and validation metrics by epoch."
    import tensorflow as tf

    from rgg_shared.data import load_catalogue
    from rgg_shared.models import GRUSettings, LazyAdam, SessionGRU, session_batches
    from rgg_shared.tfrecord import Contract

    tf.keras.utils.set_random_seed(1)
    catalogue = load_catalogue(examples)
    Model = SessionGRU if who == "ours" else as_tfrs_has_it(SessionGRU)
    model = Model(catalogue, GRUSettings(width=WIDTH, negatives=NEGATIVES, whole=0))
    counts = catalogue.counts[: catalogue.vocab_size]
    model.share = tf.constant(counts / counts.sum(), tf.float32)
    steps = -(-Contract.load(f"{examples}/train").rows // BATCH)
    falling = tf.keras.optimizers.schedules.CosineDecay(0.004, epochs * steps, alpha=0.05)
    model.compile(optimizer=(LazyAdam if who == "ours" else tf.keras.optimizers.Adam)(falling))
    data = session_batches(f"{examples}/train", catalogue, BATCH, 1)
    valid = session_batches(f"{examples}/valid", catalogue, 256, training=False)
    targets = (
        int(counts.sum()) - Contract.load(f"{examples}/train").rows
    )  # each training view but a session's first
    model.fit(data, steps_per_epoch=5, epochs=1, verbose=0)  # what is only slow the first time
    for weight, start in zip(model.trainable_variables, Model(catalogue, model.settings).trainable_variables):
        weight.assign(start)
    found = {"seconds": [], "recall": [], "mrr": [], "targets": targets, "items": catalogue.vocab_size - 2}
    for _ in range(epochs):
        began = time.perf_counter()
        model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0)
        found["seconds"].append(time.perf_counter() - began)
        measured = model.evaluate(valid, return_dict=True, verbose=0)
        found["recall"].append(measured["recall_20"])
        found["mrr"].append(measured["mrr_20"])
    return found


def steps_over(items: int, width: int, steps: int = 30) -> dict:
    "Milliseconds a step over a made-up catalogue, and the most memory in GiB."
    import tensorflow as tf

    from rgg_shared.data import Catalogue
    from rgg_shared.models import GRUSettings, LazyAdam, SessionGRU, candidate_vectors

    random = np.random.default_rng(1)
    counts = np.maximum(1, 1e6 / np.arange(1, items + 1) ** 0.8).astype(np.int64)
    features = random.integers(1, 50, (items + 2, 4)).astype(np.int32)
    ids = np.array(["", "[UNK]", *(f"item-{n}" for n in range(items))], dtype=object)
    catalogue = Catalogue(
        ids, np.concatenate([[0, 0], counts]), features, (50,) * 4, np.ones(items + 2, bool)
    )
    model = SessionGRU(catalogue, GRUSettings(width=width, negatives=NEGATIVES))
    model.compile(optimizer=LazyAdam(0.004))
    step, took = tf.function(model.train_step), []
    for _ in range(steps):
        batch = (
            tf.constant(random.integers(2, items + 2, (BATCH, 5)), tf.int32),
            tf.ones([BATCH, 5], tf.int32),
        )
        began = time.perf_counter()
        step(batch)
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    candidate_vectors(model, catalogue)
    return {
        "step": median(took) * 1e3,
        "vectors": time.perf_counter() - began,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def apart(call: str) -> dict:
    "What a function of this file gives in a process of its own."
    code = "import json, sys; sys.path.insert(0, 'benchmarks'); import throughput; "
    code += f"print(json.dumps(throughput.{call}))"
    return json.loads(
        subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.splitlines()[-1]
    )


def compare(examples: str, epochs: int, rounds: int):
    "Ours and the peer in turns, as a table."
    found = {who: [] for who in ("ours", "peer")}
    for _ in range(rounds):
        for who, runs in found.items():
            runs.append(apart(f"train_one({who!r}, {examples!r}, {epochs})"))
            print(who, runs[-1], file=sys.stderr, flush=True)
    ours, peer = (runs[0] for runs in found.values())
    speed = {who: [run["targets"] / s for run in runs for s in run["seconds"]] for who, runs in found.items()}
    print(
        f"{ours['items']:,} items, {ours['targets']:,} targets an epoch, width {WIDTH}, {NEGATIVES:,} "
        f"negatives, {BATCH} sessions a "
        f"step; {rounds} rounds of {epochs} epochs each.\n"
    )
    table(
        ["", "ours", "TFRS's task, Keras's Adam", "ratio"],
        [
            [
                "targets/s, median epoch",
                *(f"{median(s):,.0f}" for s in speed.values()),
                f"{median(speed['ours']) / median(speed['peer']):.2f}",
            ],
            *(
                [
                    f"validation Recall@20 / MRR@20 after epoch {n + 1}",
                    *(f"{r['recall'][n]:.4f} / {r['mrr'][n]:.4f}" for r in (ours, peer)),
                    "",
                ]
                for n in range(epochs)
            ),
            [
                "seconds to there",
                *(f"{sum(r['seconds']):.0f}" for r in (ours, peer)),
                f"{sum(ours['seconds']) / sum(peer['seconds']):.2f}",
            ],
        ],
    )


if __name__ == "__main__":
    it = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    it.add_argument("--data", default="", help="the folder of examples; default: made-up sessions")
    it.add_argument("--epochs", type=int, default=3)
    it.add_argument("--rounds", type=int, default=2)
    it.add_argument(
        "--items", type=int, default=0, help="only steps over a made-up catalogue of so many items"
    )
    it.add_argument("--width", type=int, default=64, help="with --items")
    given = it.parse_args()
    if given.items:
        got = apart(f"steps_over({given.items}, {given.width})")
        table(
            ["items × width", "ms a step", "seconds for all candidate vectors", "most memory, GiB"],
            [
                [
                    f"{given.items:,} × {given.width}",
                    f"{got['step']:.0f}",
                    f"{got['vectors']:.0f}",
                    f"{got['memory']:.1f}",
                ]
            ],
        )
    else:
        with tempfile.TemporaryDirectory(prefix="rgg-throughput-") as folder:
            compare(given.data or make_examples(folder), given.epochs, given.rounds)
