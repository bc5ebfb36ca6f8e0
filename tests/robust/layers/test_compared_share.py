"""Whether enough was compared: the check by itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from robust.layers.blocks import Block
from robust.layers.compared_share import layers_compared
from robust.layers.matching import Unmatched
from robust.models.conversion import as_model


def watched(*shapes):
    """Layers with weights of some shapes; none where there is none."""
    blocks = [
        Block(name=str(i), kind="Gemm" if shape else "MaxPool", end=str(i), weight=np.ones(shape) if shape else None)
        for i, shape in enumerate(shapes)
    ]
    return SimpleNamespace(blocks=tuple(blocks))


def row(layer, sqnr=np.inf, own=np.inf):
    return SimpleNamespace(layer=layer, point=layer, sqnr=sqnr, own_sqnr=own)


def left(layer, model="reference"):
    return Unmatched(layer=layer, model=model, reason="it is gone")


MODEL = as_model(lambda x: x, name="f")  # cannot be counted: its weights are


@pytest.mark.parametrize(
    ("rows", "unmatched", "passed", "words"),
    [
        ([row("0"), row("1"), row("2")], [], True, "the outputs were compared, and layers with 100 %"),
        # Weights 60 and 40: without the first there is too little.
        (
            [row("1", 30.0, 30.0), row("2", 30.0)],
            [left("0 (Gemm)")],
            False,
            "40 % of the multiply",
        ),
        (
            [row("0", 30.0, 30.0), row("2", 30.0)],
            [left("1 (Gemm)")],
            True,
            "layers with 60 % of",
        ),
        (
            [row("1", 9.0, 9.0), row("2", 9.0)],
            [left("0 (Gemm)", "candidate")],
            False,
            "40 % of the",
        ),
        # A difference that no layer explains.
        (
            [row("0"), row("2", 30.0)],
            [left("1 (Gemm)")],
            False,
            r"the outputs differ (30.0 dB) though",
        ),
        ([row("(input)", 40.0, 40.0), row("0", 35.0), row("2", 30.0)], [], True, "the outputs were compared"),
        # No output.
        (
            [row("0"), row("1")],
            [left("2 (MaxPool)")],
            True,
            "every layer with weights was compared",
        ),
        (
            [row("0"), row("2x")],
            [left("1 (Gemm)")],
            False,
            "the outputs could not be compared: not",
        ),
    ],
)
def test_the_check(rows, unmatched, passed, words):
    both = watched((6, 10), (4, 10), None)
    found = layers_compared(rows, unmatched, ((MODEL, both), (MODEL, both)), np.ones((2, 3)), output="2")
    assert (found.name, found.passed, found.bias) == ("layers compared", passed, "raises")
    assert words in found.reason
    assert all(one.layer in found.reason for one in unmatched)
