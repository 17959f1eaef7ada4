"""Hyper-parameter search: trials on Spark slots, kept in MLflow."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "space": ["distributions"],
    "trials": ["name_study", "open_study_run"],
    "study": ["Study", "best_trial", "count_by_state", "run_in_process", "trials_table"],
    "objectives": ["choose_search", "data_digest", "slot_objective", "spark_objective"],
    "slots": ["run_on_slots"],
    "pictures": ["plot_history", "plot_parallel"],
})
