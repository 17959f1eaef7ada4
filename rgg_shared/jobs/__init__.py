"""The jobs of `jobs.json` on this machine, with the meaning that they have on Databricks."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "validation": ["find_mistakes"],
    "planning": ["plan_job"],
    "records": ["Run", "load_run"],
    "runner": ["execute_job", "repair_run"],
})
