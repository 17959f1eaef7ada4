"""Training that loses executors, its driver or its disk, and two runs that share a cluster."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from rgg_shared.distributed.failures import TrainingError
from rgg_shared.distributed.run import run_distributed

START = """
import json, os, signal, sys, threading, time
from pathlib import Path
from rgg_shared.core import get_spark
from rgg_shared.distributed import run_distributed

folder = Path(sys.argv[1])

def fit_parabola(pause=0.1, epochs=4):
    import os
    import time
    import numpy as np
    import tensorflow as tf

    print("devices", os.environ.get("CUDA_VISIBLE_DEVICES"), len(tf.config.list_physical_devices("GPU")))
    values = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    data = tf.data.Dataset.from_tensor_slices((values, values**2)).shuffle(64, seed=3).batch(8)
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(8, "tanh"), tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.01), "mse")
    slow = tf.keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: time.sleep(pause))
    return model.fit(data, epochs=epochs, callbacks=[slow])

def run(name, **options):
    defaults = dict(num_slots=2, backup_dir=str(folder), run_id=name, save_every=3, timeout=30, bar=False)
    return run_distributed(fit_parabola, **defaults | options)

def first_line(name, rank):
    return (folder / name / f"worker-{rank}.log").read_text().splitlines()[0]

def after_a_checkpoint(name, do):
    def wait():
        while not (folder / name / "backup" / "fit-0" / "latest.json").exists():
            time.sleep(0.02)
        time.sleep(0.3)  # until the driver has heard of the checkpoint
        do()
    threading.Thread(target=wait, daemon=True).start()
"""


def program(code: str) -> list[str]:
    "The command that runs `code` after `START`, with a folder as its argument."
    return [sys.executable, "-c", START + textwrap.dedent(code)]


def results(command: list[str], folder: Path, seconds: int = 1200) -> dict:
    "What the program prints after RESULT, from JSON."
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=seconds)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert found, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(found[0].removeprefix("RESULT ")) | {"out": done.stdout, "err": done.stderr}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return what training did in one application whose executors are separate processes with a GPU each.

    An executor is killed with all its processes; two runs share the cluster; an executor is removed for good.
    A script claims to have found the GPUs, so Spark assigns them; TensorFlow sees none and uses the CPU.
    """
    folder = tmp_path_factory.mktemp("cluster")
    script = folder / "gpus.sh"
    script.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["0", "1"]}\'\n')
    script.chmod(0o755)
    return results(
        program(f"""
        import psutil
        gpus = {{"spark.worker.resource.gpu.amount": "2",
                "spark.worker.resource.gpu.discoveryScript": {str(script)!r},
                "spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "1"}}
        spark = get_spark(master="local-cluster[2,1,2048]", conf=gpus)

        def kill_executor():
            supervisor = psutil.Process(int(first_line("lost", 1).split(" of ")[2].split(",")[0]))
            backend = "CoarseGrainedExecutorBackend"
            executor = next(p for p in supervisor.parents() if backend in " ".join(p.cmdline()))
            executor.kill()

        def take_executor():
            context = spark.sparkContext._jsc.sc()
            context.killExecutor(context.getExecutorIds().head())

        after_a_checkpoint("lost", kill_executor)
        lost = run("lost")
        both = {{}}

        def run_on_one_slot(name):
            both[name] = run(name, num_slots=1, epochs=1, pause=0)

        threads = [threading.Thread(target=run_on_one_slot, args=(name,)) for name in "ab"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        after_a_checkpoint("taken", take_executor)
        taken = run("taken", timeout=10)
        print("RESULT", json.dumps({{
            "lost": lost.attempts, "loss": lost.result["loss"],
            "both": {{name: trained.result for name, trained in both.items()}},
            "taken": taken.attempts, "taken_loss": taken.result["loss"],
            "devices": [line.split()[1:] for name, rank in (("lost", 0), ("lost", 1), ("a", 0), ("b", 0))
                        for line in (folder / name / f"worker-{{rank}}.log").read_text().splitlines()
                        if line.startswith("devices")]}}))
    """),
        folder,
    )


def test_a_lost_executor_costs_at_most_an_interval(cluster):
    attempts = cluster["lost"]
    assert len(cluster["loss"]) == 4 and attempts[-1]["outcome"] == "finished" and len(attempts) >= 2
    assert "was lost with its executor" in attempts[0]["outcome"]
    assert 0 < attempts[0]["saved"] and attempts[0]["reached"] - attempts[0]["saved"] <= 8


def test_two_runs_share_a_cluster(cluster):
    assert cluster["both"]["a"]["loss"] == cluster["both"]["b"]["loss"]


def test_a_cluster_that_has_shrunk_for_good_finishes_on_what_is_left(cluster):
    attempts = cluster["taken"]
    assert [a["slots"] for a in (attempts[0], attempts[-1])] == [2, 1] and attempts[-1][
        "outcome"
    ] == "finished", attempts
    assert len(cluster["taken_loss"]) == 4 and 0 < attempts[0]["saved"]


def test_each_task_trains_on_the_gpu_that_spark_gives_it(cluster):
    assert len(cluster["devices"]) >= 4 and {tuple(d) for d in cluster["devices"]} <= {
        ("0", "0"),
        ("1", "0"),
    }, cluster["devices"]


def test_a_driver_that_dies_leaves_no_process_and_the_same_run_goes_on(tmp_path):
    command = program("""
        get_spark(master="local[2]")
        trained = run("r", pause=0.2)
        print("RESULT", json.dumps({"attempts": trained.attempts, "loss": trained.result["loss"]}))
    """)
    driver = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    latest = tmp_path / "r" / "backup" / "fit-0" / "latest.json"
    until = time.monotonic() + 120
    while not latest.exists() and time.monotonic() < until:
        time.sleep(0.05)
    family = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert len(family) >= 4 and not psutil.wait_procs(family, timeout=30)[1], "a process outlives its driver"
    found = results(command, tmp_path)
    assert [a["outcome"] for a in found["attempts"]] == ["The driver has gone.", "finished"] and len(
        found["loss"]
    ) == 4
    assert found["attempts"][1]["first_step"] and json.loads(latest.read_text())["epoch"] == 4


@pytest.fixture
def small_disk(tmp_path):
    "A directory on a file system of one megabyte."
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_is_told_as_that(spark, small_disk):
    def fit_wide():
        import numpy as np
        import tensorflow as tf

        model = tf.keras.Sequential([tf.keras.layers.Dense(200_000), tf.keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.ones([8, 1]), np.ones([8, 1]), epochs=1)

    with pytest.raises(
        TrainingError, match="the disk of the backup directory is full.*Remedy: free some space"
    ):
        run_distributed(fit_wide, 1, backup_dir=str(small_disk), timeout=60, bar=False)
