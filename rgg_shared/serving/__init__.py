"""From a run to a member's screen: registry, gate, refresh, batch scoring, streams, REST."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "registry": [
        "connect",
        "experiment_id",
        "load_champion",
        "log_model",
        "metric_curves",
        "mlflow_run",
        "newest_run",
        "promote",
        "replace_champion",
        "resume_run",
        "roll_back",
        "runs_of_night",
        "saved_model",
        "training_of",
        "version_of",
    ],
    "gate": ["decide_promotion"],
    "refresh": [
        "champion_on_current_catalogue",
        "compare_models",
        "consistency_error",
        "items_of_moment",
        "parse_moment",
        "why_not_refreshable",
    ],
    "scoring": [
        "concentration",
        "format_recommendations",
        "item_labels",
        "label_recommendations",
        "newest_time",
        "recent_sessions",
        "recommendations",
        "register_recommend",
    ],
    "streams": [
        "compare_with_batch",
        "has_files",
        "latest_lists",
        "live_sessions",
        "read_events",
        "replay",
        "score_stream",
    ],
    "rest": ["serve_model"],
})
