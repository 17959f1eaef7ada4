"""What is learnt, and the one form in which it is served."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "table": [
        "MODELS",
        "GRUSettings",
        "SASRecSettings",
        "Training",
        "choose_settings",
        "find_model",
        "settings_by_model",
        "settings_from",
        "settings_table",
        "train_model",
    ],
    "layers": ["LazyAdam"],
    "gru": ["SessionGRU"],
    "index": ["Exact", "Scann", "recall"],
    "export": [
        "candidate_vectors",
        "export_model",
        "network_summary",
        "read_model_card",
        "refresh_model",
        "serve_network",
    ],
    "predictor": ["SavedModelPredictor", "load_predictor", "load_shipped"],
    "session_training": ["session_batches", "train_on_slots"],
    "item_rules": ["popularity_model"],
    "counted": ["save_counted_model"],
    "evidence": ["Evidence"],
})


def _load_pyfunc(path):
    "Load a model that was logged with `rgg_shared.models` as its loader, when that was a module."
    from .predictor import _load_pyfunc as load

    return load(path)
