"""How good a model is, how sure that is, and whether the shop has changed since."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "metrics": ["list_metrics", "next_item_metrics"],
    "ranks": [
        "align_to_positions",
        "baseline_ranks",
        "model_intent",
        "model_ranks",
        "score_sessions",
        "stack_methods",
        "target_ranks",
    ],
    "bootstrap": ["bootstrap_metrics", "intervals_by_method", "paired_difference"],
    "pictures": ["metrics_table", "plot_curves", "plot_methods"],
    "report": [
        "ALL_ITEMS",
        "AMONG_ON_SALE",
        "evaluation_table",
        "item_values",
        "metrics_without_intervals",
        "plot_evaluation",
        "select_slice",
        "session_values",
        "with_intervals",
    ],
    "drift": ["measure_drift", "new_item_shares", "plot_drift", "write_monitoring"],
    "experiments": ["ab_test", "live_visits", "plot_lift"],
})
