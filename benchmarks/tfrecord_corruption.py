"""What reading makes of damaged shards: random corruptions, and which rows come out in each mode.

    python benchmarks/tfrecord_corruption.py                 10,000 corruptions (about a minute)
    python benchmarks/tfrecord_corruption.py --cases 500     fewer

For every case: in FAILFAST either an error or exactly the rows that were written, in the other modes no row
that was not written and every row whose bytes are untouched. Whatever else happens ends the run with the
case's number.

One coincidence is counted and not an error: where a block was moved, the length of a damaged record may by
chance end where a later record begins, and what lies between belongs to it as far as anybody can tell.
"""

import argparse
import collections
import gzip
import random
import tempfile
from pathlib import Path

import numpy as np
from pyspark.sql import types as T
from tqdm import tqdm

from rgg_shared.core import UserError
from rgg_shared.tfrecord import (
    BYTES,
    INTS,
    ByteStrings,
    Damage,
    FileSplit,
    Leaf,
    ReadSettings,
    SplitReader,
    Values,
    compute_offsets,
    encode_examples,
    locate,
    read_chunks,
)

SCHEMA = T.StructType(
    [
        T.StructField("id", T.LongType()),
        T.StructField("ids", T.ArrayType(T.LongType(), False)),
        T.StructField("word", T.StringType()),
    ]
)
KINDS = ("flip", "truncate", "swap", "zero", "delete", "insert", "gzip flip", "gzip truncate")


def shard_of(random_numbers, rows=150):
    "The rows of a shard, its bytes, and where each record begins (and the last one ends)."
    table = [
        (
            n,
            [random_numbers.randrange(10**9) for _ in range(random_numbers.randrange(12))],
            "".join(random_numbers.choices("aäbc☃", k=random_numbers.randrange(20))),
        )
        for n in range(rows)
    ]
    flat = [value for _, ids, _ in table for value in ids]
    words = [word.encode() for _, _, word in table]
    kinds, ones = (lambda kind: np.full(rows, kind, np.uint8)), np.ones(rows, np.int64)
    strings = ByteStrings(compute_offsets([*map(len, words)]), np.frombuffer(b"".join(words), np.uint8))
    columns = [
        Values(Leaf("id", INTS), kinds(INTS), ones, np.array([row[0] for row in table])),
        Values(
            Leaf("ids", INTS), kinds(INTS), np.array([len(row[1]) for row in table]), np.array(flat, np.int64)
        ),
        Values(Leaf("word", BYTES), kinds(BYTES), ones, strings),
    ]
    content = bytes(encode_examples(columns, rows).buffer)
    (chunk,) = read_chunks([content])
    return table, content, [*(int(start) - 12 for start in chunk.starts), len(content)]


def corrupt(kind, content, bounds, dice):
    "The damaged bytes, and the numbers of the records whose bytes are untouched, if perhaps moved."
    size, touched = len(content), []
    at = dice.randrange(size)
    length = min(size - at, dice.choice([1, 7, 40, 300]))
    if kind == "flip":
        spoilt = bytearray(content)
        for place in dice.sample(range(size), dice.randint(1, 5)):
            spoilt[place] ^= 1 << dice.randrange(8)
            touched.append((place, place + 1))
    elif kind == "truncate":
        spoilt, touched = content[:at], [(at, size)]
    elif kind == "swap":
        length = min(length, size // 4)
        a, b = sorted(dice.sample(range(0, size - length, length), 2))
        spoilt = (
            content[:a]
            + content[b : b + length]
            + content[a + length : b]
            + content[a : a + length]
            + content[b + length :]
        )
        touched = [(a, a + length), (b, b + length)]
    elif kind == "zero":
        spoilt, touched = content[:at] + bytes(length) + content[at + length :], [(at, at + length)]
    elif kind == "delete":
        spoilt, touched = content[:at] + content[at + length :], [(at, at + length)]
    else:
        spoilt, touched = content[:at] + dice.randbytes(length) + content[at:], [(at, at)]
    inside = lambda first, last, a, b: a < last and b > first if a < b else first < a < last
    whole = [
        n
        for n, (first, last) in enumerate(zip(bounds, bounds[1:]))
        if not any(inside(first, last, *t) for t in touched)
    ]
    return bytes(spoilt), whole


def corrupt_gzip(kind, content, bounds, dice):
    "The damaged gzip bytes, and no record that is known to be untouched."
    packed = bytearray(gzip.compress(content, 1))
    if kind == "gzip truncate":
        return bytes(packed[: dice.randrange(len(packed))]), []
    packed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
    return bytes(packed), []


def read(path, mode, rows, codec):
    "The rows and how many corrupt records a reader of the file sees; `rows` is what the contract promises."
    table = (
        T.StructType([*SCHEMA, T.StructField("_corrupt_record", T.BinaryType())])
        if mode == "PERMISSIVE"
        else SCHEMA
    )
    fs, place = locate(str(path))
    batches = list(SplitReader(ReadSettings(table, mode=mode), fs, FileSplit(place, {}, codec, rows=rows)))
    found = [row for batch in batches for row in batch.to_pylist()]
    good = [(row["id"], row["ids"], row["word"]) for row in found if row.get("_corrupt_record") is None]
    return good, len(found) - len(good)


def swallowed(spoilt):
    "The ranges of bytes that damaged records take up by their lengths, which are whole."
    found = []
    for part in read_chunks([spoilt]):
        if isinstance(part, Damage) and "checksum" in part.what:
            size = int.from_bytes(spoilt[part.offset : part.offset + 8], "little")
            found.append((part.offset, part.offset + 16 + size))
    return found


def check(kind, seed, folder):
    """Damage a shard and read it in every mode: whether FAILFAST raised, rows kept, rows untouched, and lost
    by coincidence."""
    dice = random.Random(seed)
    table, content, bounds = shard_of(random.Random(seed % 7))
    spoilt, whole = (corrupt_gzip if "gzip" in kind else corrupt)(kind, content, bounds, dice)
    codec, path = "gzip" if "gzip" in kind else "", Path(folder) / "shard"
    path.write_bytes(spoilt)
    written = {str(row) for row in table}
    try:
        strict, raised = read(path, "FAILFAST", len(table), codec)[0], False
        assert sorted(map(str, strict)) == sorted(written), "FAILFAST read other rows than were written"
    except UserError:
        raised = True
    kept, _ = read(path, "DROPMALFORMED", len(table), codec)
    keys = collections.Counter(map(str, kept))
    assert not keys.keys() - written and max(keys.values(), default=0) <= 1, "DROPMALFORMED made up a row"
    missed = [n for n in whole if str(table[n]) not in keys]
    moved = len(spoilt) - len(content)  # what follows a deletion or insertion is found that much later
    chance = [
        n
        for n in missed
        if kind in ("swap", "delete", "insert")
        and any(
            a < bounds[n] + shift and bounds[n + 1] + shift <= b
            for a, b in swallowed(spoilt)
            for shift in (0, moved)
        )
    ]
    assert missed == chance, f"DROPMALFORMED lost the untouched rows {missed}"
    permissive, corrupt_rows = read(path, "PERMISSIVE", len(table), codec)
    assert permissive == kept, "PERMISSIVE and DROPMALFORMED differ"
    left = b"".join(content[bounds[row[0]] : bounds[row[0] + 1]] for row in kept)
    assert corrupt_rows or left == spoilt, (
        "PERMISSIVE lost a record without a trace"
    )  # only a contract knows of whole ones
    return raised, len(kept), len(whole), len(chance)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases", type=int, default=10_000, help="corruptions, dealt to all kinds (default 10,000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first case (default 0)")
    given = parser.parse_args()
    found = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for case in tqdm(range(given.seed, given.seed + given.cases)):
            kind = KINDS[case % len(KINDS)]
            try:
                found[kind].append(check(kind, case, folder))
            except Exception as e:
                raise SystemExit(f"Case {case} ({kind}): {e!r}") from e
    print(
        "| corruption | cases | error in FAILFAST | untouched rows | of these lost | rows kept of 150, mean |"
    )
    print("|---|---|---|---|---|---|")
    for kind, cases in found.items():
        raised, kept, whole, chance = (sum(column) for column in zip(*cases))
        print(
            f"| {kind} | {len(cases):,} | {raised:,} | {whole or '-':,} | {chance} | "
            f"{kept / len(cases):.1f} |"
            if whole
            else f"| {kind} | {len(cases):,} | {raised:,} | - | - | {kept / len(cases):.1f} |"
        )


if __name__ == "__main__":
    main()
