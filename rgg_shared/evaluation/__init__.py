"""How good a model is, how sure that is, and whether the shop has changed since."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "metrics": ["compute_next_item_metrics"],
    "ranks": ["align_to_positions", "rank_by_baselines", "rank_by_model", "stack_methods"],
    "bootstrap": ["bootstrap_metrics", "compute_intervals_by_method", "compute_paired_difference"],
    "pictures": [
        "apply_style",
        "in_style",
        "plot_curves",
        "plot_methods",
        "style_colour",
        "tabulate_metrics",
    ],
    "report": ["ALL_ITEMS", "AMONG_ON_SALE", "format_intervals", "plot_evaluation", "select_slice"],
    "drift": ["measure_drift", "measure_item_shares", "plot_drift", "write_monitoring"],
    "experiments": ["plot_lift", "run_ab_test", "simulate_visits"],
    "held_out": ["collect_run_metrics", "evaluate_model", "load_held_out"],
})
