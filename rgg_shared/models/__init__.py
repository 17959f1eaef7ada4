"""What is learnt, and the one form in which it is served."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "layers": ["LazyAdam"],
    "gru": ["SessionGRU", "SessionGRUConfig"],
    "index": ["Exact", "Scann", "recall"],
    "export": ["Served", "candidate_vectors", "export_model", "read_model_card"],
    "predictor": ["SavedModelPredictor", "load_predictor", "load_shipped"],
    "training": ["batches", "export_session_gru", "train_session_gru"],
    "factors": ["train_als", "train_word2vec"],
    "session_knn": ["Similarity"],
    "counted": ["COUNTED_METHODS", "train_neighbours"],
    "evidence": ["Evidence"],
    "two_stage": ["refresh_two_stage"],
    "ranker_training": ["train_two_stage"],
})


def _load_pyfunc(path):
    "Load a model that was logged with `rgg_shared.models` as its loader, when that was a module."
    from .predictor import _load_pyfunc as load

    return load(path)
