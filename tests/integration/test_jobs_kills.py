"""The runner is killed at random moments: the record stays right, and a repair completes the run."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
from typer.testing import CliRunner

from rgg_shared.core.environment import find_project_root
from rgg_shared.jobs.cli import app
from rgg_shared.jobs.notebooks import RUNNER_VARIABLE, find_marked_processes
from rgg_shared.jobs.records import list_run_ids

KILLS = int(os.environ.get("RGG_KILLS", "2"))
FIRST = """import os, subprocess
from pathlib import Path
if child:
    subprocess.Popen(["sleep", "600"], start_new_session=True)"""
LAST = """with open(Path(os.environ["RGG_DATA"]) / "effects", "a") as file:
    file.write(os.environ["RGG_TASK_KEY"] + "\\n")"""
OVER = {"SUCCESS", "INTERNAL_ERROR", "BLOCKED", "PENDING"}  # what a task may be when the runner is dead


def task(key, *after, **settings):
    return {"task_key": key, "depends_on": [{"task_key": one} for one in after], **(settings or note())}


def note(**parameters):
    return {
        "notebook_task": {"notebook_path": "work.ipynb", "source": "WORKSPACE", "base_parameters": parameters}
    }


def write(folder):
    """Two tasks side by side, a loop over three inputs after them, one with a process of its own beside it,
    and what follows."""
    nb = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    )
    nb.cells = [
        nbformat.v4.new_code_cell("child = False", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(FIRST),
        nbformat.v4.new_code_cell(LAST),
    ]
    nbformat.write(nb, folder / "work.ipynb")
    loop = {"for_each_task": {"inputs": "[1, 2, 3]", "concurrency": 2, "task": {"task_key": "one", **note()}}}
    tasks = [
        task("a"),
        task("b"),
        task("each", "a", **loop),
        task("child", "b", **note(child="True")),
        task("if", "child", condition_task={"op": "EQUAL_TO", "left": "1", "right": "1"}),
        task("end", "each", "if"),
    ]
    (folder / "jobs.json").write_text(
        json.dumps({"resources": {"jobs": {"j": {"name": "j", "tasks": tasks}}}})
    )


def rgg(*arguments):
    "What a command prints as JSON, and its exit code."
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return json.loads(result.stdout), result.exit_code


def start(folder):
    "A process that runs the job."
    code = "from rgg_shared.jobs.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "j", "--file", str(folder / "jobs.json"), "--parallel", "2"],
        cwd=find_project_root(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def effects(data):
    return Counter((data / "effects").read_text().split()) if (data / "effects").exists() else Counter()


def states(run):
    "The state of every notebook by the name that it has among the effects."
    found = {key: record["state"] for key, record in run["tasks"].items() if key not in ("each", "if")}
    return found | {
        f"each.{n}": one["state"] for n, one in run["tasks"]["each"].get("iterations", {}).items()
    }


def wait_gone(run_id):
    "The seconds until no process with the mark of the run is left."
    began = time.monotonic()
    while left := find_marked_processes(RUNNER_VARIABLE, run_id):
        assert time.monotonic() < began + 60, left
        time.sleep(0.05)
    return time.monotonic() - began


def killed(folder, data, seconds):
    "One run that is killed some seconds after it has begun, and repaired; what was seen."
    runner = start(folder)
    while not list_run_ids():
        time.sleep(0.02)
        assert runner.poll() is None
    (run_id,) = list_run_ids()
    time.sleep(seconds)
    runner.kill()
    runner.wait()
    gone = wait_gone(run_id)
    (shown, _), before = rgg("show", run_id), effects(data)
    found = {
        "at": round(seconds, 2),
        "state": shown["state"],
        "gone": gone,
        "done": sum(before.values()),
        "lost": Counter(states(shown).values())["INTERNAL_ERROR"],
    }
    if shown["state"] != "SUCCESS":
        assert shown["state"] == "INTERNAL_ERROR" and set(states(shown).values()) <= OVER, states(shown)
        done = {key for key, state in states(shown).items() if state == "SUCCESS"}
        assert all(before[key] == 1 for key in done), (done, before)
        assert rgg("repair", run_id, "--parallel", "2")[1] == 0
    else:
        done = set(states(shown))
    (end, _), after = rgg("show", run_id), effects(data)
    assert end["state"] == "SUCCESS" and {record["state"] for record in end["tasks"].values()} == {"SUCCESS"}
    assert states(end).keys() == after.keys() == {"a", "b", "child", "end", "each.0", "each.1", "each.2"}
    assert all(after[key] == 1 for key in done), (done, after)
    assert not find_marked_processes(RUNNER_VARIABLE, run_id)
    return found | {"twice": sum(count > 1 for count in after.values()), "most": max(after.values())}


def test_a_killed_run_is_told_as_it_is_and_repaired(tmp_path, monkeypatch):
    seen, seed = [], int(os.environ.get("RGG_SEED", time.time()))
    print(f"RGG_SEED={seed}")
    moments = random.Random(seed)
    for n in range(KILLS):
        began, data = time.monotonic(), tmp_path / f"data-{n}"
        monkeypatch.setenv("RGG_DATA", str(data))
        write(tmp_path)
        found = killed(tmp_path, data, moments.uniform(0, 6)) | {"n": n}
        seen.append(found | {"seconds": round(time.monotonic() - began, 1)})
        print(json.dumps(seen[-1]), flush=True)
    assert len(seen) == KILLS


def test_the_guard_of_a_dead_runner_leaves_the_repair_alone(tmp_path, monkeypatch):
    "It may be late, on a busy machine; here it is stopped until the repair has kernels."
    monkeypatch.setenv("RGG_DATA", str(tmp_path / "data"))
    write(tmp_path)
    runner = start(tmp_path)
    reaper = lambda: [
        child
        for child in psutil.Process(runner.pid).children()
        if "end_with_runner(" in " ".join(child.cmdline())
    ]
    while not reaper():
        time.sleep(0.02)
    (guard,) = reaper()
    guard.suspend()
    runner.kill()
    runner.wait()
    (run_id,) = list_run_ids()
    with ThreadPoolExecutor(1) as pool:
        repair, began = pool.submit(rgg, "repair", run_id), time.time()
        while not any(
            process.create_time() > began for process in find_marked_processes(RUNNER_VARIABLE, run_id)
        ):
            time.sleep(0.02)
        guard.resume()
        assert repair.result()[1] == 0
    guard.wait(60)
