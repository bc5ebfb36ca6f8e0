"""Sweeps against the plain forward passes that they need: five widths, and the default of 25 points.

Same model, same rows, same process, one thread. Needed is one pass of the float model and one a point; calibration,
self-checks, and the intervals come on top.
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import nn

from benchmarks.timing import alternate
from robust.bitwidths.width_curves import bit_width_sweep
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.predicting.calling import bind
from robust.predicting.settings import Settings, using

WIDTHS = (8, 6, 4, 3, 2)
#: Of the default sweep: weights and activations, and weights, with two kinds of scales each; activations.
CURVES = 5
RUNS = 5


def run() -> list[tuple[str, str]]:
    """The digits network of three layers and a wider one on larger images, each as a module and as a file."""
    torch.set_num_threads(1)
    digits = example_path("digits")
    train, test = load_data(digits / "train.npz"), load_data(digits / "test.npz")
    module = load_model(digits / "net.safetensors", factory="robust.examples.digits_torch:small_cnn")
    net, ranges, rows = larger()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "larger.onnx")
        path.write_bytes(as_file(net))
        wide = load_model(path, output="logits")
    lines = []
    for name, model, calibration, data in (
        ("digits, torch", module, train, test),
        ("28 x 28, torch", as_model(net, output="logits"), ranges, rows),
        ("28 x 28, onnx", one_thread(wide), ranges, rows),
        ("digits, onnx", one_thread(load_model(digits / "float.onnx")), train, test),
    ):
        lines += compare(name, model, calibration, data)
    return lines


def one_thread(model: Model) -> Model:
    """The same file in a session of one thread, which those of the sweep take over."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = b"" if model.content is None else model.content()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return replace(model, forward=replace(adapter_of(model), session=session).forward)


def larger() -> tuple[nn.Sequential, Dataset, Dataset]:
    """Three layers on images of 28 × 28 that the network labels itself; rows for ranges, and others to measure on."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    ).eval()
    x = np.random.default_rng(0).random((3000, 1, 28, 28), dtype=np.float32)
    with torch.no_grad():
        y = net(torch.from_numpy(x)).argmax(1).numpy()
    return net, as_data(x[:1000], y[:1000]), as_data(x[1000:], y[1000:])


def as_file(net: nn.Sequential) -> bytes:
    """The same network as an ONNX file."""
    stored = [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in net.state_dict().items()]
    pool, same = {"kernel_shape": [2, 2], "strides": [2, 2]}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "0.weight", "0.bias"], ["a"], **same),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], **pool),
        helper.make_node("Conv", ["c", "3.weight", "3.bias"], ["d"], **same),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("MaxPool", ["e"], ["f"], **pool),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "7.weight", "7.bias"], ["y"], transB=1),
    ]
    ends = [helper.make_tensor_value_info("x", 1, ["n", 1, 28, 28]), helper.make_tensor_value_info("y", 1, ["n", 10])]
    graph = helper.make_graph(nodes, "larger", ends[:1], ends[1:], stored)
    opset = [helper.make_opsetid("", 18)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    return content


def compare(name: str, model: Model, calibration: Dataset, data: Dataset) -> list[tuple[str, str]]:
    """One model: what the sweep asks for beyond what it needs, in rows and in seconds.

    Needed are over the data one pass of the float model and one a point.
    """
    needed = len(data) * (1 + len(WIDTHS))
    asked = 0

    def ours() -> None:
        with using(Settings()):  # an empty cache, so that every call computes
            bit_width_sweep(model, calibration, data, widths=WIDTHS, parts="both", per_channel=True)

    def default() -> None:
        with using(Settings()):
            bit_width_sweep(model, calibration, data, widths=WIDTHS)

    def passes(points: int) -> None:
        for _ in range(1 + points):
            bind(model, data.schema).outputs(data.x)

    def theirs() -> None:
        passes(len(WIDTHS))

    lines = []
    for work, points in ((ours, len(WIDTHS)), (default, CURVES * len(WIDTHS))):
        mine, other = alternate(work, partial(passes, points), runs=RUNS)
        lines += [
            (f"{name}: sweep of {points} points, CPU s", f"{mine:.3f}"),
            (f"{name}: the plain passes needed, CPU s", f"{other:.3f}"),
            (f"{name}: ratio of seconds (wanted: <= 1.3)", f"{mine / other:.2f}x"),
        ]
    module = getattr(getattr(model.forward, "__self__", None), "module", None)
    if module is None:
        return lines

    def count(_module: nn.Module, given: tuple[torch.Tensor], _output: object) -> None:
        nonlocal asked
        asked += len(given[0])

    handle = module.register_forward_hook(count)
    try:
        theirs()
        plain, asked = asked, 0
        ours()
    finally:
        handle.remove()
    return [*lines, (f"{name}: ratio of rows asked ({needed} needed)", f"{asked / plain:.2f}x")]
