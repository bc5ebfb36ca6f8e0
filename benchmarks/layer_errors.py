"""Per-layer errors of an int8 build against onnxruntime's own debugger, and the passes over the rows that they take."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_static
from onnxruntime.quantization import qdq_loss_debug as debugger

from benchmarks.timing import alternate
from robust.examples.catalogue import example_path
from robust.layers.layer_error import layer_errors
from robust.measurement import Measurement
from robust.models.loading import load_model
from robust.types import FloatArray

DEPTH, WIDTH, SIDE = 12, 32, 32


def run() -> list[tuple[str, str]]:
    """Float against int8: every layer's accumulated and own error, weights, bounds and self-checks.

    512 rows of digits (3 layers with weights), where opening files is most of the work, and 256 rows of a net of 13
    layers. The debugger gives ratios of activations and weights alone, without bounds, from the same files and rows; it
    keeps all activations of all rows, and writes two models to disk. Both sides open their files anew each time.
    """
    digits = example_path("digits")
    x = np.concatenate([np.load(digits / name)["x"] for name in ("test.npz", "train.npz")])[:512].astype(np.float32)
    plain, built = digits / "float.onnx", digits / "int8.onnx"
    passes = passes_over_rows(plain, built, x)
    with tempfile.TemporaryDirectory() as folder:
        mine, other = seconds(plain, built, x, Path(folder), runs=7)
        told = debugged(plain, built, x, Path(folder))
        deep = deep_net(Path(folder))
        rows = np.random.default_rng(2).normal(size=(256, 3, SIDE, SIDE)).astype(np.float32)
        deep_mine, deep_other = seconds(*deep, rows, Path(folder), runs=3)
    layer = next(row for row in layer_errors(plain, built, x, rows=None).rows if row.layer == "4")
    return [
        ("passes of the candidate over the rows (wanted: 1)", f"{passes[1]:.3f}"),
        ("passes of the reference (wanted: 1, and 1 for own errors)", f"{passes[0]:.3f}"),
        ("digits, ours, with own errors and bounds, CPU ms", f"{1e3 * mine:.0f}"),
        ("digits, onnxruntime's qdq_loss_debug, CPU ms", f"{1e3 * other:.0f}"),
        ("13 layers, ours, three passes, CPU s", f"{deep_mine:.2f}"),
        ("13 layers, qdq_loss_debug, two passes, CPU s", f"{deep_other:.2f}"),
        ("ratio of the latter", f"{deep_other / deep_mine:.2f}x"),
        ("second convolution after its activation, ours, dB", f"{layer.sqnr:.2f}"),
        ("the same, theirs, dB", f"{told['relu_1']['xmodel_err']:.2f}"),
        ("its quantizer, theirs, the activation merged into it, dB", f"{told['relu_1']['qdq_err']:.2f}"),
    ]


def seconds(plain: Path, built: Path, x: FloatArray, folder: Path, *, runs: int) -> tuple[float, float]:
    """CPU seconds of ours and of the debugger."""

    def ours() -> tuple[Measurement, Measurement]:
        found = layer_errors(load_model(plain), load_model(built), x, rows=None)
        return found.sqnr, found.own_sqnr  # bounds are made when they are asked for

    return alternate(ours, lambda: debugged(plain, built, x, folder), runs=runs)


def deep_net(folder: Path) -> tuple[Path, Path]:
    """Float and int8 files of twelve convolutions and a linear layer, with random weights."""
    rng, nodes, stored, source, inner = np.random.default_rng(0), [], [], "x", 3
    for i in range(DEPTH):
        weight = rng.normal(size=(WIDTH, inner, 3, 3)) / np.sqrt(4.5 * inner)
        stored.append(numpy_helper.from_array(weight.astype(np.float32), f"body.{i}.weight"))
        nodes.append(helper.make_node("Conv", [source, f"body.{i}.weight"], [f"conv_{i}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"conv_{i}"], [f"relu_{i}"]))
        source, inner = f"relu_{i}", WIDTH
    stored.append(numpy_helper.from_array(rng.normal(size=(10, WIDTH)).astype(np.float32), "fc.weight"))
    nodes.append(helper.make_node("GlobalAveragePool", [source], ["pool"]))
    nodes.append(helper.make_node("Flatten", ["pool"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "fc.weight"], ["y"], transB=1))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])]
    graph = helper.make_graph(nodes, "deep", inputs, outputs, stored)
    plain, built = folder / "deep.onnx", folder / "deep_int8.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), plain)
    calibration = rng.normal(size=(64, 3, SIDE, SIDE)).astype(np.float32)
    quantize_static(plain, built, _Rows(calibration, "x"), per_channel=True, activation_type=QuantType.QInt8)
    return plain, built


def debugged(plain: Path, built: Path, x: FloatArray, folder: Path) -> dict[str, dict[str, float]]:
    """Ratios in dB of all activations by onnxruntime's debugger, its weights beside."""
    taken = []
    for name, path in (("plain", plain), ("built", built)):
        watched = folder / f"{name}.onnx"
        debugger.modify_model_output_intermediate_tensors(path, watched)
        name = onnx.load(path).graph.input[0].name
        taken.append(debugger.collect_activations(str(watched), _Rows(x, name)))
    matched = debugger.create_activation_matching(taken[1], taken[0])
    debugger.compute_weight_error(debugger.create_weight_matching(str(plain), str(built)))
    return dict(debugger.compute_activation_error(matched))


def passes_over_rows(plain: Path, built: Path, x: FloatArray) -> tuple[float, float]:
    """Rows that go through sessions of each model, divided by the rows asked about: a few more are for self-checks."""
    models = load_model(plain), load_model(built)
    with counted() as rows:
        layer_errors(*models, x, rows=None)
    own = sum(n for names, n in rows if any(name.endswith("QuantizeLinear_Output") for name in names))
    return (sum(n for _, n in rows) - own) / len(x), own / len(x)


@contextmanager
def counted() -> Iterator[list[tuple[list[str], int]]]:
    """Note the outputs and the rows of every call of a session."""
    rows: list[tuple[list[str], int]] = []
    run = onnxruntime.InferenceSession.run

    def counting(self: Any, names: list[str], feeds: dict[str, Any], options: Any = None) -> Any:
        rows.append((list(names), len(next(iter(feeds.values())))))
        return run(self, names, feeds, options)

    onnxruntime.InferenceSession.run = counting
    try:
        yield rows
    finally:
        onnxruntime.InferenceSession.run = run


class _Rows:
    """What the debugger reads: the rows in batches of 256."""

    def __init__(self, x: FloatArray, name: str) -> None:
        self._batches = iter([{name: x[start : start + 256]} for start in range(0, len(x), 256)])

    def get_next(self) -> dict[str, FloatArray] | None:
        """Name the next feed, or None at the end."""
        return next(self._batches, None)

    def __iter__(self) -> Iterator[dict[str, FloatArray]]:
        return self._batches
