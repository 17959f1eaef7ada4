"""A study kept as MLflow runs, beside MLflow's own storage for Optuna.

    python benchmarks/search.py > section.md

Both run the same search of a hill in this process: TPE, successive halving, four reports a trial, SQLite. The
objective takes no time, so what is measured is the study's own work. Calls of the MLflow client are counted,
because on a remote server each of them is a request.
"""
import argparse
import logging
import tempfile
import time
from collections import Counter
from statistics import median

import mlflow
import optuna
from mlflow import MlflowClient
from mlflow.optuna.storage import MlflowStorage

from rgg_shared.tuning import Study, distributions, open_study_run, run_in_process
from rgg_shared.tuning.study import create_study

CALLS = (
    "create_run",
    "get_run",
    "get_experiment",
    "search_runs",
    "log_batch",
    "log_metric",
    "set_tag",
    "set_terminated",
    "update_run",
    "get_metric_history",
)
SPACE = {
    "x": {"low": 0.0, "high": 1.0},
    "width": {"low": 8, "high": 64, "step": 8},
    "shortcut": [True, False],
}
DEFAULTS = {"x": 0.5, "width": 32, "shortcut": False}
counted = Counter()


def count_calls():
    "Count the calls of the MLflow client by name in `counted`."
    for name in CALLS:
        original = getattr(MlflowClient, name)

        def call(self, *args, original=original, name=name, **kwargs):
            counted[name] += 1
            return original(self, *args, **kwargs)

        setattr(MlflowClient, name, call)


def climb(params: dict, report):
    "Report four heights on the way to a top that is highest at x = 0.3."
    for epoch in (1, 2, 3, 4):
        report(epoch, 4, {"height": epoch * (1 - abs(params["x"] - 0.3))})


def search_with_ours(experiment: str, trials: int):
    "Run the search with `tuning.Study`."
    client = MlflowClient()
    parent = open_study_run(client, experiment, f"ours-{time.monotonic_ns()}", {"space": SPACE})
    space = distributions(SPACE, DEFAULTS)
    quiet = Study(client, parent, space, trials, metric="height", say=lambda line: None)
    run_in_process(quiet, climb)


def search_with_peer(experiment: str, trials: int):
    "Run the search with `MlflowStorage`, in Optuna's own loop of ask and tell."
    same = create_study(1, pruning=True)
    study = optuna.create_study(
        study_name=f"peer-{time.monotonic_ns()}",
        storage=MlflowStorage(experiment),
        direction="maximize",
        sampler=same.sampler,
        pruner=same.pruner,
    )
    for _ in range(trials):
        trial = study.ask(distributions(SPACE, DEFAULTS))

        def report(epoch, epochs, metrics, trial=trial):
            trial.report(metrics["height"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            climb(trial.params, report)
            study.tell(trial, 4 * (1 - abs(trial.params["x"] - 0.3)))
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def measure(search, experiment: str, trials: int) -> tuple[float, int]:
    "Return the seconds and the calls that a search takes."
    counted.clear()
    began = time.perf_counter()
    search(experiment, trials)
    return time.perf_counter() - began, sum(counted.values())


def main():
    "Print a table for results.md."
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[12, 24, 48], help="sizes of the searches")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each kind and size, in turns")
    options = parser.parse_args()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    count_calls()
    print("| trials | ours, s | MlflowStorage, s | ratio | ours, calls | MlflowStorage, calls | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for trials in options.trials:
        ours, peer = [], []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
                experiment = mlflow.create_experiment("search")
                MlflowClient().search_runs([experiment])
                ours.append(measure(search_with_ours, experiment, trials))
                peer.append(measure(search_with_peer, experiment, trials))
        took = median(one for one, _ in ours), median(one for one, _ in peer)
        calls = median(one for _, one in ours), median(one for _, one in peer)
        print(f"| {trials} | {took[0]:.1f} | {took[1]:.1f} | {took[1] / took[0]:.0f} "
              f"| {calls[0]:,.0f} | {calls[1]:,.0f} | {calls[1] / calls[0]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
