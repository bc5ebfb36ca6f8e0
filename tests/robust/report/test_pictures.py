"""Figures as PNG files."""

import struct

import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.evidence import Figure, Series
from robust.measures.details import numbers, words
from robust.report.drawing import png


def size_of(content):
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


def matrix(k):
    names = [f"class {i}" for i in range(k)]
    columns = (
        words("x", names * k),
        words("y", [name for name in names for _ in names]),
        numbers("value", np.eye(k).ravel() * 1000),
    )
    return Figure(kind="matrix", title="Counts", x_title="predicted", y_title="actual", columns=columns)


def histogram():
    columns = (numbers("x", np.linspace(0, 1, 60)), words("series", ["right"] * 55 + ["wrong"] * 5))
    return Figure(kind="histogram", title="Scores", x_title="score", y_title="rows", columns=columns)


def test_a_matrix_grows_with_its_cells():
    small, large = size_of(png(matrix(2))), size_of(png(matrix(24)))
    assert small[0] < large[0]
    assert small[1] < large[1]
    assert large[0] > 2 * 30 * 24


def test_the_same_figure_gives_the_same_bytes():
    assert png(matrix(3)) == png(matrix(3))


def test_scale_and_height():
    one, two = size_of(png(matrix(3), scale=1.0)), size_of(png(matrix(3), scale=2.0))
    assert two[0] == pytest.approx(2 * one[0], abs=2)
    assert size_of(png(histogram(), height=400))[1] == size_of(png(histogram(), height=200))[1] + 2 * 200


def test_series_by_themselves_stand_one_below_the_other():
    together, apart = size_of(png(histogram())), size_of(png(histogram(), by_series=True))
    assert apart[1] > together[1] + 300


def test_a_figure_whose_columns_do_not_fit_is_refused():
    figure = Figure(kind="bar", title="t", x_title="", y_title="", columns=(Series(name="x", values=("a",)),))
    with pytest.raises(InvalidInput, match="needs the columns x, y"):
        png(figure)
