"""The base of every notebook: errors, the Spark session, the lake, parameters, task values, Keras."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "messages": [
        "UserError",
        "cast_parameter",
        "check_choice",
        "choice_error",
        "did_you_mean",
        "print_progress",
        "refuse_duplicate_keys",
    ],
    "environment": ["find_project_root", "get_data_dir", "is_uri", "resolve_path", "use_keras_2"],
    "spark": ["get_filesystem", "get_spark", "reduce_worker_latency"],
    "parameters": ["read_parameters"],
    "schemas": ["compare_schemas"],
    "lake": ["Lake", "MissingTable"],
    "transactions": ["Transaction"],
    "maintenance": ["TABLES", "list_versions", "tidy_table", "upgrade_lake"],
    "shipping": ["find_shipped_directory", "ship_directory"],
    "task_values": ["get_task_value", "set_task_value"],
    "keras": ["tf"],
})
