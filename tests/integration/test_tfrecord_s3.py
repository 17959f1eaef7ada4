"""The format `tfrecord` on an object store: Spark's workers and the driver use an S3 server in a thread."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("moto", reason="the S3 server of the tests is moto")

JOB = """
import boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
import os
os.environ["AWS_ENDPOINT_URL"] = "http://%s:%d" % server.get_host_and_port()
boto3.client("s3").create_bucket(Bucket="shop")

from rgg_shared.core import UserError, get_spark
from rgg_shared.tfrecord import read_dataset, read_tfrecord, write_tfrecord
spark = get_spark("s3", master="local[2]", conf={"spark.ui.enabled": "false"})
path = "s3://shop/lake/examples"
df = spark.range(1000, numPartitions=3).selectExpr("id", "array(id, -id) AS ids", "id % 2 AS k")
first = write_tfrecord(df, path, partition_by=["k"])
write_tfrecord(df.where("id < 10"), path, "append", partition_by=["k"], codec="gzip")
back = read_tfrecord(spark, path)
part = read_tfrecord(spark, path, partitions={"k": 1}).count()
print("READ", back.count(), part, back.selectExpr("sum(ids[1])").first()[0])
second = write_tfrecord(df, path, "overwrite", partition_by=["k"])
keys = [o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket="shop")["Contents"]]
listed = {f"lake/examples/{shard.name}" for shard in second.shards}
print("FILES", len(listed), sorted(key.split("/")[-1] for key in {*keys} - listed if not key.endswith("/")))
print("DIGEST", first.digest == second.digest)
try:
    read_dataset(path, batch_size=8)
except UserError as e:
    print("DATASET", e)
spark.stop()
server.stop()
"""


def test_spark_writes_and_reads_an_object_store():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYSPARK_PYTHON": sys.executable,
    }
    done = subprocess.run(
        [sys.executable, "-c", JOB], env=environment, timeout=900, capture_output=True, text=True, check=False
    )
    out = done.stdout + done.stderr[-3000:]
    assert f"READ 1010 505 {-sum(range(1000)) - sum(range(10))}" in out
    assert "FILES 6 ['_SUCCESS', 'contract.json']" in out
    assert "DIGEST True" in out
    assert (
        "DATASET TensorFlow cannot read s3:// here; copy s3://shop/lake/examples to a local or mounted folder"
        in out
    )
