"""One table in memory and in each format is one data set, to the last bit."""

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robust.data.live import as_data
from robust.data.loading import load_data

NUMBERS = st.floats(allow_nan=True, allow_infinity=False, width=64)
# Labels that no reader could take for a number, a truth value or a date.
TEXTS = st.text(alphabet="abcäß日\" ,;\n'#=", max_size=6).map(lambda text: "t" + text)


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 6))
    columns = {"n0": draw(st.lists(st.floats(-1e9, 1e9), min_size=rows, max_size=rows))}
    for j in range(draw(st.integers(0, 3))):
        columns[f"f{j}"] = draw(st.lists(NUMBERS, min_size=rows, max_size=rows))
    if draw(st.booleans()):
        columns["i"] = draw(st.lists(st.integers(-(2**53), 2**53), min_size=rows, max_size=rows))
    if draw(st.booleans()):
        columns["b"] = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    if draw(st.booleans()):
        texts = draw(st.lists(st.one_of(TEXTS, st.none()), min_size=rows, max_size=rows))
        columns["s"] = [*texts[:-1], "last"]
    columns["label"] = draw(st.lists(TEXTS, min_size=rows, max_size=rows))
    return pd.DataFrame(columns)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames())
def test_frame_csv_and_parquet(tmp_path_factory, frame):
    folder = tmp_path_factory.mktemp("trip")
    data = as_data(frame, "label")
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    for path in (folder / "t.csv", folder / "t.parquet"):
        assert load_data(path, target="label").fingerprint == data.fingerprint


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(["f4", "f8", "i2"]),
)
def test_array_npz_npy_and_headerless_csv(tmp_path_factory, rows, dtype):
    folder = tmp_path_factory.mktemp("trip")
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.clip(np.array(rows), -3e4, 3e4).astype(dtype)
    y = np.arange(len(x))
    data = as_data(x, y)
    np.savez(folder / "t.npz", x=x, y=y)
    assert load_data(folder / "t.npz").fingerprint == data.fingerprint
    np.save(folder / "t.npy", x)
    assert load_data(folder / "t.npy").fingerprint == as_data(x).fingerprint
    pd.DataFrame(x).to_csv(folder / "t.csv", index=False, header=False)
    np.testing.assert_array_equal(load_data(folder / "t.csv").x.astype(dtype), x)


def test_a_set_of_all_parts_survives_an_archive(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 2))
    parts = {"ids": list("abcde"), "order": [5, 4, 3, 2, 1], "groups": [1, 1, 2, 2, 2]}
    data = as_data(x, [0, 1, 0, 1, 0], names=["u", "v"], slices={"s": list("xxyyy")}, **parts)
    np.savez(
        tmp_path / "t.npz",
        x=data.x,
        y=data.targets,
        names=np.array(data.names),
        ids=data.ids,
        order=data.order,
        groups=data.groups,
        s=data.slices[0].values,
    )
    assert load_data(tmp_path / "t.npz", slices=["s"]).fingerprint == data.fingerprint
