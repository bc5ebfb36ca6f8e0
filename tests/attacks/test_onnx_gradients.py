import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.fgsm import FGSM
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.onnx_gradients import with_gradients
from robust.attacks.pgd import PGD
from robust.attacks.square import Square
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.models.onnx_gradients_torch import converted
from robust.predicting.metering import metered


@pytest.fixture(scope="module")
def some_digits():
    return load_data(example_path("digits") / "test.npz").rows(np.arange(150))


def saved(path, nodes, constants, *, shape=(None, 6), out=(None, 3), opset=18):
    """A model file from nodes and arrays."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return load_model(path, output="logits")


def slopes_by_differences(model, x, flow, step=1e-2):
    """∂(flow · f)/∂x by central differences of onnxruntime's own answers."""
    flat = x.reshape(len(x), -1)
    found = np.zeros(flat.shape)
    for j in range(flat.shape[1]):
        up, down = flat.copy(), flat.copy()
        up[:, j] += step
        down[:, j] -= step
        gap = model.forward(up.reshape(x.shape)) - model.forward(down.reshape(x.shape))
        found[:, j] = (gap * flow).sum(axis=1) / (up[:, j] - down[:, j])
    return found.reshape(x.shape)


def test_gradients_are_the_twins(some_digits):
    folder = example_path("digits")
    model = with_gradients(folder / "float.onnx", some_digits)
    assert model.framework == "onnx"
    twin = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    mine, theirs = (aim(m, some_digits).gradient(some_digits.x.reshape(150, -1), slice(None))[1] for m in (model, twin))
    np.testing.assert_allclose(mine, theirs, atol=1e-5 * np.abs(theirs).max())
    broken = (model.forward(FGSM(eps=0.1).perturb(model, some_digits)).argmax(axis=1) != some_digits.y).mean()
    assert broken > 0.3
    assert (
        broken
        >= (model.forward(Square(eps=0.1, queries=10).perturb(model, some_digits)).argmax(1) != some_digits.y).mean()
    )


def test_a_quantized_file_has_the_gradient_of_the_dequantized_network(some_digits):
    folder = example_path("digits")
    with metered() as meter:
        model = with_gradients(folder / "int8.onnx", some_digits)
    (remark,) = meter.remarks.values()
    assert "dequantized network" in remark
    floating = with_gradients(folder / "float.onnx", some_digits)
    mine, theirs = (
        aim(m, some_digits).gradient(some_digits.x.reshape(150, -1), slice(None))[1] for m in (model, floating)
    )
    alike = (mine * theirs).sum(axis=1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(theirs, axis=1)
    assert np.median(alike) > 0.95
    broken = (model.forward(FGSM(eps=0.15).perturb(model, some_digits)).argmax(axis=1) != some_digits.y).mean()
    assert broken > 0.4


class Batches(CalibrationDataReader):
    """What onnxruntime's quantizer learns ranges from."""

    def __init__(self, name, x):
        self.waiting = iter([{name: x[start : start + 32].astype(np.float32)} for start in range(0, len(x), 32)])

    def get_next(self):
        return next(self.waiting, None)


def in_both_forms(source, folder, x, **options):
    """The QDQ file and the QOperator file of one model."""
    name = onnx.load(source).graph.input[0].name
    found = []
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        path = folder / f"{form}.onnx"
        quantize_static(str(source), str(path), Batches(name, x), quant_format=form, **options)
        found.append(path)
    kinds = {node.op_type for node in onnx.load(found[1]).graph.node}
    assert kinds & {"QLinearConv", "QGemm", "QLinearMatMul"}
    return found


def slopes(model, x):
    """The gradient of the first output less the last (n, d)."""
    _, slope = model.gradients(x, lambda outputs: np.eye(outputs.shape[1])[0] - np.eye(outputs.shape[1])[-1])
    return slope.reshape(len(x), -1)


def alike(a, b):
    """Cosines of rows."""
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
@pytest.mark.parametrize("activation", [QuantType.QUInt8, QuantType.QInt8], ids=str)
@pytest.mark.parametrize("kind", ["convolutions", "layers"])
def test_operators_on_integers_have_the_gradient_of_the_same_file_in_pairs(kind, activation, per_channel, tmp_path):
    torch.manual_seed(0)
    if kind == "layers":
        shape = (12,)
        net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 16, bias=False), nn.Sigmoid(), nn.Linear(16, 4))
    else:
        shape = (1, 8, 8)
        net = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.LeakyReLU(0.1),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 4),
        )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(128, *shape)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.from_numpy(x[:2]),), str(tmp_path / "net.onnx"), dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    paths = in_both_forms(
        tmp_path / "net.onnx", tmp_path, x, activation_type=activation, weight_type=QuantType.QInt8,
        per_channel=per_channel,
    )  # fmt: skip
    pairs, whole = (converted(load_model(path, output="logits"), x) for path in paths)
    assert pairs.rounded
    assert whole.rounded
    step = np.ptp(whole.model.forward(x)) / 255
    assert whole.gap <= 2 * step
    assert np.quantile(alike(slopes(pairs.model, x), slopes(whole.model, x)), 0.05) > 0.99


def test_attacks_on_operators_on_integers_are_as_strong_as_on_pairs(some_digits, tmp_path):
    folder = example_path("digits")
    calibration = load_data(folder / "train.npz").x[:160]
    bounded = load_data(folder / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(100))
    paths = in_both_forms(folder / "float.onnx", tmp_path, calibration)
    with metered() as meter:
        pairs, whole = (with_gradients(path, bounded) for path in paths)
    assert all("dequantized network" in remark for remark in meter.remarks.values())
    for attack in (FGSM(eps=0.1), PGD(eps=0.1, steps=10)):
        first, second = (robust_accuracy(model, bounded, attack=attack).value for model in (pairs, whole))
        assert second == pytest.approx(first, abs=0.03)
        assert second < 0.8


def test_operators_on_integers_with_a_fixed_batch(tmp_path, some_digits):
    folder = example_path("digits")
    _, path = in_both_forms(folder / "float.onnx", tmp_path, load_data(folder / "train.npz").x[:160])
    proto = onnx.load(path)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = 7
    onnx.save(proto, tmp_path / "fixed.onnx")
    free, fixed = (with_gradients(file, some_digits) for file in (path, tmp_path / "fixed.onnx"))
    rows = some_digits.rows(np.arange(20))
    np.testing.assert_allclose(FGSM(eps=0.1).perturb(fixed, rows), FGSM(eps=0.1).perturb(free, rows), atol=1e-6)


def test_ranges_of_their_own_have_the_floating_files_gradient(some_digits, tmp_path):
    folder = example_path("digits")
    quantize_dynamic(str(folder / "float.onnx"), str(tmp_path / "dynamic.onnx"))
    assert "ConvInteger" in {node.op_type for node in onnx.load(tmp_path / "dynamic.onnx").graph.node}
    floating, dynamic = (
        with_gradients(file, some_digits) for file in (folder / "float.onnx", tmp_path / "dynamic.onnx")
    )
    assert np.median(alike(slopes(floating, some_digits.x), slopes(dynamic, some_digits.x))) > 0.95


MODULES = {
    "padded, grouped, strided convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2, padding=1, count_include_pad=False),
            nn.Conv2d(4, 3, 2, dilation=1),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        (2, 8, 9),
    ),
    "batch norm and pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        (1, 7, 7),
    ),
    "one axis": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ELU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(12, 3)),
        (2, 8),
    ),
    "activations": (
        lambda: nn.Sequential(
            nn.Linear(5, 8),
            nn.Tanh(),
            nn.Linear(8, 8),
            nn.GELU(),
            nn.LayerNorm(8),
            nn.Softplus(),
            nn.Linear(8, 3),
            nn.Sigmoid(),
        ),
        (5,),
    ),
    "softmax and clip": (
        lambda: nn.Sequential(
            nn.Linear(5, 8), nn.ReLU6(), nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 3), nn.LogSoftmax(dim=1)
        ),
        (5,),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_exported_modules_agree_with_differences_of_onnxruntime(name, tmp_path):
    build, shape = MODULES[name]
    torch.manual_seed(0)
    net = build()
    x = np.random.default_rng(0).normal(size=(12, *shape)).astype(np.float32)
    net(torch.from_numpy(x))
    net = net.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.from_numpy(x),), str(tmp_path / "net.onnx"), dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    model = converted(load_model(tmp_path / "net.onnx", output="logits"), x)
    assert model.gap < 1e-4
    assert not model.rounded
    flow = np.random.default_rng(1).normal(size=(12, 3))
    _, slope = model.model.gradients(x, lambda outputs: flow)
    expected = slopes_by_differences(model.model, x, flow)
    # Differences cross kinks now and then; the median entry does not.
    gap = np.abs(slope - expected) / np.abs(expected).max()
    assert np.quantile(gap, 0.9) < 2e-2
    leaf = torch.from_numpy(x).requires_grad_()
    (exact,) = torch.autograd.grad(net(leaf), leaf, torch.from_numpy(flow).float())
    np.testing.assert_allclose(slope, exact.numpy(), atol=1e-4 * float(exact.abs().max()))


def test_operators_that_exporters_of_torch_seldom_write(tmp_path):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(6, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))),
        helper.make_node("Mul", ["x", "two"], ["a"]),
        helper.make_node("Unsqueeze", ["a", "axes"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 1]),
        helper.make_node("Squeeze", ["c", "last"], ["d"]),
        helper.make_node("Clip", ["d", "low", ""], ["e"]),
        helper.make_node("Gather", ["e", "picks"], ["f"], axis=1),
        helper.make_node("Concat", ["f", "d"], ["g"], axis=1),
        helper.make_node("Gather", ["g", "firsts"], ["h"], axis=1),
        helper.make_node("MatMul", ["h", "w"], ["i"]),
        helper.make_node("ReduceMean", ["i"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["i", "w0"], ["j"]),
        helper.make_node("Softmax", ["j"], ["out"], axis=-1),
    ]
    constants = {
        "axes": np.array([1]), "last": np.array([2]), "low": np.float32(-1), "picks": np.array([0, -1]),
        "firsts": np.arange(6), "w": w, "w0": np.float32(0.5),
    }  # fmt: skip
    model = saved(tmp_path / "odd.onnx", nodes, constants)
    x = rng.normal(size=(9, 6)).astype(np.float32)
    found = converted(model, x)
    flow = rng.normal(size=(9, 3))
    _, slope = found.model.gradients(x, lambda outputs: flow)
    np.testing.assert_allclose(slope, slopes_by_differences(model, x, flow), atol=2e-2 * np.abs(slope).max())


def test_old_softmax_sees_a_matrix(tmp_path):
    nodes = [helper.make_node("Softmax", ["x"], ["y"], axis=1), helper.make_node("Flatten", ["y"], ["out"])]
    model = saved(tmp_path / "old.onnx", nodes, {}, shape=(None, 2, 3), out=(None, 6), opset=11)
    assert converted(model, np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)).gap < 1e-6


def test_a_fixed_batch_keeps_its_size(tmp_path):
    w = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["out"])]
    constants = {"shape": np.array([4, 6]), "w": w}
    model = saved(tmp_path / "fixed.onnx", nodes, constants, shape=(4, 2, 3), out=(4, 3))
    x = np.random.default_rng(1).normal(size=(10, 2, 3)).astype(np.float32)
    data = as_data(x, model.forward(x[:4]).argmax(axis=1).repeat(3)[:10])
    with_slope = with_gradients(model, data)
    assert FGSM(eps=0.5).perturb(with_slope, data).shape == x.shape


def test_what_cannot_be_converted_is_named(tmp_path):
    x = np.zeros((3, 6), dtype=np.float32)
    sin = [helper.make_node("Sin", ["x"], ["out"], name="wave")]
    model = saved(tmp_path / "sin.onnx", sin, {}, out=(None, 6))
    with pytest.raises(InvalidInput, match=r"operator Sin at node 'wave'.*Square"):
        converted(model, x)
    with pytest.raises(InvalidInput, match="was not loaded from an .onnx file"):
        with_gradients(lambda x: x, (x, np.zeros(3, dtype=int)))
    net = as_model(nn.Linear(6, 2), output="logits")
    assert with_gradients(net, (x, np.zeros(3, dtype=int))) is net


def test_a_conversion_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    from robust.models import onnx_operators_torch

    model = saved(tmp_path / "tanh.onnx", [helper.make_node("Tanh", ["x"], ["out"])], {}, out=(None, 6))
    x = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    assert converted(model, x).gap < 1e-6
    broken = {**onnx_operators_torch.OPERATORS, "Tanh": onnx_operators_torch.OPERATORS["Sigmoid"]}
    monkeypatch.setattr("robust.models.onnx_gradients_torch.OPERATORS", broken)
    with pytest.raises(InvalidInput, match="answers otherwise than onnxruntime"):
        converted(model, x)


def test_curves_and_minimal_changes_read_the_file_too():
    folder = example_path("digits")
    few = load_data(folder / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(40))
    model = load_model(folder / "float.onnx", output="logits")
    twin = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    grid = [0.02, 0.1]
    curve, peer = (robustness_curve(one, few, FGSM(), eps=grid).values for one in (model, twin))
    assert np.abs(curve - peer).max() <= 0.03
    found, expected = (minimal_perturbation(one, few, norm="linf").value for one in (model, twin))
    assert abs(found - expected) <= 0.02 * expected


def test_what_has_no_gradients_says_so_in_a_curve():
    blind = as_model(lambda x: np.eye(2)[(x[:, 0] > 0).astype(int)])
    with pytest.raises(InvalidInput, match="gives no gradients"):
        robustness_curve(blind, (np.eye(4), [1, 0, 0, 0]), FGSM(), eps=[0.1])
