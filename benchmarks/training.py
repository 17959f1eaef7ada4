"""Compare distributed training with a direct call, two slots with one, and runs whose workers are killed.

    python benchmarks/training.py > section.md
    python benchmarks/training.py --kills 20

The session GRU at its default size learns the simulated shop, by default 256 sessions a slot and step. Every
slot has one core of its own and one thread; peers take turns, and a ratio is one of medians over the rounds.
With --data, the examples of an earlier run.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from rgg_shared.core import get_spark
from rgg_shared.data import load_catalogue
from rgg_shared.distributed import Backup, run_distributed, worker_index
from rgg_shared.models import GRUSettings, LazyAdam, SessionGRU, session_batches, train_on_slots

STEPS, WARM = 240, 40  # of a measured run, and how many of these do not count


def timed_training(examples: str, batch_size: int, steps: int, pin: bool = True) -> dict:
    """Train for `steps` steps; the time at which the function began, the seconds of each step, and of all
    checkpoints."""
    began = time.time()
    import tensorflow as tf

    if pin:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), {worker_index()})
    saving, save = [], Backup.save

    def measured(*args, **kwargs):
        start = time.perf_counter()
        save(*args, **kwargs)
        saving.append(time.perf_counter() - start)

    Backup.save = measured
    tf.keras.utils.set_random_seed(1)
    catalogue = load_catalogue(examples)
    model = SessionGRU(catalogue, GRUSettings())
    model.compile(optimizer=LazyAdam(0.004))
    ends = []
    clock = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: ends.append(time.perf_counter())
    )
    data = session_batches(f"{examples}/train", catalogue, batch_size, 1)
    model.fit(data, epochs=1, steps_per_epoch=steps, callbacks=[clock], verbose=0)
    return {"began": began, "seconds": [b - a for a, b in zip(ends, ends[1:])], "saving": saving}


def per_step(found: dict) -> float:
    "Seconds a step, the first ones left out; the mean, because steps differ in length."
    rest = found["seconds"][WARM:]
    return sum(rest) / len(rest)


def direct(examples: str, batch_size: int) -> dict:
    "The function in a process of its own, without this package's training around it."
    code = (
        "import json, sys; sys.path.insert(0, 'benchmarks'); import training; "
        f"print(json.dumps(training.timed_training({examples!r}, {batch_size}, {STEPS})))"
    )
    one = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | one, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def slots(number: int, examples: str, batch_size: int, folder: str, save_every: int = 10**9) -> dict:
    """The function in Spark slots, `batch_size` sessions each; also the seconds from the call to its first
    line."""
    called = time.time()
    trained = run_distributed(
        timed_training,
        number,
        backup_dir=folder,
        threads=1,
        save_every=save_every,
        bar=False,
        examples=examples,
        batch_size=batch_size * number,
        steps=STEPS,
    )
    return trained.result | {"start": trained.result["began"] - called}


def import_seconds() -> float:
    "What a new process needs to import TensorFlow."
    code = "import time; start = time.time(); import tensorflow; print(time.time() - start)"
    return float(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    )


def speed(examples: str, batch_size: int, folder: str, rounds: int) -> list[list[str]]:
    "The rows of the table of claims."
    get_spark(master="local[2]", conf={"spark.ui.enabled": "false"}).range(10).count()
    slots(1, examples, batch_size, folder)  # what is only slow the first time
    called, one, two, starts, imports, shares = [], [], [], [], [], []
    for turn in range(rounds):
        called.append(per_step(direct(examples, batch_size)))
        found = slots(1, examples, batch_size, folder, save_every=100)
        shares.append(found["saving"][0] / (100 * per_step(found)))
        imports.append(import_seconds())
        found = slots(1, examples, batch_size, folder)
        one.append(per_step(found))
        starts.append(found["start"])
        two.append(per_step(slots(2, examples, batch_size, folder)))
        print(
            f"round {turn + 1}: ms a step: direct {called[-1] * 1e3:.1f}, 1 slot {one[-1] * 1e3:.1f}, 2 "
            f"slots {two[-1] * 1e3:.1f}; "
            f"start {starts[-1]:.1f} s, import {imports[-1]:.1f} s, checkpoints {shares[-1]:.2%}",
            file=sys.stderr,
            flush=True,
        )
    rate = lambda seconds, number: f"{batch_size * number / seconds:,.0f}"
    by_round = lambda values: f"{min(values):.2f} to {max(values):.2f}"
    return [
        [
            "2 slots beside 1, sessions/s",
            f"{rate(median(two), 2)} / {rate(median(one), 1)}",
            f"{2 * median(one) / median(two):.2f}",
            by_round([2 * a / b for a, b in zip(one, two)]),
            "≥ 1.6",
        ],
        [
            "1 slot beside the function called directly, ms a step",
            f"{median(one) * 1e3:.1f} / {median(called) * 1e3:.1f}",
            f"{median(one) / median(called):.3f}",
            by_round([a / b for a, b in zip(one, called)]),
            "≤ 1.05",
        ],
        [
            "from the call to the function's first line, over TensorFlow's import, s",
            f"{median(starts):.1f} − {median(imports):.1f}",
            f"{median(starts) - median(imports):.1f}",
            by_round([a - b for a, b in zip(starts, imports)]),
            "≤ 3",
        ],
        [
            "a checkpoint every 100 steps, share of the time",
            "",
            f"{median(shares):.2%}",
            f"{min(shares):.2%} to {max(shares):.2%}",
            "≤ 3%",
        ],
    ]


def disturbed(examples: str, folder: str, seed: int, victim: tuple[int, float] | None) -> dict:
    """A training of two slots; `victim` is a rank and the seconds after the first checkpoint at which it is
    killed."""
    run = f"run-{time.time_ns()}"
    killed = []

    def kill():
        rank, wait = victim
        while not (Path(folder) / run / "backup" / "fit-0" / "latest.json").exists():
            time.sleep(0.02)
        time.sleep(wait)
        line = (Path(folder) / run / f"worker-{rank}.log").read_text().splitlines()[0]
        os.kill(int(line.split(", process ")[1].split()[0]), signal.SIGKILL)
        killed.append(time.time())

    if victim:
        threading.Thread(target=kill, daemon=True).start()
    trained = run_distributed(
        train_on_slots,
        2,
        backup_dir=folder,
        run_id=run,
        save_every=20,
        bar=False,
        examples=examples,
        model="gru",
        settings={"epochs": 3},
        seed=seed,
    )
    found = {"recall": trained.result["val_recall_20"][-1], "attempts": len(trained.attempts)}
    if len(trained.attempts) > 1:
        first, second = trained.attempts[:2]
        found |= {
            "lost": first["reached"] - first["saved"],
            "detect": first["ended"] - killed[0],
            "restart": second["first_step"] - first["ended"],
            "step": first["reached"],
        }
    print(victim, found, file=sys.stderr, flush=True)
    return found


def kills(examples: str, folder: str, number: int) -> list[list[str]]:
    "The rows of the table of killed workers."
    get_spark(
        master="local-cluster[2,1,3072]", conf={"spark.ui.enabled": "false", "spark.executor.memory": "2g"}
    )
    calm = [disturbed(examples, folder, 1, None)["recall"] for _ in range(2)]
    seeds = calm[:1] + [disturbed(examples, folder, seed, None)["recall"] for seed in (2, 3, 4)]
    random.seed(1)
    found = [
        disturbed(examples, folder, 1, (random.randrange(2), random.uniform(0, 6))) for _ in range(number)
    ]
    hit = [f for f in found if f["attempts"] > 1]
    spread = lambda values: f"{min(values):.4f} to {max(values):.4f}"
    several = lambda name: f"{median(f[name] for f in hit):.1f} (most {max(f[name] for f in hit):.1f})"
    return [
        ["runs that finished", f"{len(found)} of {number}"],
        ["of these with a killed worker (the others had ended before)", f"{len(hit)}"],
        ["validation Recall@20, undisturbed, the same seed twice", spread(calm)],
        ["… undisturbed, four seeds", spread(seeds)],
        ["… with a killed worker", spread([f["recall"] for f in hit])],
        ["steps lost, of at most 20", several("lost")],
        ["seconds from the kill to the end of the attempt", several("detect")],
        ["seconds from there to the first step of the next", several("restart")],
    ]


def make_examples() -> str:
    "The demo's examples, in a temporary lake."
    os.environ["RGG_DATA"] = tempfile.mkdtemp(prefix="rgg-training-")
    for task in ("simulate", "ingest", "featurize"):
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from rgg_shared.jobs.cli import main; main()",
                "run",
                "nightly",
                "--task",
                task,
            ],
            check=True,
            stdout=sys.stderr,
        )
    return f"{os.environ['RGG_DATA']}/lake/examples"


def table(header: list[str], rows: list[list[str]]):
    "Print a Markdown table."
    print("", *(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)), "", sep="\n")


if __name__ == "__main__":
    it = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    it.add_argument("--data", default="", help="the folder of examples; default: the demo's, made anew")
    it.add_argument("--rounds", type=int, default=5, help="rounds of the comparison (default %(default)s)")
    it.add_argument("--batch", type=int, default=256, help="sessions a slot and step (default %(default)s)")
    it.add_argument(
        "--kills",
        type=int,
        default=0,
        metavar="N",
        help="instead: N runs with a worker killed at a random step",
    )
    given = it.parse_args()
    examples = given.data or make_examples()
    log = os.dup(1)
    os.dup2(2, 1)  # what the runs print is no part of the result
    with tempfile.TemporaryDirectory(prefix="rgg-training-") as folder:
        rows = (
            kills(examples, folder, given.kills)
            if given.kills
            else speed(examples, given.batch, folder, given.rounds)
        )
    sys.stdout.flush()
    os.dup2(log, 1)
    print(
        f"`python benchmarks/training.py "
        f"{f'--kills {given.kills}' if given.kills else f'--rounds {given.rounds} --batch {given.batch}'}`"
    )
    table(["", ""] if given.kills else ["", "ours / peer", "ratio", "by round", "to reach"], rows)
