"""What the runner of jobs costs on top of papermill, and how well it fills two kernels.

    python benchmarks/jobs.py > section.md

A chain of empty notebooks beside the same number of bare `papermill.execute_notebook`, in one process and in
turns; then 200 empty notebooks that depend on nothing, two at a time. A kernel's time is from the start to
the end of its task, as recorded.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median

import nbformat

from rgg_shared.jobs import execute_job, plan_job


def jobs_file(folder: Path, tasks: int, chained: bool) -> Path:
    "A jobs file with one job `j` of empty notebooks."
    nb = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    )
    nb.cells = [nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]})]
    nbformat.write(nb, folder / "empty.ipynb")
    found = [
        {
            "task_key": f"t{n}",
            "notebook_task": {"notebook_path": "empty.ipynb", "source": "WORKSPACE"},
            "depends_on": [{"task_key": f"t{n - 1}"}] if chained and n else [],
        }
        for n in range(tasks)
    ]
    path = folder / f"{tasks}-{chained}.json"
    path.write_text(json.dumps({"resources": {"jobs": {"j": {"name": "j", "tasks": found}}}}))
    return path


def job(file: Path, parallel: int) -> tuple[float, float]:
    "The seconds that the job takes, and those of its kernels."
    began = time.perf_counter()
    run = execute_job(plan_job("j", {}, file), parallel=parallel)
    took = time.perf_counter() - began
    assert run.state == "SUCCESS", run
    at = lambda one, end: datetime.fromisoformat(one[f"{end}_time"]).timestamp()
    return took, sum(
        at(one, "end") - at(one, "start") for task in run.tasks.values() for one in task["history"]
    )


def bare(folder: Path, number: int) -> float:
    "The seconds of papermill alone."
    from papermill import execute_notebook

    began = time.perf_counter()
    for n in range(number):
        execute_notebook(
            str(folder / "empty.ipynb"),
            str(folder / f"bare-{n}.ipynb"),
            kernel_name="python3",
            progress_bar=False,
        )
    return time.perf_counter() - began


def overhead(folder: Path, rounds: int, number: int) -> list[str]:
    "The row of the overhead of a task."
    file, ours, peer = jobs_file(folder, number, True), [], []
    bare(folder, 1)
    for turn in range(rounds):
        peer.append(bare(folder, number) / number)
        ours.append(job(file, 1)[0] / number)
        print(
            f"round {turn + 1}: s a notebook: job {ours[-1]:.3f}, papermill {peer[-1]:.3f}",
            file=sys.stderr,
            flush=True,
        )
    more = [a - b for a, b in zip(ours, peer)]
    return [
        f"a chain of {number}, s a notebook over papermill's",
        f"{median(ours):.3f} − {median(peer):.3f}",
        f"{median(more):.3f}",
        f"{min(more):.3f} to {max(more):.3f}",
        "≤ 0.3",
    ]


def filling(folder: Path, tasks: int) -> list[str]:
    "The row of many notebooks, two at a time."
    took, kernels = job(jobs_file(folder, tasks, False), 2)
    return [
        f"{tasks} at once, two at a time, s",
        f"{took:.1f} / {kernels / 2:.1f}",
        f"{took / (kernels / 2):.3f}",
        "",
        "≤ 1.15",
    ]


def table(header: list[str], rows: list[list[str]]):
    "Print a Markdown table."
    print("", *(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)), "", sep="\n")


if __name__ == "__main__":
    it = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    it.add_argument("--rounds", type=int, default=5, help="rounds of the chain (default %(default)s)")
    it.add_argument("--chain", type=int, default=10, help="notebooks of the chain (default %(default)s)")
    it.add_argument("--tasks", type=int, default=200, help="notebooks of the large job (default %(default)s)")
    given = it.parse_args()
    with tempfile.TemporaryDirectory(prefix="rgg-jobs-") as folder:
        os.environ["RGG_DATA"] = f"{folder}/data"
        rows = [overhead(Path(folder), given.rounds, given.chain), filling(Path(folder), given.tasks)]
    print(f"`python benchmarks/jobs.py --rounds {given.rounds} --chain {given.chain} --tasks {given.tasks}`")
    table(["", "ours, peer", "", "by round", "to reach"], rows)
