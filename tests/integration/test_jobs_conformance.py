"""Databricks' documented rules of jobs, one row each: a small job, and what has to come of it here."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
import pytest

from rgg_shared.core.environment import find_project_root
from rgg_shared.core.messages import UserError
from rgg_shared.jobs.answers import answer_job_reference
from rgg_shared.jobs.notebooks import RUNNER_VARIABLE, find_marked_processes
from rgg_shared.jobs.planning import plan_job
from rgg_shared.jobs.records import Run, load_run, list_run_ids
from rgg_shared.jobs.runner import execute_job, repair_run

DOCS = "docs.databricks.com/en/jobs/"
FIRST = """import json, os, sys, time
from pathlib import Path
from rgg_shared.core import get_task_value, set_task_value
from rgg_shared.jobs.records import request_cancel
data, name = Path(os.environ["RGG_DATA"]), os.environ["RGG_TASK_KEY"]

def trace(what):
    with open(data / "trace", "a") as file:
        file.write(f"{name} {what}\\n")

def times():
    "How often this was called for the task, this time included."
    trace("tries")
    return (data / "trace").read_text().count(f"{name} tries\\n")

trace("begins")"""


def probe(path):
    """Write a notebook that runs the Python text of its parameter `do`, and says in a file that it begins and
    ends."""
    nb = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    )
    cell = nbformat.v4.new_code_cell
    nb.cells = [
        cell('do = "pass"\nvalue = ""\nother = ""\nmine = ""', metadata={"tags": ["parameters"]}),
        cell(FIRST),
        cell("exec(do)\ntrace('ends')"),
    ]
    nbformat.write(nb, path)


def task(key, *after, **settings):
    "A task's settings; `after` are keys, or `key=outcome`."
    on = [dict(zip(("task_key", "outcome"), one.split("="))) for one in after]
    return {"task_key": key, **({"depends_on": on} if on else {}), **settings}


def check(key, *after, left="1", op="EQUAL_TO", right="1", **settings):
    "A condition task; by default its outcome is true."
    return task(key, *after, condition_task={"op": op, "left": left, "right": right}, **settings)


def bad(key, *after, **settings):
    "A condition task that fails: a word is not greater than a number."
    return check(key, *after, left="{{job.parameters.word}}", op="GREATER_THAN", **settings)


def note(key, *after, do="pass", given={}, **settings):
    "A notebook task that runs some Python text."
    return task(
        key,
        *after,
        notebook_task={
            "notebook_path": "probe.ipynb",
            "source": "WORKSPACE",
            "base_parameters": {"do": do, **given},
        },
        **settings,
    )


def loop(key, *after, inputs, inner, concurrency=1, **settings):
    return task(
        key,
        *after,
        for_each_task={
            "inputs": inputs if isinstance(inputs, str) else json.dumps(inputs),
            "concurrency": concurrency,
            "task": inner,
        },
        **settings,
    )


def other(key, *after, given={}, **settings):
    "A task that runs the job `other`."
    return task(
        key,
        *after,
        run_job_task={"job_id": "${resources.jobs.other.id}", "job_parameters": given},
        **settings,
    )


def job(tasks, parameters={}, **settings):
    "A job's settings."
    if "job.parameters.word" in json.dumps(tasks):
        parameters = {"word": "a word", **parameters}
    return {
        "name": "the job",
        "parameters": [{"name": k, "default": v} for k, v in parameters.items()],
        "tasks": tasks,
        **settings,
    }


class Row(NamedTuple):
    "One rule and its job."

    name: str
    page: str  # of the documentation
    rule: str
    tasks: list
    states: str  # of the tasks, "a SUCCESS, b FAILED"
    state: str = "SUCCESS"  # of the run
    parameters: dict = {}
    given: dict = {}
    settings: dict = {}  # more of the job's
    other: dict | None = None  # the settings of the job `other`
    parallel: int = 2
    more: Callable = lambda run: True  # of the run, or a tuple of two that have to be equal
    repaired: str = ""  # the states after a repair, where one follows


def pack(text):
    return dict(one.split() for one in text.split(","))


def traced(*tasks):
    "The lines that the notebooks of these tasks have written, as key and word."
    path = Path(os.environ["RGG_DATA"]) / "trace"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [tuple(line) for line in lines if line[0] in tasks or not tasks]


def most_at_once(*tasks):
    "How many of these tasks were at most between their beginning and their end."
    now, most = 0, 0
    for _, word in traced(*tasks):
        now += {"begins": 1, "ends": -1}.get(word, 0)
        most = max(now, most)
    return most


def at(time):
    return datetime.fromisoformat(time).timestamp()


def attempts(run, *tasks):
    return [run.tasks[key]["attempts"] for key in tasks]


# -- the table --

ALL = ["ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED"]
BASE = {
    "good": check("good"),
    "fine": check("fine"),
    "bad": bad("bad"),
    "worse": bad("worse"),
    "out": check("out", "good=false"),
    "gone": check("gone", "good=false"),
    "off": check("off", disabled=True),
    "idle": check("idle", disabled=True),
}
OF_BASE = {
    "good": "SUCCESS",
    "fine": "SUCCESS",
    "bad": "FAILED",
    "worse": "FAILED",
    "out": "EXCLUDED",
    "gone": "EXCLUDED",
    "off": "DISABLED",
    "idle": "DISABLED",
}
WORDS = {"S": "SUCCESS", "F": "UPSTREAM_FAILED", "X": "EXCLUDED", "D": "DISABLED"}


def run_if(a, b, letters, rule, page="run-if.html"):
    "The row of two dependencies: a task for each `run_if`, and for each what becomes of it."
    needed = [key for key in BASE if key in (a, b) or (key == "good" and {"out", "gone"} & {a, b})]
    found = {key: OF_BASE[key] for key in needed} | {
        name: WORDS[letter] for name, letter in zip(ALL, letters.split())
    }
    state = (
        "FAILED"
        if "F" in letters.split()
        else "SUCCESS_WITH_FAILURES"
        if "FAILED" in found.values()
        else "SUCCESS"
    )
    tasks = [BASE[key] for key in needed] + [check(name, a, b, run_if=name) for name in ALL]
    return Row(
        f"run_if after {a} and {b}", page, rule, tasks, ", ".join(f"{k} {v}" for k, v in found.items()), state
    )


FLOW = [
    run_if(
        "good",
        "fine",
        "S S S S X X",
        "all succeeded: every condition on success holds, those that handle failures are excluded",
    ),
    run_if(
        "good",
        "bad",
        "F S F S S X",
        "one of each: what needs all is upstream failed, at least one holds both ways",
    ),
    run_if(
        "bad",
        "worse",
        "F F F S S S",
        "all failed: only what handles failures, and what waits for the end, runs",
    ),
    run_if("good", "out", "S S S S X X", "an excluded dependency counts as a successful one"),
    run_if(
        "out", "gone", "X X X X X X", "where all dependencies are excluded the task is, whatever its run_if"
    ),
    run_if("out", "bad", "F S F S S X", "an excluded dependency beside a failed one counts as successful"),
    run_if(
        "off",
        "good",
        "D S S S X D",
        "a disabled dependency has neither succeeded nor failed",
        "disabled-tasks.html",
    ),
    run_if("off", "idle", "D D D S D D", "where all are disabled only ALL_DONE runs", "disabled-tasks.html"),
    run_if(
        "off",
        "out",
        "D S S S X D",
        "NONE_FAILED runs after a disabled and a skipped one",
        "disabled-tasks.html",
    ),
    run_if("off", "bad", "D F F S S D", "a failed dependency beside a disabled one", "disabled-tasks.html"),
    Row(
        "branches and their join",
        "if-else.html",
        "tasks on the outcome that did not come are excluded, and what depends on them; NONE_FAILED joins "
        "the branches",
        [
            check("a", left="2", op="GREATER_THAN"),
            check("yes", "a=true"),
            check("no", "a=false"),
            check("after_no", "no"),
            check("join", "yes", "after_no", run_if="NONE_FAILED"),
            check("plain", "a"),
            check("false", op="NOT_EQUAL"),
            check("on_false", "false=false"),
            check("on_true", "false=true"),
        ],
        "a SUCCESS, yes SUCCESS, no EXCLUDED, after_no EXCLUDED, join SUCCESS, plain SUCCESS, false "
        "SUCCESS, on_false SUCCESS, on_true EXCLUDED",
    ),
    Row(
        "operators",
        "if-else.html",
        "== and != compare text, the others numbers",
        [
            check(key, left=left, op=op, right=right)
            for key, left, op, right in [
                ("eq_text", "12.0", "EQUAL_TO", "12"),
                ("ne_text", "12.0", "NOT_EQUAL", "12"),
                ("ge", "12.0", "GREATER_THAN_OR_EQUAL", "12"),
                ("gt", "12.0", "GREATER_THAN", "12"),
                ("le", "9", "LESS_THAN_OR_EQUAL", "10"),
                ("lt", "10", "LESS_THAN", "9"),
                ("eq", "a b", "EQUAL_TO", "a b"),
            ]
        ],
        "eq_text SUCCESS, ne_text SUCCESS, ge SUCCESS, gt SUCCESS, le SUCCESS, lt SUCCESS, eq SUCCESS",
        more=lambda run: (
            "".join(
                run.tasks[key]["outcome"][0] for key in ("eq_text", "ne_text", "ge", "gt", "le", "lt", "eq")
            ),
            "fttftft",
        ),
    ),
    Row(
        "leaves: success with failures",
        "repair-job-failures.html",
        "a run whose leaves all succeeded, but not all its tasks, succeeded with failures",
        [bad("a"), check("b", "a", run_if="ALL_DONE")],
        "a FAILED, b SUCCESS",
        "SUCCESS_WITH_FAILURES",
    ),
    Row(
        "leaves: excluded ones",
        "run-if.html",
        "an excluded leaf is no failure, an upstream failed one is",
        [check("a"), check("b", "a", run_if="ALL_FAILED")],
        "a SUCCESS, b EXCLUDED",
    ),
    Row(
        "leaves: a failed one",
        "repair-job-failures.html",
        "one failed leaf fails the run, whatever the others",
        [check("a"), bad("b"), check("c", "a")],
        "a SUCCESS, b FAILED, c SUCCESS",
        "FAILED",
    ),
    Row(
        "everything disabled",
        "disabled-tasks.html",
        "disabled tasks do not fail a run",
        [check("a", disabled=True), check("b", "a")],
        "a DISABLED, b DISABLED",
    ),
    Row(
        "another job",
        "run-job.html",
        "a run_job_task gives parameters to the other job, and fails with it",
        [
            other("a", given={"n": "{{job.parameters.n}}0"}),
            other("b", given={"n": "none"}),
            check("c", "b"),
            check("d", "b", run_if="AT_LEAST_ONE_FAILED"),
            check("e", "a", left="{{tasks.a.result_state}}", right="success"),
        ],
        "a SUCCESS, b FAILED, c UPSTREAM_FAILED, d SUCCESS, e SUCCESS",
        "FAILED",
        parameters={"n": "4"},
        other=job(
            [check("x", left="{{job.parameters.n}}", op="GREATER_THAN", right="39"), check("more", "x=true")],
            {"n": "0"},
            max_concurrent_runs=2,
        ),
        more=lambda run: (
            (
                load_run(run.tasks["a"]["run"]).tasks["more"]["state"],
                load_run(run.tasks["a"]["run"]).parameters,
                load_run(run.tasks["a"]["run"]).trigger["type"],
                run.tasks["b"]["error_code"],
                run.tasks["e"]["outcome"],
            )
            == ("SUCCESS", {"n": "40"}, "RUN_JOB_TASK", "RunExecutionError", "true")
        ),
    ),
    Row(
        "a loop of conditions",
        "for-each.html",
        "inputs that are an empty array are no failure; the inputs may be a job parameter",
        [
            loop("a", inputs="{{job.parameters.list}}", inner=check("a_one", left="{{input}}", right="2")),
            loop("b", inputs=[], inner=check("b_one", left="{{input}}")),
        ],
        "a SUCCESS, b SUCCESS",
        parameters={"list": "[1, 2]"},
        more=lambda run: (
            [one["outcome"] for one in run.tasks["a"]["iterations"].values()],
            ["false", "true"],
        ),
    ),
]

SEEN = [
    "{{job.id}}",
    "{{job.name}}",
    "{{job.run_id}}",
    "{{job.repair_count}}",
    "{{job.start_time.iso_date}}",
    "{{job.start_time.timestamp_ms}}",
    "{{job.start_time.is_weekday}}",
    "{{job.parameters.p}}",
    "{{job.trigger.type}}",
    "{{task.name}}",
    "{{task.execution_count}}",
    "{{tasks.a.values.n}}",
    "{{tasks.a.values.flag}}",
    "{{tasks.a.values.rows}}",
    "{{tasks.a.result_state}}",
    "{{tasks.big.result_state}}",
    "{{tasks.big.error_code}}",
    "{{ job.name }}",
    "{{job.name",
    "{{nothing.at.all}}",
    "{{job name}}",
    "{job.name}",
]


def answered(run):
    start = datetime.fromisoformat(run.start_time)
    return [
        str(jobs_id(run)),
        "the job",
        run.run_id,
        "0",
        f"{start:%Y-%m-%d}",
        str(round(start.timestamp() * 1000)),
        "true" if start.isoweekday() < 6 else "false",
        "given",
        "ONE_TIME",
        "b",
        "1",
        "3",
        "true",
        '[{"k": "x"}, {"k": "y"}]',
        "success",
        "failed",
        "RunExecutionError",
        "the job",
        "{{job.name",
        "{{nothing.at.all}}",
        "{{job name}}",
        "{job.name}",
    ]


def jobs_id(run):
    return answer_job_reference(run, ("job", "id"))


SET = (
    "set_task_value('n', 3); set_task_value('flag', True); set_task_value('rows', [dict(k='x'), dict(k='y')])"
)
SEE = (
    "set_task_value('seen', value); set_task_value('none', get_task_value('a', 'none', 'default')); "
    "set_task_value('own', get_task_value('a', 'n')); "
    "set_task_value('cluster', [os.environ[name] for name in ('RGG_MASTER', 'RGG_SPARK_CONF', 'MINE')])"
)
# waits until another one has begun, too
WAIT = "[time.sleep(0.05) for _ in range(1200) if (data / 'trace').read_text().count(' begins') < 2]"
CHILD = "import subprocess; trace(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"


def intervals(run):
    "The second attempt came an interval after the first had begun, not after it had ended."
    first, second = run.tasks["until"]["history"][:2]
    between = at(second["start_time"]) - at(first["start_time"])
    return 2.0 <= between < 2.0 + at(first["end_time"]) - at(first["start_time"])


def ended_processes(run):
    "The processes that the notebooks have started and named are gone."
    pids = [int(word) for _, word in traced() if word.isdigit()]
    return len(pids) > 0 and not any(psutil.pid_exists(pid) for pid in pids)


NOTEBOOKS = [
    Row(
        "references and task values",
        "dynamic-value-references.html",
        "references are answered in text, malformed ones and other namespaces stay; a value's default; 48 "
        "KiB at most; the cluster's settings arrive",
        [
            note("a", do=SET),
            note("big", do="set_task_value('x', 'x' * 48 * 1024)"),
            check("flag", "a", left="{{tasks.a.values.flag}}", right="true"),
            check("list", "a", left="{{tasks.a.values.rows}}"),
            check("lost", "a", left="{{tasks.a.values.lost}}"),
            note(
                "b",
                "a",
                "big",
                do=SEE,
                given={"value": "|".join(SEEN)},
                run_if="ALL_DONE",
                job_cluster_key="c",
            ),
            loop(
                "each",
                "a",
                inputs="{{tasks.a.values.rows}}",
                concurrency=2,
                inner=note(
                    "one", do="set_task_value('k', value)", given={"value": "{{input.k}} of {{input}}"}
                ),
            ),
            check("key", "a", left="{{tasks.a.execution_count}}", right="1"),
        ],
        "a SUCCESS, big FAILED, flag SUCCESS, list FAILED, lost FAILED, b SUCCESS, each SUCCESS, key SUCCESS",
        "FAILED",
        parameters={"p": "default"},
        given={"p": "given"},
        settings={
            "job_clusters": [
                {
                    "job_cluster_key": "c",
                    "new_cluster": {
                        "num_workers": 3,
                        "spark_conf": {"spark.x": "y"},
                        "spark_env_vars": {"MINE": "here"},
                    },
                }
            ]
        },
        more=lambda run: (
            [run.tasks["b"]["values"][name] for name in ("seen", "none", "own", "cluster")]
            + [run.tasks[k]["outcome"] for k in ("flag", "key")]
            + [
                [one["values"]["k"] for one in run.tasks["each"]["iterations"].values()],
                "48 KiB" in run.tasks["big"]["error"],
                "compares text" in run.tasks["list"]["error"],
                "it has left: n, flag, rows" in run.tasks["lost"]["error"],
            ],
            [
                "|".join(answered(run)),
                "default",
                3,
                ["local[3]", '{"spark.x": "y"}', "here"],
                "true",
                "true",
                ['x of {"k": "x"}', 'y of {"k": "y"}'],
                True,
                True,
                True,
            ],
        ),
    ),
    Row(
        "job parameters",
        "job-parameters.html",
        "a job's parameters reach every notebook that has them and are stronger than its own; what is given "
        "is stronger than defaults",
        [
            note(
                "a",
                do="set_task_value('saw', [value, other, mine])",
                given={"value": "task", "other": "task", "mine": "of {{job.parameters.value}}"},
            )
        ],
        "a SUCCESS",
        parameters={"value": "job", "other": "job"},
        given={"value": "given"},
        more=lambda run: (run.tasks["a"]["values"]["saw"], ["given", "job", "of given"]),
    ),
    Row(
        "a loop with a failure, and its repair",
        "for-each.html",
        "all iterations run though one fails, one at a time by default; a repair runs those again that "
        "failed",
        [
            loop(
                "a",
                inputs=["x", "bad", "y"],
                inner=note(
                    "one",
                    do="assert value != 'bad' or times() > 1; time.sleep(0.3)",
                    given={"value": "{{input}}"},
                ),
            ),
            check("b", "a"),
        ],
        "a FAILED, b UPSTREAM_FAILED",
        "FAILED",
        repaired="a SUCCESS, b SUCCESS",
        more=lambda run: (
            [one["attempts"] for one in run.tasks["a"]["iterations"].values()] + [most_at_once("a.0", "a.2")],
            [1, 1 + len(run.repairs), 1, 1],
        ),
    ),
    Row(
        "two iterations at a time",
        "for-each.html",
        "concurrency is how many iterations run at once",
        [loop("a", inputs=[1, 2], concurrency=2, inner=note("one", do=WAIT))],
        "a SUCCESS",
        more=lambda run: (most_at_once(), 2),
    ),
    Row(
        "independent tasks",
        "run-if.html",
        "as many as possible run in parallel",
        [note("a", do=WAIT), note("b", do=WAIT)],
        "a SUCCESS, b SUCCESS",
        more=lambda run: (most_at_once(), 2),
    ),
    Row(
        "one at a time",
        "run-if.html",
        "here --parallel 1 keeps them apart",
        [note("a"), note("b")],
        "a SUCCESS, b SUCCESS",
        parallel=1,
        more=lambda run: (most_at_once(), 1),
    ),
    Row(
        "retries",
        "configure-task.html",
        "max_retries more attempts, -1 until it succeeds; the interval counts from the start of the failed "
        "attempt",
        [
            note("none", do="1 / 0"),
            note("one", do="1 / 0", max_retries=1),
            note("until", do="assert times() == 3", max_retries=-1, min_retry_interval_millis=2000),
            check("after", "until"),
        ],
        "none FAILED, one FAILED, until SUCCESS, after SUCCESS",
        "FAILED",
        parallel=3,
        more=lambda run: attempts(run, "none", "one", "until") == [1, 2, 3] and intervals(run),
    ),
    Row(
        "retries of another job",
        "run-job.html",
        "a run_job_task is tried again with a new run",
        [other("a", max_retries=1)],
        "a FAILED",
        "FAILED",
        other=job([bad("x")]),
        more=lambda run: (
            attempts(run, "a") + [sum(one.endswith("other" + one[-7:]) for one in list_run_ids())],
            [2, 2],
        ),
    ),
    Row(
        "timeouts of tasks",
        "configure-task.html",
        "a task that runs too long is ended with all that it started; it is tried again only with "
        "retry_on_timeout",
        [
            note("once", do=f"{CHILD}; time.sleep(60)", timeout_seconds=15, max_retries=2),
            check("after", "once", run_if="ALL_FAILED"),
            note(
                "again",
                do="times() > 1 or time.sleep(60)",
                timeout_seconds=15,
                max_retries=2,
                retry_on_timeout=True,
            ),
        ],
        "once TIMEDOUT, after SUCCESS, again SUCCESS",
        "SUCCESS_WITH_FAILURES",
        more=lambda run: attempts(run, "once", "again") == [1, 2] and ended_processes(run),
    ),
    Row(
        "timeout of a job",
        "configure-job.html",
        "a run that takes too long is timed out and its tasks are ended",
        [note("a", do=f"{CHILD}; time.sleep(60)"), check("b", "a")],
        "a CANCELED, b CANCELED",
        "TIMEDOUT",
        settings={"timeout_seconds": 15},
        more=lambda run: run.end_time and ended_processes(run),
    ),
    Row(
        "cancel of another job",
        "run-if.html",
        "a cancellation propagates as UPSTREAM_CANCELED, and what handles failures runs",
        [
            other("a", max_retries=2),
            check("b", "a"),
            check("c", "b"),
            check("d", "a", run_if="AT_LEAST_ONE_FAILED"),
        ],
        "a CANCELED, b UPSTREAM_CANCELED, c UPSTREAM_CANCELED, d SUCCESS",
        "FAILED",
        other=job([note("x", do="request_cancel(os.environ['RGG_RUN_ID']); time.sleep(60)")]),
        more=lambda run: (load_run(run.tasks["a"]["run"]).state, "CANCELED"),
    ),
    Row(
        "repair",
        "repair-job-failures.html",
        "a repair runs what failed and what depends on it, with the values of the rest, and counts itself",
        [
            note("a", do="set_task_value('n', 7)"),
            note(
                "b",
                "a",
                do="assert times() == 2; set_task_value('saw', value)",
                given={"value": "{{tasks.a.values.n}} {{job.repair_count}} {{task.execution_count}}"},
            ),
            check("c", "b", left="{{tasks.b.values.saw}}", right="7 1 2"),
            note("d"),
            check("e", "a", run_if="AT_LEAST_ONE_FAILED"),
            check("f", "b", run_if="ALL_FAILED"),
        ],
        "a SUCCESS, b FAILED, c UPSTREAM_FAILED, d SUCCESS, e EXCLUDED, f SUCCESS",
        "FAILED",
        repaired="a SUCCESS, b SUCCESS, c SUCCESS, d SUCCESS, e EXCLUDED, f EXCLUDED",
        more=lambda run: (
            attempts(run, "a", "b", "d", "e") == [1, 1 + len(run.repairs), 1, 0]
            and run.tasks["c"].get("outcome") == ("true" if run.repairs else None)
        ),
    ),
    Row(
        "repair of another job",
        "run-job.html",
        "a repair of a run_job_task repairs the other run",
        [other("a"), check("b", "a")],
        "a FAILED, b UPSTREAM_FAILED",
        "FAILED",
        repaired="a SUCCESS, b SUCCESS",
        other=job([note("x", do="assert times() > 1"), check("y")]),
        more=lambda run: (len(list_run_ids()), 2),
    ),
    Row(
        "a notebook that goes",
        "notebook.html",
        "a notebook that is not there fails its task",
        [note("a", do="os.unlink(value)", given={"value": "{{job.parameters.probe}}"}), note("b", "a")],
        "a SUCCESS, b FAILED",
        "FAILED",
        parameters={"probe": ""},
        given={"probe": "PROBE"},
        more=lambda run: (
            run.tasks["b"]["error_code"] == "ResourceNotFound"
            and "probe.ipynb no longer exists" in run.tasks["b"]["error"]
        ),
    ),
    Row(
        "a kernel that is killed",
        "notebook.html",
        "a driver that dies fails its task, told with how it ended",
        [note("a", do="os.kill(os.getpid(), 9)")],
        "a FAILED",
        "FAILED",
        more=lambda run: (
            run.tasks["a"]["error_code"] == "DriverError" and "SIGKILL" in run.tasks["a"]["error"]
        ),
    ),
]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("RGG_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("RGG_MASTER", raising=False)
    probe(tmp_path / "probe.ipynb")
    return tmp_path / "data"


def write(folder, **found):
    "Write a jobs file."
    (folder / "jobs.json").write_text(json.dumps({"resources": {"jobs": found}}))
    return str(folder / "jobs.json")


def holds(row, run, states, state):
    assert {key: record["state"] for key, record in run.tasks.items()} == pack(states), {
        k: r["error"] for k, r in run.tasks.items() if r["error"]
    }
    assert run.state == state
    found = row.more(run)
    if isinstance(found, tuple):
        assert found[0] == found[1]
    assert found, run.tasks
    assert load_run(run.run_id).as_dict() == run.as_dict(), "the record is what was run"
    assert not find_marked_processes(RUNNER_VARIABLE, run.run_id), "no process is left"


@pytest.mark.parametrize("row", FLOW + NOTEBOOKS, ids=lambda row: f"{row.page.split('.')[0]}: {row.name}")
def test_rule(row, tmp_path, data):
    file = write(
        tmp_path,
        j=job(row.tasks, row.parameters, **row.settings),
        **({"other": row.other} if row.other else {}),
    )
    given = {name: value.replace("PROBE", str(tmp_path / "probe.ipynb")) for name, value in row.given.items()}
    run = execute_job(plan_job("j", given, file), parallel=row.parallel)
    holds(row, run, row.states, row.state)
    if row.repaired:
        run = repair_run(run.run_id, parallel=row.parallel)
        holds(row, run, row.repaired, "SUCCESS")


def test_a_failure_that_is_tried_again_is_never_seen_as_one(tmp_path, data, monkeypatch):
    "Between two attempts the task is not FAILED for an instant: a dependent would take that for the end."
    seen, update = [], Run.update

    def spy(self, key, iteration="", **changes):
        seen.append((self.job, changes.get("state")))
        update(self, key, iteration, **changes)

    monkeypatch.setattr(Run, "update", spy)
    execute_job(plan_job("j", {}, write(tmp_path, j=job([other("a", max_retries=1)]), other=job([bad("x")]))))
    assert [state for name, state in seen if name == "j" and state] == [
        "PENDING",
        "RUNNING",
        "WAITING_FOR_RETRY",
        "RUNNING",
        "FAILED",
    ]


# -- what is refused before anything runs --


@pytest.mark.parametrize(
    "value, sentence",
    [
        ("{{job.unknown}}", "{{job.unknown}} is not a known reference"),
        ("{{job.start_time.iso_dat}}", "Did you mean job.start_time.iso_date"),
        ("{{job.parameters.lost}}", "no such parameter"),
        ("{{tasks.lost.values.x}}", "depend on it"),
        ("{{tasks.a.result_stat}}", "Did you mean tasks.a.result_state"),
        ("{{input}}", "inside a for_each_task"),
        ("{{workspace.id}}", "no workspace"),
    ],
)
def test_an_unknown_reference_is_refused(value, sentence, tmp_path, data):
    with pytest.raises(UserError, match="resources.jobs.j.tasks") as caught:
        plan_job("j", {}, write(tmp_path, j=job([check("a"), check("b", "a", left=value)])))
    assert sentence in str(caught.value) and not list_run_ids()


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("spark_python_task", {"python_file": "a.py"}),
        ("python_wheel_task", {"package_name": "a", "entry_point": "b"}),
        ("spark_jar_task", {}),
        ("sql_task", {"warehouse_id": "w"}),
        ("pipeline_task", {"pipeline_id": "p"}),
        ("dbt_task", {"commands": ["dbt run"]}),
        ("spark_submit_task", {}),
    ],
)
def test_a_kind_that_this_runner_does_not_have_is_refused_by_name(kind, settings, tmp_path, data):
    with pytest.raises(UserError, match=f"Databricks would run a {kind}; this runner does not"):
        plan_job("j", {}, write(tmp_path, j=job([task("a", **{kind: settings})])))


# -- two processes, and a full disk --


def until(holds, seconds=180):
    "Wait until something holds."
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_at_the_limit_a_run_is_skipped_or_waits_for_its_turn(tmp_path, data):
    "`max_concurrent_runs` and `queue`, docs.databricks.com/en/jobs/advanced.html."
    held = write(
        tmp_path,
        j=job([note("a", do="[time.sleep(0.05) for _ in range(6000) if not (data / 'go').exists()]")]),
    )
    runner = [
        sys.executable,
        "-c",
        "from rgg_shared.jobs.cli import main; main()",
        "run",
        "j",
        "--file",
        held,
    ]
    first = subprocess.Popen(
        runner, cwd=find_project_root(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(traced)
    skipped = execute_job(plan_job("j", {}, held))
    assert skipped.state == "MAXIMUM_CONCURRENT_RUNS_REACHED" and skipped.tasks["a"]["attempts"] == 0
    (tmp_path / "queued").mkdir()
    waits = write(tmp_path / "queued", j=job([check("a")], queue={"enabled": True}))
    queued = lambda: [one for one in list_run_ids() if load_run(one).state == "QUEUED"]
    with ThreadPoolExecutor(2) as pool:
        going = []
        for _ in range(2):
            going.append(pool.submit(execute_job, plan_job("j", {}, waits)))
            until(lambda: len(queued()) == len(going))
        order = queued()
        (data / "go").touch()
        assert first.wait(180) == 0
        ended = [load_run(list_run_ids()[0]), *(future.result() for future in going)]
    assert [run.run_id for run in ended[1:]] == order and {run.state for run in ended} == {"SUCCESS"}
    assert all(before.end_time <= after.start_time for before, after in zip(ended, ended[1:])), (
        "one after the other, in the order of arrival"
    )


@pytest.fixture
def small_disk(data):
    "A disk of two megabytes for the runs."
    data.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", data], capture_output=True
    ).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield data
    subprocess.run(["umount", "-l", data], check=True)


def test_a_full_disk_is_told_and_repaired_when_there_is_room(tmp_path, small_disk):
    fill = "file = open(data / 'fill', 'wb', buffering=0)\nwhile True: file.write(bytes(4096))"
    file = write(tmp_path, j=job([note("a", do=f"if times() == 1:\n    {CHILD}\n    exec({fill!r})")]))
    try:
        said = execute_job(plan_job("j", {}, file)).tasks["a"]["error"]
    except UserError as e:
        said = str(e)
    assert "o space is left on the disk" in said, said
    (run_id,) = (path.parent.name for path in small_disk.glob("runs/*/runner.lock"))
    assert not find_marked_processes(RUNNER_VARIABLE, run_id) and ended_processes(None)
    (small_disk / "fill").unlink()
    assert load_run().state in ("FAILED", "INTERNAL_ERROR") and repair_run().state == "SUCCESS"
