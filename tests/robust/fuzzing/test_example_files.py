"""Saved failures: plain files, replayed with the same answer, refused where they are damaged."""

import json

import numpy as np
import pytest

from robust import as_data, as_model, load_data, load_model
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.fuzzing import fuzz, replay

SEEN = np.random.default_rng(0).random((40, 6))
DATA = as_data(SEEN, schema={"bounds": (0, 1)})


def honest(x):
    return x.sum(axis=1)


FAULTS = {
    "finite": lambda x: np.where(x[:, 3] > 0.7, np.nan, honest(x)),
    "neighbours": lambda x: honest(x - x.mean(axis=0)),
    "odd neighbours": lambda x: honest(x) + np.isnan(x).any(),
    "changed": lambda x: honest(np.multiply(x, 2, out=x) if x.flags.writeable else x),
    "types": lambda x: honest(x) if x.dtype == np.float64 else 1 // 0,
    "empty": lambda x: honest(x) if len(x) else np.zeros(1),
    "rows": lambda x: honest(x)[1:] if len(x) > 2 else honest(x),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_saved_failure_fails_again_and_not_on_an_honest_model(name, tmp_path):
    found = fuzz(FAULTS[name], DATA, n=400, save=tmp_path)
    assert found.examples
    assert sorted(path.suffix for path in tmp_path.iterdir()) == sorted([".json", ".npz"] * len(found.examples))
    for example in found.examples:
        again = replay(example.path, FAULTS[name])
        assert again.fails, example
        assert "still fails" in str(again)
        mended = replay(example.path.with_suffix(".json"), honest)
        assert not mended.fails
        assert "fails no longer" in str(mended)


class Seldom:
    """Adds one to its answers once in twenty calls."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, x):
        return x.sum(axis=1) + (self.rng.random() < 1 / 20)


def test_a_seldom_failure_is_tried_until_it_shows(tmp_path):
    data = np.random.default_rng(0).random((40, 3))
    found = fuzz(Seldom(0), data, n=50_000, levels=["inside"], save=tmp_path)
    example = next(example for example in found.examples if example.property == "determinism")
    again = replay(example.path, Seldom(1))
    assert again.fails
    assert "; it took " in again.words
    honest = replay(example.path, lambda x: x.sum(axis=1))
    assert not honest.fails
    assert honest.words == "it answers as it must, 300 times"


def test_files_say_what_they_are_and_hold_no_objects(tmp_path):
    (example,) = fuzz(FAULTS["finite"], DATA, n=400, seed=7, save=tmp_path, levels=["inside"]).examples
    assert example.path.name == "inside-finite-outputs-nan.npz"
    told = json.loads(example.path.with_suffix(".json").read_text())
    assert (told["property"], told["level"], told["seed"]) == ("finite outputs", "inside", 7)
    assert told["data"] == DATA.fingerprint
    assert {"robust", "python", "numpy"} <= set(told["versions"])
    with np.load(example.path, allow_pickle=False) as content:
        assert content["x"].tolist() == example.rows.tolist()


@pytest.mark.filterwarnings("ignore:overflow")
def test_the_same_model_is_known_by_its_content(tmp_path):
    sklearn = pytest.importorskip("sklearn.linear_model")
    broken = sklearn.LinearRegression().fit(SEEN, honest(SEEN))
    broken.coef_ = np.array([1.0, 1, 1e308, 1e308, 1, 1])
    data = as_data(SEEN * 0.5, schema={"bounds": (0, 1)})
    example = fuzz(broken, data, n=400, save=tmp_path, levels=["inside"]).examples[0]
    assert example.rows.tolist() == [[0, 0, 1.0, 1.0, 0, 0]]
    assert replay(example.path, broken).same_model is True
    other = sklearn.LinearRegression().fit(SEEN, honest(SEEN))
    assert replay(example.path, other).same_model is False
    assert not replay(example.path, other).fails


def test_a_table_of_texts_is_replayed(tmp_path):
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

    frame = pd.DataFrame({"width": SEEN[:, 0] * 0.5, "size": np.where(SEEN[:, 1] > 0.5, "S", "L")})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(sparse_output=False), ["size"]), remainder="passthrough"),
        FunctionTransformer(_explode),
        LinearRegression(),
    ).fit(frame, SEEN[:, 2])
    data = as_data(frame, schema={"width": {"bounds": (0, 1)}})
    example = next(e for e in fuzz(model, data, n=400, save=tmp_path).examples if e.level == "inside")
    assert example.rows.tolist() == [[1.0, 0.0]]
    assert replay(example.path, model).fails


def _explode(x):
    if (x[:, -1] > 0.8).any():
        raise ArithmeticError("wide")
    return x


def test_a_network_is_replayed_on_its_own_images(tmp_path):
    torch = pytest.importorskip("torch")
    folder = example_path("digits")
    net = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn")

    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.where(x[:, 0, 3, 3:4] > 0.99, float("nan"), x.flatten(1)[:, :10])

    data = load_data(folder / "test.npz", schema={"bounds": (0, 1)})
    example = fuzz(as_model(Odd(), output="logits"), data, n=600, save=tmp_path).examples[0]
    assert np.argwhere(example.rows).tolist() == [[0, 0, 3, 3]]
    assert replay(example.path, as_model(Odd(), output="logits")).fails
    assert not replay(example.path, net).fails


def test_damaged_files_are_refused(tmp_path):
    example = fuzz(FAULTS["finite"], DATA, n=400, save=tmp_path).examples[0]
    told = json.loads(example.path.with_suffix(".json").read_text())
    with pytest.raises(InvalidInput, match=r"none.npz does not exist: a failing batch is two files"):
        replay(tmp_path / "none.npz", honest)
    changes = [
        {"format": "x"},
        {"level": "inner"},
        {"form": {"layout": "odd"}},
        {"expected": 3},
        {"shape": [7]},
        {"names": 1},
    ]
    for change in changes:
        example.path.with_suffix(".json").write_text(json.dumps(told | change))
        with pytest.raises(InvalidInput, match="no description of a failing batch"):
            replay(example.path, honest)
    example.path.with_suffix(".json").write_text("{")
    with pytest.raises(InvalidInput, match="no failing batch"):
        replay(example.path, honest)
    example.path.with_suffix(".json").write_text(json.dumps(told))
    np.savez(example.path, x=np.array([{}], dtype=object), base=np.zeros(6), ordinary=np.ones(1))
    with pytest.raises(InvalidInput, match="no failing batch"):
        replay(example.path, honest)
