import math

import pytest
from msgspec import structs

from robust.errors import InvalidInput
from robust.evidence import Figure, Series
from robust.report.chart_rows import table


def _replaced(figure: Figure, name: str, values: tuple[float | str, ...]) -> Figure:
    columns = tuple(Series(name=c.name, values=values) if c.name == name else c for c in figure.columns)
    return structs.replace(figure, columns=columns)


def test_rows_series_and_bounds(figures: dict[str, Figure]) -> None:
    content = table(figures["line"])
    assert content.series == ["attack", "noise"]
    assert content.rows[1] == {
        "x": 0.01, "y": 0.8, "lower": 0.7, "upper": 0.9, "series": "attack", "bounds": "0.7 .. 0.9"
    }  # fmt: skip
    assert (content.bounded, content.x_labels) == (True, False)


def test_what_is_not_finite_is_none_and_no_bound(figures: dict[str, Figure]) -> None:
    content = table(_replaced(figures["interval"], "lower", (-math.inf, math.nan, 0.0)))
    assert [row["lower"] for row in content.rows] == [None, None, 0.0]
    assert [row["bounds"] for row in content.rows] == ["no bound .. 0.2", "no bound .. 0.1", "0 .. 0"]


def test_numbers_as_labels_become_text(figures: dict[str, Figure]) -> None:
    content = table(_replaced(figures["bar"], "x", (0.0, 1.0, 2.5)))
    assert [row["x"] for row in content.rows] == ["0", "1", "2.5"]


def test_a_line_over_labels_keeps_their_order(figures: dict[str, Figure]) -> None:
    content = table(_replaced(figures["line"], "x", tuple("zyxwzyxw")))
    assert content.x_labels
    assert [row["x"] for row in content.rows[:4]] == list("zyxw")


@pytest.mark.parametrize("kind", ["line", "bar", "point", "interval", "matrix", "histogram"])
def test_a_missing_column_is_named(figures: dict[str, Figure], kind: str) -> None:
    figure = figures[kind]
    kept = tuple(column for column in figure.columns if column.name != "x")
    with pytest.raises(InvalidInput, match="lacks x"):
        table(structs.replace(figure, columns=kept))


def test_columns_of_unequal_length(figures: dict[str, Figure]) -> None:
    with pytest.raises(InvalidInput, match="equally long"):
        table(_replaced(figures["point"], "y", (1.0,)))


def test_no_rows(figures: dict[str, Figure]) -> None:
    empty = tuple(Series(name=column.name, values=()) for column in figures["point"].columns)
    with pytest.raises(InvalidInput, match="at least one row"):
        table(structs.replace(figures["point"], columns=empty))


def test_text_where_numbers_belong(figures: dict[str, Figure]) -> None:
    with pytest.raises(InvalidInput, match=r"'y' of the point figure .* must hold numbers"):
        table(_replaced(figures["point"], "y", ("a", "b", "c")))
