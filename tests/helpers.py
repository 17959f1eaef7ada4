"""What the tests of several modules share: small tables, contracts and jobs."""

import google_crc32c
import nbformat
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as T

from rgg_shared.core import find_project_root
from rgg_shared.core.messages import cast_parameter
from rgg_shared.data import ShopConfig
from rgg_shared.jobs.planning import plan_job
from rgg_shared.jobs.specification import merge_notebook_parameters, read_notebook_defaults


def write_text(path, text):
    "Write a text file; its path as a string."
    path.write_text(text)
    return str(path)


def sessions(*rows):
    "A frame of sessions, each a list of item ids and a list of event types."
    return pd.DataFrame(rows, columns=["item_ids", "event_types"])


def views_frame(lists):
    "A frame of sessions that only view, by their item ids."
    return sessions(*((items, ["view"] * len(items)) for items in lists))


def make_events(spark, rows, columns="session_id, member_id, item_id, event_type, event_time"):
    "Events as a SELECT returns them, from rows of text."
    df = spark.createDataFrame(rows, ", ".join(f"{c} string" for c in columns.split(", ")))
    return df.withColumn("event_time", F.to_timestamp("event_time"))


def examples_of(spark, rows):
    "Examples by session id, item ids and event types."
    return spark.createDataFrame(rows, "session_id string, item_ids array<string>, event_types array<string>")


def job_of(**tasks):
    "A job of notebook tasks by name; each gives what it depends on, or its settings."
    found = []
    for key, task in tasks.items():
        after = task.pop("after", []) if isinstance(task, dict) else task
        settings = dict(task) if isinstance(task, dict) else {}
        if not any(name.endswith("_task") for name in settings):
            settings["notebook_task"] = {"notebook_path": f"notebooks/{key}.ipynb"}
        depends_on = [dict(zip(("task_key", "outcome"), name.split(":"))) for name in after]
        found.append({"task_key": key, "depends_on": depends_on} | settings)
    return {"name": "j", "tasks": found}


def job_graphs(most=30):
    "Return hypothesis's strategy for jobs in which each task depends on some of those before it."
    from hypothesis import strategies as st

    @st.composite
    def draw_job(draw):
        count = draw(st.integers(1, most))
        before = [draw(st.sets(st.integers(0, i - 1), max_size=4)) if i else () for i in range(count)]
        return job_of(**{f"t{i}": [f"t{b}" for b in sorted(on)] for i, on in enumerate(before)})

    return draw_job()


def masked_crc(data):
    "The checksum of `data` as TFRecord stores it, by another library."
    crc = google_crc32c.value(data)
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF


def byte_strings_of(values):
    "Byte strings as `tfrecord.values.ByteStrings`."
    from rgg_shared.tfrecord.values import ByteStrings, compute_offsets

    return ByteStrings(compute_offsets([len(v) for v in values]), np.frombuffer(b"".join(values), np.uint8))


def file_names(path):
    "The relative paths of all files in a folder, on any storage."
    from rgg_shared.tfrecord.files import list_files, locate

    fs, root = locate(str(path))
    return {f.path[len(root) + 1 :] for f in list_files(fs, root, recursive=True) if f.is_file}


def put_files(path, *relative, content=b"0123456789"):
    "Write files below a folder, on any storage."
    from rgg_shared.tfrecord.files import Sink, locate

    fs, root = locate(str(path))
    for name in relative:
        fs.create_dir(f"{root}/{name}".rsplit("/", 1)[0], recursive=True)
        with Sink(fs, f"{root}/{name}", "") as sink:
            sink.write(content)


INNER = T.StructType([T.StructField("x", T.ArrayType(T.IntegerType())), T.StructField("y", T.IntegerType())])
TYPES = {
    "bigint": T.LongType(),
    "int": T.IntegerType(),
    "string": T.StringType(),
    "date": T.DateType(),
    "struct": INNER,
    "timestamp_ntz": T.TimestampNTZType(),
    "bigints": T.ArrayType(T.LongType(), False),
}


def schema_of(columns):
    "A schema from names and `TYPES`; an exclamation mark stands for NOT NULL."
    pairs = [column.split() for column in columns.split(", ")] if columns else []
    return T.StructType(
        [T.StructField(name, TYPES[kind.rstrip("!")], not kind.endswith("!")) for name, kind in pairs]
    )


def contract_of(columns="id bigint", partition_by="", **fields):
    "A contract without shards."
    from rgg_shared.tfrecord.contract import Contract
    from rgg_shared.tfrecord.features import Feature

    schema = schema_of(columns)
    features = tuple(Feature(f.name, "int64", (), f.dataType.simpleString(), f.nullable) for f in schema)
    return Contract(features, (), schema, schema_of(partition_by), **fields)


# a click log, and the source that maps it
CLICKS = """-- format: csv
-- option header: true
SELECT visit AS session_id, product AS item_id, action AS event_type,
  try_to_timestamp(ts) AS event_time, device
FROM raw
"""
HEADER = "visit,product,action,ts,device,note\n"
GOOD = (
    "s1,a,view,2026-03-05T10:00:00Z,phone,x\ns1,b,view,2026-03-05T10:01:00Z,phone,\n"
    "s2,a,cart,2026-03-06T09:00:00Z,desktop,\n"
)

SMALL = ShopConfig(days=3, items_per_day=20, sessions_per_day=400, members=300)


def write_with_tensorflow(path, *examples):
    "Write a shard of Examples, each `{name: ('int64_list', values)}`, with TensorFlow."
    import tensorflow as tf
    with tf.io.TFRecordWriter(str(path)) as writer:
        for lists in examples:
            example = tf.train.Example()
            for name, (kind, values) in lists.items():
                feature = example.features.feature[name]
                if kind:
                    getattr(feature, kind).value.extend(values)
                    getattr(feature, kind).SetInParent()  # also an empty list has a kind
            writer.write(example.SerializeToString())


def run_cells(name, **parameters):
    "Execute the cells of a stage notebook in this process, as if by hand; its globals come back."
    path = find_project_root() / f"notebooks/{name}.ipynb"
    defaults, names = read_notebook_defaults(path), {"__name__": "__main__", "display": print}
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{name}, cell {number}", "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {key: cast_parameter(key, value, defaults[key]) for key, value in parameters.items()}
    return names


def run_cells_of_job(name, **given):
    """Execute the notebooks of a job in this process, one after the other, with the parameters that the
    job gives them; the globals of each come back by task."""
    plan, done = plan_job(name, given), {}
    for task in plan.settings["tasks"]:
        path = find_project_root() / task["notebook_task"]["notebook_path"]
        parameters = merge_notebook_parameters(task, plan.values, read_notebook_defaults(path))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RGG_TASK_KEY", task["task_key"])
            done[task["task_key"]] = run_cells(path.stem, **parameters)
    return done
