"""What the lines of the checklist are tried on: small models whose answers are known, and the command line."""

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from robust import as_model
from robust.cli import cli


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run():
    """Runs `robust …` and gives exit code and text; an error is raised as it is."""

    def command(*words):
        result = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.return_value, result.output

    return command


@pytest.fixture
def archive():
    """Reads an npz file whole."""

    def read(path):
        with np.load(path) as arrays:
            return dict(arrays)

    return read


@pytest.fixture
def replay():
    """Turns stored outputs into a model, and the numbers of the rows into the data that it is asked for."""

    def model(values, **options):
        stored = np.asarray(values)
        return as_model(lambda x: stored[x[:, 0].astype(int)], **options)

    return model


@pytest.fixture
def rows():
    """Rows 0 … n − 1 for a replayed model."""

    def numbers(n):
        return np.arange(n, dtype=float)[:, None]

    return numbers


@pytest.fixture
def from_counts(replay, rows):
    """A classifier and data with given confusion counts; confident of what it says, by a share."""

    def pair(counts, classes, *, score=0.9):
        counts = np.asarray(counts)
        k = len(counts)
        actual, predicted = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
        scores = np.full((len(actual), k), (1 - score) / (k - 1))
        scores[np.arange(len(actual)), predicted] = score
        names = np.array(classes)
        return replay(scores, output="probabilities", classes=classes), (rows(len(actual)), names[actual])

    return pair


@pytest.fixture
def save_onnx():
    """Writes an ONNX file from nodes, (name, type, shape) of inputs and outputs, and weights by name."""

    def save(path, nodes, inputs, outputs, weights):
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(*value) for value in inputs],
            [helper.make_tensor_value_info(*value) for value in outputs],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return str(path)

    return save


@pytest.fixture
def detector(save_onnx):
    """A recurrent detector: frame and state in, class scores and next state out."""

    def make(path, *, noise=0.0):
        rng, shake = np.random.default_rng(0), np.random.default_rng(1)
        shapes = {"Wx": (6, 4), "Wh": (4, 4), "Ws": (4, 3)}
        weights = {key: (rng.normal(size=s) + noise * shake.normal(size=s)).astype("f4") for key, s in shapes.items()}
        nodes = [
            helper.make_node("MatMul", ["frame", "Wx"], ["a"]),
            helper.make_node("MatMul", ["state", "Wh"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["c"]),
            helper.make_node("Tanh", ["c"], ["next_state"]),
            helper.make_node("MatMul", ["next_state", "Ws"], ["d"]),
            helper.make_node("Softmax", ["d"], ["score"], axis=1),
        ]
        real = TensorProto.FLOAT
        inputs = [("frame", real, ["n", 6]), ("state", real, ["n", 4])]
        return save_onnx(path, nodes, inputs, [("score", real, ["n", 3]), ("next_state", real, ["n", 4])], weights)

    return make


@pytest.fixture
def classifier(save_onnx):
    """A softmax over a linear layer, float or with int8 (or uint8) tensors at both ends."""

    def make(path, *, integer=None, zero=-128):
        weights = {"W": np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)}
        real = ("x", "p") if integer is None else ("real_x", "real_p")
        nodes = [
            helper.make_node("MatMul", [real[0], "W"], ["z"]),
            helper.make_node("Softmax", ["z"], [real[1]], axis=1),
        ]
        kind = TensorProto.FLOAT
        if integer is not None:
            kind = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[integer]
            weights |= {"so": np.float32(1 / 256), "si": np.float32(0.02)}
            weights |= {"zo": np.array(zero, integer), "zi": np.array(3, integer)}
            nodes = [
                helper.make_node("DequantizeLinear", ["x", "si", "zi"], ["real_x"]),
                *nodes,
                helper.make_node("QuantizeLinear", ["real_p", "so", "zo"], ["p"]),
            ]
        return save_onnx(path, nodes, [("x", kind, ["n", 6])], [("p", kind, ["n", 4])], weights)

    return make
