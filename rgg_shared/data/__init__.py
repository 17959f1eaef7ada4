"""From any click log to training examples: sources, events, items, sessions, examples, and a simulated shop."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "keyed_random": ["uniform"],
    "shop": ["Items", "ShopConfig", "first_day", "items_on_sale", "simulated_catalogue"],
    "visitors": [
        "affinity",
        "draw_visitors",
        "first_intent",
        "is_member",
        "update_intent",
        "utility",
        "walk",
    ],
    "simulate": ["read_config", "write_raw"],
    "sources": ["Source", "choose_sources"],
    "events": ["EVENT_COLUMNS", "EVENT_TYPES", "MAX_EVENTS", "to_sessions"],
    "ingestion": ["ingest", "read_items", "write_items"],
    "item_features": ["content_features", "describe_items", "is_on_sale"],
    "examples": [
        "count_item_views",
        "last_hours",
        "read_examples",
        "single_events",
        "to_examples",
        "write_examples",
    ],
    "catalogue": [
        "CATALOGUE_FILE",
        "COUNTED_MODEL_FILE",
        "MODEL_CARD_FILE",
        "PADDING_ITEM",
        "SAVED_MODEL_FILE",
        "UNKNOWN_ITEM",
        "Catalogue",
        "load_catalogue",
        "save_catalogue",
        "saved_catalogue",
        "with_items",
    ],
})
