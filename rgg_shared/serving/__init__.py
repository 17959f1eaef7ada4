"""From a run to a member's screen: registry, gate, refresh, batch scoring, streams, REST."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "tracking": [
        "connect",
        "experiment_id",
        "metric_curves",
        "mlflow_run",
        "newest_run",
        "resume_run",
        "runs_of_night",
    ],
    "registry": [
        "load_champion",
        "log_model",
        "promote",
        "refuse_other_lake",
        "replace_champion",
        "roll_back",
        "saved_model",
        "training_of",
        "version_of",
    ],
    "training_runs": ["fetch_model", "find_retrieval", "log_evaluation", "training_run"],
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
        "find_newest_event_time",
        "format_recommendations",
        "label_items",
        "label_recommendations",
        "measure_concentration",
        "recommend_with_champion",
        "register_recommend",
        "select_recent_sessions",
    ],
    "streams": [
        "compare_with_batch",
        "has_files",
        "read_events",
        "replay_events",
        "score_stream",
        "select_latest_lists",
        "track_live_sessions",
    ],
    "rest": ["serve_model"],
})
