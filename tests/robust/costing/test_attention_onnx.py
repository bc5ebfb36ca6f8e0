"""Attention as onnxruntime fuses it: by hand, against the same in single products, and in files that really run."""

import numpy as np
import onnxruntime
import pytest

from robust.costing.count_onnx import count_onnx
from robust.errors import InvalidInput

MS = "com.microsoft"
ROWS, STEPS, WIDTH, HEADS = 2, 7, 16, 4


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def counted(files, node, inputs, weights, *, runs=True, kinds=None):
    """Counts of a file of one node; that a runtime takes it shows that the file is what it claims to be."""
    kinds = kinds or {}
    given = [files.value(name, shape, kinds.get(name, files.kinds.FLOAT)) for name, shape in inputs.items()]
    content = files.model([node], given, [files.value(name, None) for name in node.output], weights)
    if runs:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        feeds = {value.name: zeros(*inputs[value.name]) for value in session.get_inputs()}
        session.run(None, feeds)
    return count_onnx(content, row_shapes=None, values=None)


def macc(tally):
    return sum(layer.macc or 0 for layer in tally.layers)


#: A row: projections 7·16·48, scores 4 heads · 7·7·4, values the same.
PROJECTED = 7 * 16 * 48 + 2 * 4 * 7 * 7 * 4


def test_attention_with_its_projections(files):
    node = files.node("Attention", ["x", "w", "b"], ["y"], num_heads=HEADS, domain=MS)
    weights = {"w": zeros(WIDTH, 48), "b": zeros(48)}
    tally = counted(files, node, {"x": [ROWS, STEPS, WIDTH]}, weights)
    assert (macc(tally), tally.rows, tally.uncounted) == (PROJECTED, ROWS, ())
    assert (tally.parameters, tally.rom) == (16 * 48 + 48, 4 * (16 * 48 + 48))


def test_attention_with_widths_of_its_own(files):
    # Queries and keys of 8, values of 12, in 4 heads.
    node = files.node("Attention", ["x", "w", "b"], ["y"], num_heads=HEADS, qkv_hidden_sizes=[8, 8, 12], domain=MS)
    tally = counted(files, node, {"x": [1, STEPS, WIDTH]}, {"w": zeros(WIDTH, 28), "b": zeros(28)})
    assert macc(tally) == 7 * 16 * 28 + 7 * 7 * 8 + 7 * 7 * 12


def test_attention_to_the_past(files):
    # Five steps of earlier runs in front: 7 x 12 scores.
    node = files.node("Attention", ["x", "w", "b", "", "past"], ["y", "present"], num_heads=HEADS, domain=MS)
    inputs = {"x": [1, STEPS, WIDTH], "past": [2, 1, HEADS, 5, 4]}
    tally = counted(files, node, inputs, {"w": zeros(WIDTH, 48), "b": zeros(48)})
    assert macc(tally) == 7 * 16 * 48 + 2 * 7 * 12 * 16


def test_attention_in_8_bits(files):
    inputs = ["x", "w", "b", "s", "s", "", "z", "z"]
    node = files.node("QAttention", inputs, ["y"], num_heads=HEADS, domain=MS)
    weights = {
        "w": zeros(WIDTH, 48, dtype=np.uint8), "b": zeros(48),
        "s": np.array(0.1, np.float32), "z": np.array(0, np.uint8),
    }  # fmt: skip
    quantize = files.node("QuantizeLinear", ["f", "s", "z"], ["x"])
    content = files.model([quantize, node], [files.value("f", ["n", STEPS, WIDTH])], [files.value("y", None)], weights)
    tally = count_onnx(content, row_shapes=None, values=None)
    assert (macc(tally), tally.uncounted) == (PROJECTED, ())
    assert (tally.parameters, tally.rom) == (16 * 48 + 48, 16 * 48 + 4 * 48 + 4 + 1)


HEADED = {
    # Scores 7·9 over 16 numbers and values of 16 over 9 steps, whatever form they come in.
    "side by side": (["q", "k", "v"], {"q": [1, 7, 16], "k": [1, 9, 16], "v": [1, 9, 16]}, 2 * 7 * 9 * 16),
    "wider values": (["q", "k", "v"], {"q": [1, 7, 16], "k": [1, 9, 16], "v": [1, 9, 24]}, 7 * 9 * (16 + 24)),
    "keys and values packed": (["q", "k"], {"q": [1, 7, 16], "k": [1, 9, 4, 2, 4]}, 2 * 7 * 9 * 16),
    "keys by head": (["q", "k", "v"], {"q": [1, 7, 16], "k": [1, 4, 9, 4], "v": [1, 4, 9, 4]}, 2 * 7 * 9 * 16),
    "all packed": (["q"], {"q": [1, 7, 4, 3, 4]}, 2 * 7 * 7 * 16),
    "past": (
        ["q", "k", "v", "", "", "", "pk", "pv"],
        {"q": [1, 7, 16], "k": [1, 7, 16], "v": [1, 7, 16], "pk": [1, 4, 5, 4], "pv": [1, 4, 5, 4]},
        2 * 7 * 12 * 16,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("names", "inputs", "expected"), HEADED.values(), ids=HEADED)
def test_attention_without_projections(files, names, inputs, expected):
    outputs = ["y", "present_k", "present_v"] if "pk" in inputs else ["y"]
    node = files.node("MultiHeadAttention", names, outputs, num_heads=HEADS, domain=MS)
    tally = counted(files, node, inputs, {}, runs="packed" not in " ".join(inputs) and len(inputs) > 2)
    assert (macc(tally), [missed for missed in tally.uncounted if "macc" in missed.affects]) == (expected, [])


def test_fused_equals_the_same_in_single_products(files):
    node = files.node
    nodes = [
        node("MatMul", ["x", "w"], ["p"]),
        node("Split", ["p"], ["q", "k", "v"], axis=2, num_outputs=3),
        *(node("Reshape", [name, "heads"], [f"{name}h"]) for name in "qkv"),
        node("Transpose", ["qh"], ["qt"], perm=[0, 2, 1, 3]),
        node("Transpose", ["kh"], ["kt"], perm=[0, 2, 3, 1]),
        node("Transpose", ["vh"], ["vt"], perm=[0, 2, 1, 3]),
        node("MatMul", ["qt", "kt"], ["s"]),
        node("MatMul", ["s", "vt"], ["y"]),
    ]
    weights = {"w": zeros(WIDTH, 48), "heads": np.array([0, 0, HEADS, 4])}
    content = files.model(nodes, [files.value("x", ["n", STEPS, WIDTH])], [files.value("y", None)], weights)
    assert macc(count_onnx(content, row_shapes=None, values=None)) == PROJECTED


def test_attention_along_a_first_axis_that_is_no_batch(files):
    # Rows of one step: tokens stand in front, and a reshape brings them behind.
    nodes = [
        files.node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        files.node("Attention", ["t", "w", "b"], ["a"], num_heads=HEADS, domain=MS, name="att"),
        files.node("Transpose", ["a"], ["y"], perm=[1, 0, 2]),
    ]
    weights = {"w": zeros(WIDTH, 48), "b": zeros(48)}
    content = files.model(nodes, [files.value("x", ["T", 1, WIDTH])], [files.value("y", None)], weights)
    with pytest.raises(InvalidInput, match=r"cannot be the batch \(att \(Attention\) attends along it\)"):
        count_onnx(content, row_shapes=None, values=None)
    tally = count_onnx(content, row_shapes=[(STEPS, 1, WIDTH)], values=None)
    assert (macc(tally), tally.whole_call) == (PROJECTED, True)


def test_what_is_not_known_is_uncounted(files):
    # A past that lies in a buffer: how much of it is used is a value of the run.
    node = files.node(
        "Attention", ["x", "w", "b", "", "past", "", "used"], ["y"], num_heads=HEADS, domain=MS, name="att"
    )
    inputs = {"x": [1, STEPS, WIDTH], "past": [2, 1, HEADS, 5, 4], "used": [1]}
    weights = {"w": zeros(WIDTH, 48), "b": zeros(48)}
    tally = counted(files, node, inputs, weights, runs=False, kinds={"used": files.kinds.INT32})
    (missed,) = [missed for missed in tally.uncounted if "macc" in missed.affects]
    assert (missed.name, missed.kind, missed.reason) == ("att", "com.microsoft.Attention", "its shapes are not known")
    node = files.node("MultiHeadAttention", ["q", "k", "v"], ["y"], num_heads=5, domain=MS)
    inputs = {name: [1, 7, 16] for name in "qkv"}
    tally = counted(files, node, inputs, {}, runs=False)
    assert [missed.kind for missed in tally.uncounted if "macc" in missed.affects] == [
        "com.microsoft.MultiHeadAttention"
    ]


def test_projections_that_do_not_fit_are_refused(files):
    node = files.node("Attention", ["x", "w", "b"], ["y"], num_heads=HEADS, domain=MS, name="att")
    with pytest.raises(
        InvalidInput, match=r"node 'att' \(Attention\): its input has 16 features, its weights \(8, 48\)"
    ):
        counted(files, node, {"x": [1, 7, 16]}, {"w": zeros(8, 48), "b": zeros(48)}, runs=False)
    node = files.node(
        "Attention", ["x", "w", "b"], ["y"], num_heads=HEADS, domain=MS, qkv_hidden_sizes=[8, 8, 8], name="att"
    )
    with pytest.raises(InvalidInput, match=r"do not hold 8 \+ 8 \+ 8 columns"):
        counted(files, node, {"x": [1, 7, 16]}, {"w": zeros(16, 48), "b": zeros(48)}, runs=False)
