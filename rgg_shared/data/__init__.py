"""From any click log to training examples: sources, events, items, examples, and a simulated shop."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "keyed_random": ["draw_uniform"],
    "shop": ["Items", "ShopConfig", "draw_items_on_sale", "get_first_day", "simulate_catalogue"],
    "visitors": [
        "compute_affinity",
        "compute_utility",
        "draw_first_intent",
        "draw_visitors",
        "is_member",
        "simulate_views",
        "update_intent",
    ],
    "simulate": ["read_shop_config", "simulate_events", "write_raw_files"],
    "sources": ["Source", "check_sources", "choose_sources"],
    "events": ["EVENT_COLUMNS", "EVENT_TYPES", "MAX_EVENTS"],
    "sessions": ["add_missing_provenance", "to_sessions"],
    "item_table": ["refresh_items"],
    "ingestion": ["ingest"],
    "item_features": ["describe_items", "is_on_sale", "number_content"],
    "examples": [
        "count_item_views",
        "explode_events",
        "read_examples",
        "select_last_hours",
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
        "add_items",
        "load_catalogue",
        "load_saved_catalogue",
        "save_catalogue",
        "tiny_catalogue",
    ],
})
