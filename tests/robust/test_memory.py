"""Data larger than the memory that a process is allowed: the limit is the kernel's, and it is shown to bite."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="RLIMIT_DATA limits private memory on Linux alone"
)
MIB = 2**20
FLOATS = {"npy": "f4", "stored npz": "f4", "compressed npz": "f4", "parquet": "f8", "csv": "f8"}  # types of data.x
# Everything is imported and called once on small data before the limit is set: what is measured is the data.
MEASURE = r"""
import json, re, resource, sys
import numpy as np
import pandas, pyarrow as pa, pyarrow.csv, pyarrow.parquet, sklearn.metrics
from robust import InvalidInput, accuracy, as_data, as_model, load_data, log_loss
from robust.data import large

room, jobs = json.loads(sys.argv[1])

def private_bytes():
    return int(re.search(r"VmData:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024

def forward(x):
    return -np.abs(x.reshape(len(x), -1)[:, :1].astype(float) - np.arange(3.0))

model = as_model(forward, output="logits")

def measured(path, labels, target):
    data = load_data(path, target=target)
    if labels is not None:
        data = as_data(data.x, np.load(labels))
    found = [accuracy(model, data), log_loss(model, data)]
    figures = [[m.value, m.lower, m.upper] for m in found]
    on_disk, arrow = large.is_mapped(data.x), pa.default_memory_pool().max_memory()
    return {"rows": len(data), "bytes": data.x.nbytes, "on_disk": on_disk, "arrow": arrow, "figures": figures}

few = as_data(np.arange(30.0).reshape(10, 3) % 3, np.arange(10) % 3)
accuracy(model, few), log_loss(model, few)
# Arrow's allocator takes a gigabyte of addresses at once, memory only as it is used: it says itself how much that is.
pa.array(range(1000))
limit = private_bytes() + room
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones(room + 2**20, dtype=np.uint8)
except MemoryError:
    pass
else:
    print("not enforced")
    sys.exit()
for path, labels, target, spool_above in jobs:
    large.SPOOL_ABOVE = spool_above or large.SPOOL_ABOVE
    try:
        print(json.dumps(measured(path, labels, target)), flush=True)
    except (InvalidInput, MemoryError) as error:
        print(json.dumps(repr(error)), flush=True)
"""


def measured(jobs, *, room):
    """What a process whose private memory may grow by `room` bytes measures on files, one after another."""
    # One thread a library: the stacks of others would count as memory.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps([room, jobs])],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if done.stdout.strip() == "not enforced":
        pytest.skip("this kernel does not enforce RLIMIT_DATA")
    return [json.loads(line) for line in done.stdout.splitlines()]


def labels_of(rows):
    return np.arange(rows) % 3


def blocks_of(rows, width, size=2000):
    """Rows whose first feature is their label, but for one in ten, and noise beside it."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, size):
        n = np.arange(start, min(start + size, rows))
        x = (rng.integers(0, 1024, size=(len(n), width)) / 64).astype("f4")
        x[:, 0] = np.where(n % 10 == 9, (n + 1) % 3, n % 3)
        yield x


def write_npy(stream, rows, width):
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, width // 4, 4)}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in blocks_of(rows, width):
        stream.write(block.tobytes())


def write_npz(path, rows, width, compression):
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as stream:
            write_npy(stream, rows, width)
        with archive.open("y.npy", "w") as stream:
            np.lib.format.write_array(stream, labels_of(rows))


def write_table(path, rows, width):
    names, start = [f"p{j}" for j in range(width)], 0
    schema = pa.schema([*((name, pa.float32()) for name in names), ("label", pa.int64())])
    with (pa.csv.CSVWriter if path.suffix == ".csv" else pa.parquet.ParquetWriter)(path, schema) as writer:
        for block in blocks_of(rows, width):
            labels = labels_of(rows)[start : start + len(block)]
            writer.write_table(pa.table([*(pa.array(column) for column in block.T), labels], schema=schema))
            start += len(block)


def job(folder, kind, rows, width, spool_above=None):
    """A file of rows × width numbers with their labels, and how it is loaded."""
    path = folder / f"{kind.replace(' ', '.')}"
    if kind == "npy":
        path, labels = folder / "t.npy", folder / "labels.npy"
        with path.open("wb") as stream:
            write_npy(stream, rows, width)
        np.save(labels, labels_of(rows))
        return [str(path), str(labels), None, spool_above]
    if kind.endswith("npz"):
        write_npz(path, rows, width, zipfile.ZIP_DEFLATED if kind.startswith("compressed") else zipfile.ZIP_STORED)
        return [str(path), None, None, spool_above]
    path = folder / f"t.{kind}"
    write_table(path, rows, width)
    return [str(path), None, "label", spool_above]


def check(found, kind, rows, width, *, room):
    """The figures that are known exactly: nine rows in ten are right, and the margins fix the log-loss."""
    assert isinstance(found, dict), found
    size = rows * width * np.dtype(FLOATS[kind]).itemsize
    assert (found["rows"], found["bytes"], found["on_disk"]) == (rows, size, True)
    accuracy, log_loss = found["figures"]
    assert accuracy[0] == pytest.approx(1 - (rows // 10) / rows, abs=1e-12)
    scores = np.exp(-np.abs(np.arange(3)[:, None] - np.arange(3)))
    losses = -np.log(scores / scores.sum(axis=1, keepdims=True))
    label = labels_of(rows)
    place = np.where(np.arange(rows) % 10 == 9, (label + 1) % 3, label)
    assert log_loss[0] == pytest.approx(losses[place, label].mean(), rel=1e-12)
    assert log_loss[1] < log_loss[0] < log_loss[2]
    assert size > room + found["arrow"]


@pytest.mark.parametrize(
    "sizes",
    [
        {"npy": (15_000, 784), "stored npz": (15_000, 784), "compressed npz": (15_000, 784), "parquet": (8_000, 784)},
        {"csv": (130_000, 64)},
    ],
    ids=["arrays", "text"],
)
def test_files_larger_than_the_memory_allowed(tmp_path, sizes):
    room = 40 * MIB
    jobs = [job(tmp_path, kind, *size, spool_above=4 * MIB) for kind, size in sizes.items()]
    found = measured([*jobs, [*jobs[0][:3], 2**40]], room=room)
    for (kind, size), one in zip(sizes.items(), found[:-1], strict=True):
        check(one, kind, *size, room=room)
    # Read into memory the first file does not fit: the limit is one.
    assert "memory" in found[-1].lower()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FLOATS)
def test_six_hundred_megabytes_in_250(tmp_path, kind):
    rows, width = (400_000, 196) if kind == "csv" else (200_000, 784)
    room = 200 * MIB
    found = measured([job(tmp_path, kind, rows, width)], room=room)
    check(found[0], kind, rows, width, room=room)
    assert found[0]["bytes"] > 600e6
    assert room + found[0]["arrow"] < 250 * MIB
