"""`--schema FILE`: what is declared holds in the rows that `robust attack` writes, and mistakes are named."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.ensemble import RandomForestClassifier

from robust.commands.attack_model import attack_command
from robust.commands.fuzz_model import fuzz_command
from robust.commands.schema_file import read_declared, spent_by_cost
from robust.data.schema import build_schema
from robust.errors import InvalidInput
from robust.models.loading import load_model

NAMES = ["age", "sex", "dose", "low", "high", "red", "green", "blue"]
TOML = """
relations = ["low <= high"]
age = { kind = "integer", bounds = [18, 120] }
sex = { kind = "binary", immutable = true }
dose = { bounds = [0, 1], cost = 20 }
red = { one_hot = "colour" }
green = { one_hot = "colour" }
blue = { one_hot = "colour" }
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(n, seed=0):
    """Rows that obey the schema, and labels that follow most of the features."""
    rng = np.random.default_rng(seed)
    low = rng.normal(80, 8, n).round(1)
    colour = np.eye(3)[rng.integers(0, 3, n)]
    x = np.column_stack(
        [rng.integers(18, 90, n), rng.integers(0, 2, n), rng.random(n).round(3), low, low + rng.gamma(4, 6, n), colour]
    )
    y = (x[:, 0] - 50) / 20 + 2 * x[:, 2] + (x[:, 4] - low - 24) / 20 + x[:, 6] > 1
    return x, y.astype(int)


@pytest.fixture
def forest(tmp_path):
    """A forest as a joblib file and eighty rows for it."""
    joblib = pytest.importorskip("joblib")
    joblib.dump(RandomForestClassifier(15, max_depth=6, random_state=0).fit(*rows(300)), "forest.joblib")
    x, y = rows(80, seed=1)
    lines = [",".join(map(repr, [*map(float, row), int(label)])) for row, label in zip(x, y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([",".join([*NAMES, "label"]), *lines]) + "\n")
    (tmp_path / "s.toml").write_text(TOML)
    return tmp_path


def run(command, *words):
    """Exit code and text, as the command line has them."""
    result = CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def keeps_to_it(found, x, eps):
    """Whether rows obey the schema above and a budget, written apart from the attack; which features moved."""
    moved = np.abs(found - x)
    assert np.array_equal(found[:, 0], np.rint(found[:, 0]))
    assert found[:, 0].min() >= 18
    assert not moved[:, 1].any()
    assert found[:, 2].min() >= 0
    assert found[:, 2].max() <= 1
    assert moved[:, 2].max() <= eps / 20
    assert (found[:, 3] <= found[:, 4]).all()
    assert np.isin(found[:, 5:], (0, 1)).all()
    assert (found[:, 5:].sum(axis=1) == 1).all()
    assert moved[:, [0, 3, 4]].max() <= eps
    return moved.any(axis=0)


def test_rows_of_an_attacked_forest_obey_a_schema_file(forest):
    words = ("forest.joblib", "t.csv", "--target", "label", "--eps", 3, "--trust", "--strength", "quick")
    code, text = run(attack_command, *words, "--schema", "s.toml", "--out", "adv.npz")
    assert code == 0
    assert "dose=0.15" in text
    x, y = rows(80, seed=1)
    with np.load("adv.npz") as kept:
        found, broken = kept["x_adv"], kept["broken"]
    assert keeps_to_it(found, x, 3.0)[[0, 2, 3, 4, 5]].all()
    assert broken.sum() >= 10
    model = load_model("forest.joblib", trust=True)
    assert (model.forward(found[broken]).argmax(axis=1) != y[broken]).all()
    # Without it, rows leave the schema.
    run(attack_command, *words, "--out", "free.npz")
    with np.load("free.npz") as kept, pytest.raises(AssertionError):
        keeps_to_it(kept["x_adv"], x, 3.0)


def test_rows_of_an_attacked_onnx_file_obey_it_too(forest):
    helper = pytest.importorskip("onnx").helper
    import onnx

    weights = np.array([[0.05, 0.1, 2.0, -0.05, 0.05, 0.0, 1.0, 0.0]], dtype=np.float32).T @ np.array([[-1.0, 1.0]])
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["logits"])],
        "line",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 2])],
        [
            onnx.numpy_helper.from_array(weights.astype(np.float32), "w"),
            onnx.numpy_helper.from_array(np.array([4.6, -4.6], dtype=np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, "line.onnx")
    words = ("line.onnx", "t.csv", "--target", "label", "--eps", 3, "--strength", "quick", "--output", "logits")
    run(attack_command, *words, "--schema", "s.toml", "--out", "adv.npz")
    with np.load("adv.npz") as kept:
        assert kept["broken"].sum() >= 10
        keeps_to_it(kept["x_adv"], rows(80, seed=1)[0], 3.0)


def test_a_forest_is_fuzzed_inside_what_is_declared(forest):
    words = ("forest.joblib", "t.csv", "--target", "label", "--trust", "--n", 400, "--levels", "inside")
    assert run(fuzz_command, *words, "--schema", "s.toml")[0] == 0
    code, text = run(fuzz_command, *words, "--schema", "s.toml", "--json")
    assert code == 0
    assert json.loads(text)


def test_toml_json_and_an_audit_s_config_say_the_same(tmp_path):
    table = {"age": {"kind": "integer", "bounds": [18, 120]}, "sex": {"immutable": True}}
    (tmp_path / "s.json").write_text(json.dumps({"relations": ["sex <= age"], "bounds": [0, 200], **table}))
    (tmp_path / "s.toml").write_text(
        'relations = ["sex <= age"]\nbounds = [0, 200]\n[age]\nkind = "integer"\nbounds = [18, 120]\n'
        "[sex]\nimmutable = true\n"
    )
    (tmp_path / "robust.toml").write_text(
        '[models]\ncandidate = "m.onnx"\n[data]\ntest = "t.csv"\nrelations = ["sex <= age"]\nbounds = [0, 200]\n'
        '[data.schema]\nage = { kind = "integer", bounds = [18, 120] }\nsex = { immutable = true }\n'
    )
    keys = [
        build_schema(read_declared(tmp_path / name, None).spec, names=("age", "sex"), shape=(2,)).key()
        for name in ("s.json", "s.toml", "robust.toml")
    ]
    assert keys[0] == keys[1] == keys[2]
    assert keys[0][2] == ("integer", "continuous")
    assert keys[0][4] == [120.0, 200.0]


def test_a_feature_may_be_called_data(tmp_path):
    (tmp_path / "s.toml").write_text("data = { bounds = [0, 1], cost = 2 }\n")
    found = read_declared(tmp_path / "s.toml", None)
    assert found.spec == {"data": {"bounds": [0, 1]}}
    assert found.costs == {"data": 2.0}


def test_costs_divide_budgets_and_buy_categories():
    schema = build_schema({"hue": {"categories": ["red", "blue"]}}, names=("a", "b", "hue"), shape=(3,))
    assert spent_by_cost(0.5, {}, schema) == 0.5
    assert spent_by_cost(0.5, {"b": 5.0}, schema) == {"a": 0.5, "b": 0.1}
    assert spent_by_cost(2.0, {"hue": 2.0}, schema) == {"a": 2.0, "b": 2.0, "hue": 1.0}
    assert spent_by_cost({"a": 0.1, "b": 0.4}, {"b": 2.0}, schema) == {"a": 0.1, "b": 0.2}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("s.toml", "age = { imutable = true }", r"s.toml: schema\['age'\] has unknown keys \['imutable'\]"),
        ("s.toml", 'age = { kind = "whole" }', r"s.toml: schema\['age'\] has unknown kind 'whole'"),
        ("s.toml", "age = { bounds = [9, 1] }", "s.toml: bounds of 'age' must have lower <= upper"),
        ("s.toml", "age = 5", r"s.toml: schema\['age'\] must be a table"),
        ("s.toml", "age = { cost = 0 }", r"s.toml: schema\['age'\]: cost must be a finite number above 0, got 0"),
        ("s.toml", "bounds = [9, 1]", "s.toml: bounds of all features"),
        ("s.toml", "aeg = { immutable = true }", "a feature that is not there.*'aeg'.*'age'"),
        ("s.toml", 'relations = ["low <= hihg"]', "hihg"),
        ("s.toml", "age = {", "s.toml is no valid TOML"),
        ("s.toml", "", "must hold a table for each feature"),
        ("s.json", "[1]", r"must hold a table for each feature, got \[1\]"),
        ("s.json", "{", "s.json is no valid JSON"),
        ("s.yaml", "age: 5", "a .toml or .json file would be right"),
        ("robust.toml", "[data]\nschma = 1\ntest = 't.csv'", "unknown key 'schma' in .data.*did you mean 'schema'"),
        ("robust.toml", "[data]\ntest = 't.csv'", "says nothing of the features"),
    ],
)
def test_mistakes_are_named(forest, name, text, match):
    (forest / name).write_text(text)
    for command in (attack_command, fuzz_command):
        with pytest.raises(InvalidInput, match=match):
            run(command, "forest.joblib", "t.csv", "--target", "label", "--trust", "--schema", name)


def test_what_does_not_go_together_is_refused(forest):
    words = ("forest.joblib", "t.csv", "--target", "label", "--trust", "--schema", "s.toml")
    with pytest.raises(InvalidInput, match="give one of them"):
        run(attack_command, *words, "--eps", "dose=1")
    with pytest.raises(InvalidInput, match="--minimal measures moves without the costs"):
        run(attack_command, *words, "--minimal")
    with pytest.raises(InvalidInput, match="--curve measures moves"):
        run(attack_command, *words, "--curve", "0.1,0.2")
    (forest / "b.toml").write_text("bounds = [0, 200]\n")
    with pytest.raises(InvalidInput, match="and so has --bounds"):
        run(attack_command, *words[:-1], "b.toml", "--bounds", 0, 1)
    with pytest.raises(InvalidInput, match="does not exist"):
        run(attack_command, *words[:-1], "none.toml")
    (forest / "s.npz").write_bytes(b"")
    with pytest.raises(InvalidInput, match="read by this command"):
        run(attack_command, "forest.joblib", "s.npz", "--out", "s.npz")
