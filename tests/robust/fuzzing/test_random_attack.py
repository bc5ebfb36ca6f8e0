"""`fuzz`: honest models of all kinds never fail; bad input is refused."""

import numpy as np
import pytest

from robust import as_data, as_model, load_data, load_model
from robust.errors import InvalidInput, ModelFault
from robust.examples.catalogue import example_path
from robust.fuzzing import fuzz

SEEN = np.random.default_rng(0).random((40, 6))
DATA = as_data(SEEN, schema={"bounds": (0, 1)})
WEIGHTS = np.arange(6.0) - 2.0


def honest(x):
    return x @ WEIGHTS


def test_an_honest_function_never_fails_and_the_pass_says_what_it_is():
    found = fuzz(honest, DATA, n=4000)
    assert (found.failures == 0).status == "PASS"
    assert found.examples == ()
    # Clopper-Pearson with no failure in 2000: 1 - 0.05^(1/2000).
    assert f"{100 * (1 - 0.05 ** (1 / 2000)):.3g} % of such inputs is excluded at 95 %" in found.claims[0]
    assert "2,000 random inputs, none failed" in found.claims[0]
    assert not any("%" in claim for claim in found.claims[1:])


@pytest.mark.parametrize("name", ["float.onnx", "int8.onnx", "net.safetensors"])
def test_the_networks_of_the_example_never_fail(name):
    folder = example_path("digits")
    factory = "robust.examples.digits_torch:small_cnn" if name == "net.safetensors" else None
    data = load_data(folder / "test.npz", schema={"bounds": (0, 1)})
    found = fuzz(load_model(folder / name, factory=factory), data, n=6000)
    assert (found.failures == 0).status == "PASS", found
    assert {level for level, _ in found.levels} == {"inside", "edges", "outside"}


@pytest.mark.parametrize("name", ["diabetes", "sunspots"])
def test_the_estimators_of_the_examples_never_fail(name):
    folder = example_path(name)
    target = {"diabetes": "target", "sunspots": "sunspots"}[name]
    unused = {"diabetes": ["s1", "s2", "s3", "s4", "s5", "s6"], "sunspots": ["lag9", "lag10", "lag11", "year"]}[name]
    data = load_data(folder / "test.csv", target=target, unused=unused)
    found = fuzz(load_model(folder / "model.skops"), data, n=3000)
    assert (found.failures == 0).status == "PASS", found


@pytest.mark.parametrize("kind", ["forest", "boosting", "neighbours", "logistic", "svm", "mlp"])
def test_honest_estimators_never_fail(kind):
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    made = {
        "forest": RandomForestClassifier(8, random_state=0),
        "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
        "neighbours": KNeighborsClassifier(3),
        "logistic": LogisticRegression(),
        "svm": SVC(),
        "mlp": MLPClassifier((8,), max_iter=50, random_state=0, tol=1.0, n_iter_no_change=2),
    }
    model = made[kind].fit(SEEN, (SEEN[:, 0] > 0.5).astype(int))
    found = fuzz(model, as_data(SEEN, schema={"bounds": (0, 1)}), n=2000)
    assert (found.failures == 0).status == "PASS", found


def test_a_table_with_text_groups_relations_and_missing_values():
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(1)
    a, b = rng.random(60), rng.random(60)
    frame = pd.DataFrame(
        {"a": a, "b": b, "total": a + b, "size": rng.choice(["S", "M", "L"], 60), "age": rng.integers(18, 90, 60)}
    )
    frame.loc[::7, "age"] = np.nan
    schema = {
        "relations": ["total = a + b", "a <= total"],
        "age": {"kind": "integer"},
        "size": {"categories": ["S", "M", "L"]},
    }
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["size"]), remainder="passthrough", sparse_threshold=0
    )
    model = make_pipeline(encode, HistGradientBoostingRegressor(max_iter=5)).fit(frame, a)
    found = fuzz(model, as_data(frame, schema=schema), n=2000)
    assert (found.failures == 0).status == "PASS", found


def test_whole_number_inputs():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Flatten(), torch.nn.Linear(12, 3)).eval()
    codes = np.random.default_rng(0).integers(0, 10, (30, 3))
    found = fuzz(as_model(net, output="logits"), as_data(codes, schema={"bounds": (0, 9)}), n=1000)
    assert (found.failures == 0).status == "PASS", found
    assert dict(found.refusals)["beyond values"].startswith("IndexError")


@pytest.mark.parametrize("n", [0, -1, 2.5, "10", True, None])
def test_n_is_a_whole_number(n):
    with pytest.raises(InvalidInput, match="n must be a whole number of at least 1"):
        fuzz(honest, DATA, n=n)


@pytest.mark.parametrize("levels", [["inner"], [], ["inside", "inside"], 3])
def test_levels_are_known(levels):
    with pytest.raises(InvalidInput, match="levels got"):
        fuzz(honest, DATA, levels=levels)


@pytest.mark.parametrize("budget", [0, -1.0, float("nan"), float("inf"), True, "1"])
def test_a_budget_is_in_seconds(budget):
    with pytest.raises(InvalidInput, match="budget is in seconds"):
        fuzz(honest, DATA, budget=budget)


def test_a_seed_is_a_whole_number():
    with pytest.raises(InvalidInput, match="seed must be a whole number"):
        fuzz(honest, DATA, seed=-1)


def test_ranges_of_the_data_stand_in_for_bounds():
    found = fuzz(honest, SEEN, n=200)
    assert any("6 of 6 features have no declared bounds" in note for note in found.notes)


def test_a_model_that_takes_no_row_of_the_data():
    def broken(x):
        raise KeyError("weights")

    with pytest.raises(ModelFault, match="raises KeyError.*a fuzz needs rows that the model takes"):
        fuzz(broken, DATA, n=10)


def test_a_model_of_several_inputs():
    torch = pytest.importorskip("torch")

    class Two(torch.nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(ModelFault, match="a model of several needs a wrapper"):
        fuzz(as_model(Two(), task="regression"), DATA, n=10)


def test_rows_of_another_shape():
    folder = example_path("digits")
    with pytest.raises(InvalidInput, match="takes rows of shape"):
        fuzz(load_model(folder / "float.onnx"), DATA, n=10)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fuzz(lambda x: np.where(x[:, 3] > 0.7, np.nan, honest(x)), DATA, n=500)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_fixed_batch(tmp_path):
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    value = lambda name, *shape: h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)  # noqa: E731
    for name, op in (("honest", "Identity"), ("mixed", "CumSum")):
        extra = ["axis"] if op == "CumSum" else []
        graph = h.make_graph(
            [h.make_node(op, ["x", *extra], ["y"])],
            name,
            [value("x", 4, 6)],
            [value("y", 4, 6)],
            [onnx.numpy_helper.from_array(np.array(0), "axis")] if extra else [],
        )
        made = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        onnx.save(made, tmp_path / f"{name}.onnx")
    fixed = load_model(tmp_path / "honest.onnx", task="regression")
    found = fuzz(fixed, DATA, n=203)
    assert (found.failures == 0).status == "PASS", found
    assert {form for form, _ in found.refusals} == {
        f"4-rows-{kind}" for kind in ("float64", "float16", "int64", "int32", "uint8", "bool")
    }
    mixed = fuzz(load_model(tmp_path / "mixed.onnx", task="regression"), DATA, n=203, levels=["inside"])
    assert {example.kind for example in mixed.examples} == {"neighbours"}


def test_an_exported_program_is_asked_as_elsewhere():
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.ReLU()).eval()
    rows = torch.zeros(8, 6)
    program = torch.export.export(net, (rows,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    found = fuzz(as_model(program, task="regression"), DATA, n=600)
    assert (found.failures == 0).status == "PASS", found
    assert any("called as elsewhere" in note for note in found.notes)


def test_wide_rows_are_shrunk_in_reasonable_time():
    wide = as_data(
        np.random.default_rng(0).random((4, 3, 100, 100)).astype(np.float32) * 0.5, schema={"bounds": (0, 1)}
    )

    def model(x):
        return np.where(x[:, 1, 50, 7] > 0.6, np.nan, x.sum(axis=(1, 2, 3)))

    (example,) = fuzz(as_model(model, batch_size=16), wide, n=64, levels=["inside"]).examples
    assert np.argwhere(example.rows).tolist() == [[0, 1, 50, 7]]
    assert example.rows.max() == 1.0


def test_rows_have_the_floating_type_of_the_model():
    torch = pytest.importorskip("torch")
    last = float(np.nextafter(np.float32(1), np.float32(0)))

    class Touchy(torch.nn.Module):
        def forward(self, x):
            return torch.where((x == last).any(dim=1), float("nan"), x.sum(dim=1))

    found = fuzz(as_model(Touchy(), task="regression"), DATA, n=400, levels=["edges"])
    (example,) = found.examples
    assert (example.rows.dtype, example.rows.max()) == (np.float32, last)


def test_a_miss_that_is_let_pass_is_told():
    def shares(x):
        raised = np.exp(np.nan_to_num(x, nan=0.0, posinf=1.0, neginf=0.0).clip(-9, 9))
        return raised / raised.sum(axis=1, keepdims=True)

    data = as_data(np.random.default_rng(0).random((50, 3)), schema={"bounds": (0, 1)})
    told = {}
    for miss in (0.98, 1.0):
        model = as_model(lambda x, miss=miss: miss * shares(x), output="probabilities", classes=[0, 1, 2])
        found = fuzz(model, data, n=600)
        assert found.failures == 0
        told[miss] = [note for note in found.notes if "so much is let pass" in note]
    assert told == {
        0.98: ["on the data's own rows probabilities miss a sum of 1 by up to 0.03: so much is let pass everywhere"],
        1.0: [],
    }
