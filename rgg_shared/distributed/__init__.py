"""One training function on many Spark slots: `run_distributed` and `advise_slots`."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "roles": [
        "RUN_DIR",
        "current_strategy",
        "is_chief",
        "num_workers",
        "report_facts",
        "run_dir",
        "worker_index",
    ],
    "channel": ["Hub", "HubClient"],
    "failures": ["TrainingError", "first_line"],
    "checkpoints": ["Backup"],
    "worker": ["follow_supervisor"],
    "preflight": ["available_slots", "await_slots", "count_slots", "pickle_training_function"],
    "attempts": ["explain_spark_error", "lock_folder"],
    "run": ["TrainingResult", "run_distributed", "set_environment"],
    "advisor": ["advise_slots"],
})
