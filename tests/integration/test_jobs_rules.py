"""Random jobs of condition tasks end as an evaluator says that was written from Databricks' pages alone."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from rgg_shared.jobs.planning import JobPlan
from rgg_shared.jobs.rules import decide_task
from rgg_shared.jobs.runner import RunnerSession, create_run, ignore_events

RUN_IFS = [
    "ALL_SUCCESS",
    "AT_LEAST_ONE_SUCCESS",
    "NONE_FAILED",
    "ALL_DONE",
    "AT_LEAST_ONE_FAILED",
    "ALL_FAILED",
]


def becomes(task, before):
    """What docs.databricks.com/en/jobs says becomes of a task (run-if.html, if-else.html,
    disabled-tasks.html) after these tasks."""
    if task["disabled"]:
        return "disabled"
    each = [
        before[key]
        if before[key] in ("failed", "skipped", "disabled")
        else "other"
        if outcome not in (None, before[key])
        else "good"
        for key, outcome in task["on"]
    ]
    if each and set(each) == {"skipped"}:  # all excluded: excluded, whatever run_if
        return "skipped"
    if (
        each and set(each) <= {"skipped", "other"} and task["run_if"] != "ALL_DONE"
    ):  # the branch was not taken
        return "skipped"
    good, failed = (
        [one in ("good", "skipped") for one in each],
        [one == "failed" for one in each],
    )  # an excluded one is a success
    holds = {
        "ALL_SUCCESS": all(good),
        "AT_LEAST_ONE_SUCCESS": any(good),
        "NONE_FAILED": not any(failed) and set(each) != {"disabled"},
        "ALL_DONE": True,
        "AT_LEAST_ONE_FAILED": any(failed),
        "ALL_FAILED": all(failed),
    }[task["run_if"]]
    if holds or not each:
        return task["does"]
    if "disabled" in each and (set(each) == {"disabled"} or task["run_if"] in ("ALL_SUCCESS", "ALL_FAILED")):
        return "disabled"  # it cannot be met because of that
    return (
        "skipped" if task["run_if"] in ("AT_LEAST_ONE_FAILED", "ALL_FAILED") or not any(failed) else "failed"
    )


def test_every_combination_of_four_dependencies_is_decided_as_the_documentation_says():
    words = {
        "SUCCESS": "true",
        "OTHER_OUTCOME": "true",
        "FAILED": "failed",
        "UPSTREAM_FAILED": "failed",
        "EXCLUDED": "skipped",
        "DISABLED": "disabled",
        "RUN": "true",
    }
    kinds = ["SUCCESS", "OTHER_OUTCOME", "FAILED", "EXCLUDED", "DISABLED"]
    for states in itertools.chain.from_iterable(
        itertools.combinations_with_replacement(kinds, size) for size in range(5)
    ):
        before = {f"t{n}": words[state] for n, state in enumerate(states)}
        on = [(key, "false" if state == "OTHER_OUTCOME" else None) for key, state in zip(before, states)]
        for run_if in RUN_IFS:
            task = {"does": "true", "run_if": run_if, "disabled": False, "on": on}
            assert words[decide_task(run_if, list(states))] == becomes(task, before), (run_if, states)


@strategies.composite
def graphs(draw):
    "Up to eight tasks, each after some of those before it."
    tasks = {}
    for n in range(draw(strategies.integers(1, 8))):
        on = (
            draw(strategies.lists(strategies.sampled_from(list(tasks)), unique=True, max_size=3))
            if tasks
            else []
        )
        tasks[f"t{n}"] = {
            "does": draw(strategies.sampled_from(["true", "true", "false", "failed"])),
            "run_if": draw(strategies.sampled_from(RUN_IFS)),
            "disabled": draw(strategies.integers(0, 5)) == 5,
            "on": [(key, draw(strategies.sampled_from([None, None, "true", "false"]))) for key in on],
        }
    return tasks


def as_settings(key, task):
    "The task in the words of the Jobs API."
    left, op = {
        "true": ("1", "EQUAL_TO"),
        "false": ("2", "EQUAL_TO"),
        "failed": ("{{job.parameters.word}}", "LESS_THAN"),
    }[task["does"]]
    on = [{"task_key": name} | ({"outcome": outcome} if outcome else {}) for name, outcome in task["on"]]
    return {
        "task_key": key,
        "depends_on": on,
        "run_if": task["run_if"],
        "disabled": task["disabled"],
        "condition_task": {"op": op, "left": left, "right": "1"},
    }


@pytest.fixture(scope="module", autouse=True)
def data():
    "Runs in memory where that is possible: thousands of records are written."
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder,
    ):
        patch.setenv("RGG_DATA", folder)
        yield


@settings(
    max_examples=int(os.environ.get("RGG_EXAMPLES", "60")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(graphs())
def test_random_jobs_end_as_the_documentation_says(tasks):
    expected = {}
    for key, task in tasks.items():
        expected[key] = becomes(task, expected)
    job = {
        "name": "j",
        "parameters": [{"name": "word", "default": "a word"}],
        "tasks": [as_settings(key, task) for key, task in reversed(tasks.items())],
    }
    session = RunnerSession({"j": job}, Path("jobs.json"), 2)
    session.mark = "property"  # no notebook, no process: nothing for a guard to watch
    run = session.execute_run(
        create_run(JobPlan("j", job, {"word": "a word"}, Path("jobs.json"), {"j": job})), ignore_events
    )
    told = {"UPSTREAM_FAILED": "failed", "FAILED": "failed", "EXCLUDED": "skipped", "DISABLED": "disabled"}
    assert {
        key: told.get(record["state"]) or record["outcome"] for key, record in run.tasks.items()
    } == expected
    assert all(
        (record["state"] == "FAILED") == (expected[key] == "failed" and record["attempts"] == 1)
        for key, record in run.tasks.items()
    )
    failed, leaves = (
        {key for key in tasks if expected[key] == "failed"},
        tasks.keys() - {key for task in tasks.values() for key, _ in task["on"]},
    )
    assert run.state == ("FAILED" if failed & leaves else "SUCCESS_WITH_FAILURES" if failed else "SUCCESS")
