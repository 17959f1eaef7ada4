"""Spark ⇄ TFRecord ⇄ tf.data: the Spark format `tfrecord`, its contract, and the `tf.data` reader."""
import lazy_loader

# Nothing is imported before it is asked for: neither TensorFlow nor Spark, numba or MLflow.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "values": ["BYTES", "INTS", "ByteStrings", "Leaf", "Values", "compute_offsets"],
    "kernels": ["compiled", "inlined"],
    "codec": ["encode_examples"],
    "records": ["Damage", "read_chunks"],
    "files": ["locate"],
    "contract": ["Contract"],
    "shards": ["FileSplit"],
    "datasets": ["read_dataset"],
    "reader": ["ReadSettings", "SplitReader"],
    "data_source": ["read_tfrecord", "register_tfrecord", "write_tfrecord"],
})
