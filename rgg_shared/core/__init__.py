"""What every notebook starts from: errors, the Spark session, the lake, notebook parameters, task values, Keras."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "messages": ["UserError", "cast", "check_choice", "progress"],
    "environment": ["data_dir", "is_uri", "project_root", "resolve_path", "use_keras_2"],
    "spark": ["filesystem", "get_spark", "reduce_worker_latency"],
    "parameters": ["read_parameters"],
    "lake": ["Lake", "MissingTable"],
    "shipping": ["ship", "shipped_directory"],
    "task_values": ["get_task_value", "set_task_value"],
    "keras": ["tf"],
})
