"""`cost` from the outside: figures that can be gated, what refuses to pass, and every error."""

import math
import pickle

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from robust.costing.whole_model import cost
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Fact, Figure
from robust.examples.catalogue import example_path
from robust.limits import KiB
from robust.models.conversion import as_model
from robust.models.loading import load_model


def facts(m):
    return {item.name: item.value for item in m.evidence if isinstance(item, Fact)}


def figures(m):
    return [item for item in m.evidence if isinstance(item, Figure)]


@pytest.fixture
def path(tmp_path, float_file):
    file = tmp_path / "net.onnx"
    file.write_bytes(float_file)
    return file


def test_budgets_are_gates(path):
    found = cost(path)
    assert found.rom < 16 * KiB
    assert found.macc <= 80896
    assert found.macc == 80896
    assert (found.ram < 6 * KiB).status == "FAIL"
    assert (found.ram <= 6 * KiB).status == "PASS"
    assert int(found.parameters) == 3818


def test_figures_are_exact_and_lower_is_better(path):
    found = cost(path)
    for m, name, unit in (
        (found.macc, "macc", "MACC"),
        (found.parameters, "parameters", "parameters"),
        (found.rom, "rom", "bytes"),
        (found.ram, "ram", "bytes"),
        (found.ram_without_io, "ram_without_io", "bytes"),
    ):
        assert (m.name, m.unit, m.higher_is_better, m.method, m.n) == (name, unit, False, "exact", 1)
        assert m.lower == m.value == m.upper
        assert all(check.passed for check in m.validity)


def test_what_a_report_shows(path):
    found = cost(path)
    (bars,) = figures(found.macc)
    assert dict(zip(bars.columns[0].values, bars.columns[1].values, strict=True)) == {
        "conv1": 4608.0,
        "conv2": 73728.0,
        "fc": 2560.0,
    }
    assert facts(found.macc)["largest layer"] == "conv2 (Conv), 91.1 % of all MACC"
    assert "no theoretical relation" in facts(found.macc)["time"]
    (line,) = figures(found.ram)
    assert line.rules == (("y", 6144.0, "peak, in conv2"),)
    assert max(line.columns[1].values) == 6144
    assert (facts(found.ram)["fullest step"], facts(found.ram)["without inputs and outputs"]) == ("conv2", 6144)
    assert found.peak_at == "conv2"
    assert max(size for _, size in found.live) == 6144
    assert repr(found) == "ModelCost('net.onnx', macc=80,896, parameters=3,818, rom=15,272, ram=6,144)"


def test_results_pickle(path):
    found = cost(path)
    again = pickle.loads(pickle.dumps(found.macc))
    assert (again.value, again.evidence) == (found.macc.value, found.macc.evidence)


def test_a_file_a_loaded_model_and_data_give_the_same(path):
    data = as_data(np.zeros((3, 1, 8, 8)), name="rows")
    loaded, plain = cost(load_model(path), data=data), cost(path)
    assert (loaded.macc.value, loaded.rom.value, loaded.ram.value) == (
        plain.macc.value,
        plain.rom.value,
        plain.ram.value,
    )
    assert loaded.macc.provenance.data == (("rows", data.fingerprint),)
    assert loaded.macc.provenance.models == plain.macc.provenance.models
    assert len(plain.macc.provenance.models[0][1]) == 64


def test_torch_onnx_and_int8_of_one_network(convolutional, path, tmp_path, quantized_file):
    small = tmp_path / "int8.onnx"
    small.write_bytes(quantized_file)
    live, full, narrow = cost(convolutional, input_shape=(1, 8, 8)), cost(path), cost(small)
    assert live.macc.value == full.macc.value == narrow.macc.value == 80896
    assert live.ram.value == full.ram.value == 4 * narrow.ram.value
    assert narrow.rom.value < full.rom.value / 3


def test_the_bundled_examples():
    folder = example_path("digits")
    full, narrow = cost(folder / "float.onnx"), cost(folder / "int8.onnx")
    assert full.macc.value == narrow.macc.value > 0
    assert full.parameters.value == narrow.parameters.value
    assert narrow.ram.value < full.ram.value
    assert narrow.rom.value < full.rom.value / 3
    assert full.uncounted == narrow.uncounted == ()


def test_recurrent_and_attention_layers_are_not_zero(sequential):
    found = cost(sequential, input_shape=(8, 8))
    assert found.macc == 23936
    assert {layer.name: layer.macc for layer in found.layers}["Sequential"] == 1024


def test_rows_can_come_from_data(convolutional):
    rows = np.zeros((5, 1, 8, 8))
    assert cost(convolutional, data=rows).macc == 80896
    assert cost(as_model(convolutional), data=as_data(rows)).macc == 80896


def test_an_exported_program_tells_its_own_rows(convolutional):
    program = torch.export.export(convolutional.eval(), (torch.zeros(2, 1, 8, 8),))
    found = cost(program)
    assert (found.macc.value, found.rows, found.ram.value) == (80896, 2, 2 * 6144)


def test_several_inputs_of_a_module():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x, state):
            return self.fc(x) @ state.mT

    found = cost(as_model(Two()), input_shape=[(4, 3), (7, 2)])
    assert found.macc == 4 * 6 + 4 * 7 * 2


# --- not countable is not passing -----------------------------------------------------------------------------


@pytest.fixture
def with_branch(tmp_path, files):
    """A product that is counted, and one behind a branch that is not."""
    inner = onnx.helper.make_graph([files.node("MatMul", ["a", "u"], ["t"])], "then", [], [files.value("t", None)])
    other = onnx.helper.make_graph([files.node("Identity", ["a"], ["e"])], "else", [], [files.value("e", None)])
    nodes = [
        files.node("MatMul", ["x", "w"], ["a"], name="fc"),
        files.node("ReduceSum", ["a"], ["s"], keepdims=0),
        files.node("Cast", ["s"], ["c"], to=onnx.TensorProto.BOOL),
        files.node("If", ["c"], ["y"], name="choice", then_branch=inner, else_branch=other),
    ]
    weights = {"w": np.zeros((6, 6), np.float32), "u": np.zeros((6, 6), np.float32)}
    file = tmp_path / "branch.onnx"
    file.write_bytes(files.model(nodes, [files.value("x", ["n", 6])], [files.value("y", ["n", 6])], weights))
    return file


def test_a_budget_on_what_was_not_counted_cannot_pass(with_branch):
    found = cost(with_branch)
    assert found.macc.value == 36
    verdict = found.macc < 1000
    assert verdict.status == "INVALID"
    assert "uncounted: not counted: choice (If)" in str(verdict)
    # What was counted alone is over this budget: the failure is real.
    assert (found.macc < 30).status == "FAIL"
    # All of the weights could be counted.
    assert (found.rom < 1 * KiB).status == "PASS"
    assert (found.ram < 1 * KiB).status == "INVALID"


def test_nothing_counted_is_no_number():
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    found = cost(DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y))
    assert math.isnan(found.macc.value)
    assert (found.macc < 10**9).status == (found.macc > 0).status == "INVALID"
    assert (found.rom < KiB).status == "PASS"
    assert "macc=?" in repr(found)
    unknown = cost(KNeighborsClassifier().fit(x, y))
    assert (unknown.ram < 10**9).status == "INVALID"
    assert (unknown.rom < 10**9).status == "INVALID"
    assert (unknown.rom < 10).status == "FAIL"


def test_a_model_that_does_nothing_costs_nothing():
    found = cost(nn.Identity(), input_shape=(4,))
    assert found.macc == 0
    assert found.rom == 0
    assert (found.macc < 1).status == "PASS"


# --- errors ---------------------------------------------------------------------------------------------------


def test_models_that_show_nothing_are_refused(float_file):
    with pytest.raises(InvalidInput, match=r"callable.* shows neither its weights nor its operators: pass"):
        cost(lambda x: x)
    session = onnxruntime.InferenceSession(float_file, providers=["CPUExecutionProvider"])
    with pytest.raises(InvalidInput, match="live session does not show its graph: pass the path of its file"):
        cost(session)
    with pytest.raises(InvalidInput, match="nowhere.onnx does not exist"):
        cost("nowhere.onnx")


def test_rows_have_to_be_told_once(convolutional):
    with pytest.raises(InvalidInput, match="does not say what rows it takes: give input_shape="):
        cost(convolutional)
    with pytest.raises(InvalidInput, match="data and input_shape both say what a row is: give one"):
        cost(convolutional, data=np.zeros((2, 1, 8, 8)), input_shape=(1, 8, 8))


@pytest.mark.parametrize(
    "shape", ["1,8,8", (0, 8), (1.0, 8), (True, 8), (), (1, -8), (1 << 40,), [(1, 8), 3.5], None.__class__, 2.5]
)
def test_shapes_that_are_none_are_refused(convolutional, shape):
    with pytest.raises(InvalidInput, match="input_shape got .* would be right"):
        cost(convolutional, input_shape=shape)


def test_rows_that_do_not_fit_are_refused(convolutional, path):
    with pytest.raises(ModelFault, match=r"Convolutional raised RuntimeError: .* on inputs of shape \(1, 2, 8, 8\)"):
        cost(convolutional, input_shape=(2, 8, 8))
    with pytest.raises(InvalidInput, match=r"input 'x' takes rows of shape \(1, 8, 8\), got \(2, 8, 8\)"):
        cost(path, input_shape=(2, 8, 8))
    fitted = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
    assert cost(fitted, input_shape=4).macc == 4
    with pytest.raises(InvalidInput, match=r"takes rows of 4 features, got \(\(5,\),\)"):
        cost(fitted, input_shape=(5,))


def test_damaged_files_are_refused(tmp_path, float_file):
    for name, content in (
        ("cut.onnx", float_file[: len(float_file) // 2]),
        ("text.onnx", b"hello"),
        ("empty.onnx", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput, match=rf"{name}"):
            cost(tmp_path / name)


def test_tensors_in_another_file_are_counted_and_must_be_there(tmp_path, float_file):
    model = onnx.load_model_from_string(float_file)
    file = tmp_path / "outside.onnx"
    onnx.save(model, file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert cost(file).rom.value == 4 * 3818
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InvalidInput, match="copy it together with the files that hold its tensors"):
        cost(file)


def test_models_behind_a_wrapper_that_tells_its_adapter(convolutional):
    from dataclasses import replace

    class Deferred:
        """As a model that is loaded on its first call."""

        def __init__(self, load):
            self._load = load

        def forward(self, x):
            return self._load().forward(x)

        @property
        def adapter(self):
            return self._load().forward.__self__

    model = as_model(convolutional)
    deferred = replace(model, forward=Deferred(lambda: model).forward)
    assert cost(deferred, input_shape=(1, 8, 8)).macc == 80896
    hidden = replace(model, forward=lambda x: model.forward(x))
    with pytest.raises(InvalidInput, match="shows neither its weights nor its operators"):
        cost(hidden, input_shape=(1, 8, 8))
