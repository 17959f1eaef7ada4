"""Distributed training on two hosts with their own addresses, while their link works and when it is cut."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pyspark
import pytest

from rgg_shared.distributed.channel import Hub

ROOT = Path(__file__).parents[2]
NAME = f"rgg{os.getpid() % 10**6}"  # of a network device, which may have 15 characters
NET = f"10.77.{os.getpid() % 250}"
DRIVER, HOSTS = f"{NET}.1", {"a": f"{NET}.2", "b": f"{NET}.3"}


def ip(*words):
    "What a command of iproute2 says."
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30).stdout


def environment(address):
    "For a Spark process on the host with this address."
    return os.environ | {
        "SPARK_LOCAL_IP": address,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def wait_for(holds, process=None, seconds=900):
    "What `holds` returns, once that is true; fails when it is not in time, or the process has ended."
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, f"not within {seconds} s"
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.2)
    return found


def within(host):
    "What a command begins with that runs on a host."
    return ["ip", "netns", "exec", f"{NAME}-{host}"]


@contextmanager
def cut(host):
    "Within the block, no packet reaches the host or leaves it."
    ip("link", "set", f"{NAME}-{host}", "down")
    try:
        yield
    finally:
        ip("link", "set", f"{NAME}-{host}", "up")


def make_hosts():
    "Make a namespace for each host, joined by a bridge that has the driver's address."
    ip("link", "add", NAME, "type", "bridge")
    ip("address", "add", f"{DRIVER}/24", "dev", NAME)
    ip("link", "set", NAME, "up")
    for host, address in HOSTS.items():
        space, link = f"{NAME}-{host}", f"{NAME}-{host}"
        ip("netns", "add", space)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", link, "master", NAME, "up")
        ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", space, "link", "set", device, "up")


def remove_hosts():
    "End what still runs on the hosts, and remove what `make_hosts` has made; any of it may be missing."
    run = lambda *words: subprocess.run(
        ["ip", *words], capture_output=True, text=True, check=False, timeout=30
    )
    for host in HOSTS:
        for pid in map(int, run("netns", "pids", f"{NAME}-{host}").stdout.split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run("link", "del", f"{NAME}-{host}")
        run("netns", "del", f"{NAME}-{host}")
    run("link", "del", NAME)


@pytest.fixture(scope="module")
def hosts():
    "The addresses of two hosts, by name."
    if sys.platform != "linux" or os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root and iproute2 (ip netns)")
    try:
        make_hosts()
        yield HOSTS
    except subprocess.CalledProcessError as e:
        pytest.skip(f"needs root and iproute2 (ip netns): {e.stderr.strip()}")
    finally:
        remove_hosts()


@pytest.fixture(scope="module")
def master(hosts, tmp_path_factory):
    "The address of a Spark cluster with a worker on each host."
    folder, processes = tmp_path_factory.mktemp("cluster"), []

    def start(kind, address, *options, prefix=()):
        command = [
            *prefix,
            f"{pyspark.__path__[0]}/bin/spark-class",
            f"org.apache.spark.deploy.{kind}",
            "--host",
            address,
            "--webui-port",
            "0",
            *options,
        ]
        with open(folder / f"{address}.log", "wb") as log:
            processes.append(
                subprocess.Popen(command, env=environment(address), stdout=log, stderr=log, cwd=folder)
            )

    with socket.create_server((DRIVER, 0)) as free:
        port = free.getsockname()[1]
    master, log = f"spark://{DRIVER}:{port}", folder / f"{DRIVER}.log"
    try:
        start("master.Master", DRIVER, "--port", str(port))
        wait_for(lambda: "I have been elected leader" in log.read_text(), processes[0])
        for host, address in hosts.items():
            start(
                "worker.Worker",
                address,
                "--cores",
                "1",
                "--memory",
                "2g",
                "--work-dir",
                str(folder / host),
                master,
                prefix=within(host),
            )
        wait_for(lambda: log.read_text().count("Registering worker") == len(hosts), processes[0])
        yield master
    finally:
        for process in processes:
            process.kill()
            process.wait()


PROGRAM = """
import json, sys, time
from rgg_shared.core import get_spark
from rgg_shared.distributed import run_distributed
from rgg_shared.distributed.preflight import count_slots
folder, conf, runs = sys.argv[1], *map(json.loads, sys.argv[2:])
spark = get_spark("two hosts", conf=conf)
while count_slots(spark)[0] < 2:  # the executors are starting, and the timeout is short
    time.sleep(0.2)

def fit_parabola(epochs, pause):
    import time

    import numpy as np
    import tensorflow as tf

    from rgg_shared.distributed import current_strategy

    values = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    model = tf.keras.Sequential([tf.keras.layers.Dense(8, "tanh"), tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.01), "mse")
    slow = tf.keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: time.sleep(pause))
    data = tf.data.Dataset.from_tensor_slices((values, values**2)).batch(8)
    history = model.fit(data, epochs=epochs, callbacks=[slow])
    return {"loss": history.history["loss"], "replicas": current_strategy().num_replicas_in_sync}

for run_id, kwargs in runs.items():
    trained = run_distributed(fit_parabola, num_slots=2, backup_dir=folder, run_id=run_id, timeout=8,
                              save_every=3, bar=False, **kwargs)
    print("RESULT", run_id, json.dumps(trained.result), flush=True)
"""


class Training(NamedTuple):
    "A program that trains on the cluster, first undisturbed in the run `whole`, then in the run `cut`."

    process: subprocess.Popen
    folder: Path

    def result(self, run_id):
        "What the training function has returned in a run, from the program's output, once it is there."
        said = lambda: re.findall(
            rf"^RESULT {run_id} (.*)$", (self.folder / "driver.log").read_text(), re.MULTILINE
        )
        until = time.monotonic() + 300
        while not said() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        assert said(), (self.folder / "driver.log").read_text()[-5000:]
        return json.loads(said()[0])


@pytest.fixture(scope="module")
def training(master, tmp_path_factory):
    "The program, started."
    folder = tmp_path_factory.mktemp("runs")
    conf = {
        "spark.driver.host": DRIVER,
        "spark.driver.bindAddress": DRIVER,
        "spark.executor.memory": "1500m",
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
    }
    runs = {"whole": dict(epochs=2, pause=0), "cut": dict(epochs=4, pause=0.2)}
    command = [sys.executable, "-c", PROGRAM, str(folder), json.dumps(conf), json.dumps(runs)]
    with open(folder / "driver.log", "wb") as log:
        process = subprocess.Popen(
            command,
            env=environment(DRIVER) | {"RGG_MASTER": master},
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
    yield Training(process, folder)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def config(folder, rank):
    "The `TF_CONFIG` that a worker's log begins with."
    return json.loads((folder / f"worker-{rank}.log").read_text().splitlines()[0].split("TF_CONFIG ")[1])


def addresses(folder):
    "The workers' addresses, by rank."
    return [worker.rsplit(":", 1)[0] for worker in config(folder, 0)["cluster"]["worker"]]


FAR_END = """
import sys, time
from rgg_shared.distributed.channel import HubClient
line = HubClient((sys.argv[1], int(sys.argv[2])), bytes.fromhex(sys.argv[3]), rank=1, timeout=2)
while True:
    line.send("watch", silent=0)
    time.sleep(0.2)
"""


def test_a_worker_out_of_the_drivers_reach_is_told_so_in_time(hosts):
    hub = Hub(DRIVER)
    worker = subprocess.Popen(
        [*within("a"), sys.executable, "-c", FAR_END, *map(str, hub.address), hub.key.hex()],
        env=environment(HOSTS["a"]),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert hub.inbox.get(timeout=60) == (1, {"kind": "watch", "silent": 0})
        with cut("a"):
            assert "TimeoutError" in worker.communicate(timeout=30)[1]
    finally:
        worker.kill()
        worker.wait()
        hub.close()


def test_the_workers_on_two_hosts_are_one_cluster(training):
    found, folder = training.result("whole"), training.folder / "whole"
    assert found["replicas"] == 2 and found["loss"][1] < found["loss"][0]
    assert sorted(addresses(folder)) == sorted(HOSTS.values())
    assert config(folder, 0)["cluster"] == config(folder, 1)["cluster"]
    assert [config(folder, rank)["task"]["index"] for rank in (0, 1)] == [0, 1]


def test_a_link_that_is_cut_is_noticed_and_training_goes_on_from_the_checkpoint_once_it_is_back(training):
    folder = training.folder / "cut"
    attempts = lambda: json.loads((folder / "attempts.json").read_text())
    wait_for((folder / "backup" / "fit-0" / "latest.json").exists, training.process)
    far = next(host for host, address in HOSTS.items() if address == addresses(folder)[1])
    with cut(far):
        wait_for(lambda: attempts()[0]["outcome"] != "running", training.process, 300)
    found = training.result("cut")
    assert found["replicas"] == 2 and len(found["loss"]) == 4
    first, *_, last = attempts()
    assert first["saved"] > 0 and re.search(" lost |a link between them is cut", first["outcome"]), first
    assert last["outcome"] == "finished" and last["slots"] == 2
