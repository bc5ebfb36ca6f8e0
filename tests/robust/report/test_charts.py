import json
import re
from collections import Counter
from functools import cache
from xml.etree import ElementTree

import altair as alt
import numpy as np
import pytest
from msgspec import structs

from robust.evidence import Figure, Series
from robust.report.chart_theme import DARK_INK, DASHES, INK, LIGHT_INK, PALETTE, SHADES
from robust.report.charts import live, still
from robust.report.drawing import svg

KINDS = ["line", "bar", "point", "interval", "matrix", "histogram"]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


@cache
def _drawn(figure: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(svg(still(figure), "f"))


def _texts(root: ElementTree.Element) -> str:
    return " ".join(root.itertext())


def _marks(root: ElementTree.Element, kind: str) -> int:
    """Marks of a kind that were drawn; those of axes and legends aside."""
    groups = [g for g in root.iter(f"{SVG}g") if f"mark-{kind} role-mark" in g.get("class", "")]
    return sum(
        len(group.findall(f"{SVG}path") + group.findall(f"{SVG}text") + group.findall(f"{SVG}line")) for group in groups
    )


@pytest.mark.parametrize("kind", KINDS)
def test_specifications_are_valid_vega_lite(figures: dict[str, Figure], kind: str) -> None:
    alt.LayerChart.from_dict(live(figures[kind]), validate=True)
    alt.LayerChart.from_dict(still(figures[kind]), validate=True)
    json.dumps(live(figures[kind]), allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "mark", "count"),
    [("line", "symbol", 8), ("line", "line", 2), ("line", "area", 2), ("bar", "rect", 3), ("bar", "rule", 3),
     ("point", "symbol", 3), ("interval", "symbol", 3), ("matrix", "rect", 9), ("matrix", "text", 9),
     ("histogram", "rect", 5)],
)  # fmt: skip
def test_every_row_is_drawn(figures: dict[str, Figure], kind: str, mark: str, count: int) -> None:
    assert _marks(_drawn(figures[kind]), mark) == count


@pytest.mark.parametrize("kind", KINDS)
def test_titles_and_labels_are_there(figures: dict[str, Figure], kind: str) -> None:
    figure = figures[kind]
    texts = _texts(_drawn(figure))
    assert figure.title in texts
    assert figure.x_title in texts
    assert "undefined" not in texts
    assert "NaN" not in texts


def test_rules_and_their_labels(figures: dict[str, Figure]) -> None:
    root = _drawn(figures["line"])
    assert _marks(root, "rule") == 2
    assert {"operating point", "chance"} <= set(root.itertext())


def test_the_same_figure_gives_the_same_chart(figures: dict[str, Figure]) -> None:
    for figure in figures.values():
        assert live(figure) == live(figure)
    assert svg(still(figures["line"]), "f") == svg(still(figures["line"]), "f")


@pytest.mark.parametrize("kind", KINDS)
def test_text_from_data_is_text(figures: dict[str, Figure], kind: str) -> None:
    figure = figures[kind]
    columns = tuple(
        Series(name=c.name, values=tuple(f"{HOSTILE}{v}" if isinstance(v, str) else v for v in c.values))
        for c in figure.columns
    )
    hostile = structs.replace(
        figure,
        title=HOSTILE,
        x_title=HOSTILE,
        y_title=HOSTILE,
        note=HOSTILE,
        columns=columns,
        rules=(("y", 0.1, HOSTILE),),
    )
    root = _drawn(hostile)
    assert {element.tag for element in root.iter()} == {element.tag for element in _drawn(figure).iter()} | {
        f"{SVG}tspan"
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]


def test_field_names_never_come_from_data(figures: dict[str, Figure]) -> None:
    for figure in figures.values():
        renamed = structs.replace(figure, x_title="datum.x", y_title="image")
        fields = set(re.findall(r'"field": "(\w+)"', json.dumps(live(renamed))))
        assert fields <= {
            "x",
            "y",
            "lower",
            "upper",
            "value",
            "series",
            "bounds",
            "text",
            "low",
            "high",
            "count",
            "range",
            "at",
            "label",
        }


def test_a_tooltip_never_takes_a_title_for_an_instruction(figures: dict[str, Figure]) -> None:
    spec = json.dumps(live(structs.replace(figures["point"], x_title="image", y_title="title")))
    assert '"title": "image"' not in spec
    assert '"title": "title"' not in spec


def test_long_titles_are_wrapped_not_cut(figures: dict[str, Figure]) -> None:
    title = "a title that goes on " * 8
    for kind in ("line", "interval"):
        root = _drawn(structs.replace(figures[kind], title=title, x_title=title))
        assert " ".join(_texts(root).split()).count("a title that goes on") >= 8
        assert "…" not in _texts(root)


def test_handles(figures: dict[str, Figure]) -> None:
    names = {kind: {p["name"] for p in live(figure).get("params", [])} for kind, figure in figures.items()}
    assert names["line"] == names["point"] == {"picked", "window"}
    assert names["bar"] == names["matrix"] == names["interval"] == names["histogram"] == set()


def test_what_the_legend_did_not_pick_fades(figures: dict[str, Figure]) -> None:
    for layer in live(figures["line"])["layer"][:3]:
        condition = layer["encoding"]["opacity"]["condition"]
        assert condition["param"] == "picked"
        assert condition["value"] > layer["encoding"]["opacity"]["value"]


def test_a_wheel_alone_scrolls_the_page(figures: dict[str, Figure]) -> None:
    window = next(p for p in live(figures["line"])["params"] if p["name"] == "window")
    assert window["select"]["zoom"] == "wheel![event.shiftKey]"


def test_many_series_are_drawn_without_a_legend(figures: dict[str, Figure]) -> None:
    names = [f"row {i}" for i in range(30) for _ in range(2)]
    columns = (
        Series(name="x", values=tuple([0.0, 1.0] * 30)),
        Series(name="y", values=tuple(float(i) for i in range(60))),
        Series(name="series", values=tuple(names)),
    )
    root = _drawn(structs.replace(figures["line"], columns=columns, rules=()))
    assert _marks(root, "line") == 30
    assert "row 29" not in _texts(root)


def test_an_unbounded_row_has_no_whisker(figures: dict[str, Figure]) -> None:
    columns = tuple(
        Series(name=c.name, values=(float("-inf"), *c.values[1:])) if c.name == "lower" else c
        for c in figures["interval"].columns
    )
    root = _drawn(structs.replace(figures["interval"], columns=columns, rules=()))
    assert (_marks(root, "symbol"), _marks(root, "rule")) == (3, 2)


def test_a_histogram_counts_every_finite_row(figures: dict[str, Figure]) -> None:
    values = (*np.linspace(0, 1, 500).tolist(), float("nan"))
    figure = structs.replace(figures["histogram"], columns=(Series(name="x", values=values),))
    rows = live(figure)["data"]["values"]
    assert sum(row["count"] for row in rows) == 500
    assert len(rows) <= 40  # bins, not rows, are in the page


def test_a_histogram_of_one_value_and_of_none(figures: dict[str, Figure]) -> None:
    constant = structs.replace(figures["histogram"], columns=(Series(name="x", values=(2.0, 2.0)),))
    assert sum(row["count"] for row in live(constant)["data"]["values"]) == 2
    nothing = structs.replace(figures["histogram"], columns=(Series(name="x", values=(float("nan"),)),))
    assert sum(row["count"] for row in live(nothing)["data"]["values"]) == 0


def test_series_of_a_histogram_share_their_bins(figures: dict[str, Figure]) -> None:
    columns = (
        Series(name="x", values=(0.0, 1.0, 2.0, 9.0)),
        Series(name="series", values=("a", "b", "a", "b")),
    )
    rows = live(structs.replace(figures["histogram"], columns=columns))["data"]["values"]
    assert Counter(row["low"] for row in rows).most_common()[-1][1] == 2


def test_a_matrix_without_counts_is_drawn(figures: dict[str, Figure]) -> None:
    columns = tuple(
        Series(name=c.name, values=(0.0,) * 9) if c.name == "value" else c for c in figures["matrix"].columns
    )
    assert _marks(_drawn(structs.replace(figures["matrix"], columns=columns)), "rect") == 9


def test_series_differ_in_more_than_colour() -> None:
    assert len({tuple(dash) for dash in DASHES}) == len(DASHES) == len(set(PALETTE)) == len(PALETTE)


def _luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(a: str, b: str) -> float:
    bright, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#12161b"])
def test_colours_stand_out_from_a_light_and_a_dark_page(page: str) -> None:
    assert min(_contrast(colour, page) for colour in PALETTE) >= 3
    assert _contrast(INK, page) >= 4


def test_counts_can_be_read_on_their_cells() -> None:
    assert _contrast(DARK_INK, SHADES[0]) >= 4.5
    assert _contrast(LIGHT_INK, SHADES[1]) >= 4.5


def _deficient(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """A colour as an eye without one kind of cone sees it, in CIE L*a*b* (Viénot, Brettel and Mollon 1999)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],  # protanopia
        [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],  # deuteranopia
    ],
)
def test_the_first_colours_differ_for_colour_blind_readers(matrix: list[list[float]]) -> None:
    seen = [_deficient(colour, matrix) for colour in PALETTE[:4]]
    distances = [float(np.linalg.norm(a - b)) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 10  # a just noticeable difference is about 2.3


def test_large_ticks_are_written_like_the_numbers_beside_them_and_years_as_years(figures: dict[str, Figure]) -> None:
    def bars(*values: float) -> str:
        columns = (Series(name="x", values=("a", "b")), Series(name="y", values=values))
        return _texts(_drawn(structs.replace(figures["bar"], columns=columns, rules=())))

    assert "80,000" in bars(84224.0, 9216.0)
    assert "80000" not in bars(84224.0, 9216.0)
    assert "2000" in bars(1958.0, 2008.0)
    assert "1,000,000" in bars(1.2e6, 3e5)


def test_the_label_of_a_line_at_the_top_stands_below_it(figures: dict[str, Figure]) -> None:
    def shift(position: float) -> float:
        columns = (Series(name="x", values=(0.0, 1.0)), Series(name="y", values=(0.0, 10.0)))
        rules = (("y", position, "peak"),)
        layers = live(structs.replace(figures["line"], columns=columns, rules=rules))["layer"]
        return next(layer["mark"]["dy"] for layer in layers if layer["mark"]["type"] == "text")

    assert shift(10.0) > 0 > shift(5.0)


def test_a_diagonal_shows_an_offset() -> None:
    columns = (Series(name="x", values=(100.0, 101.0, 102.0)), Series(name="y", values=(0.0, 1.0, 2.0)))
    figure = Figure(
        kind="point", title="t", x_title="prediction", y_title="target", columns=columns, diagonal="prediction = target"
    )
    spec = live(figure)
    alt.LayerChart.from_dict(spec, validate=True)
    encoding = spec["layer"][0]["encoding"]
    low, high = encoding["x"]["scale"]["domain"]
    assert encoding["y"]["scale"]["domain"] == [low, high]
    assert low < 0.0
    assert high > 102.0
    line = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "line")
    assert line["data"]["values"] == [{"along": low}, {"along": high}]
    assert "prediction = target" in _texts(_drawn(figure))
    assert _marks(_drawn(figure), "symbol") == 3
    plain = live(structs.replace(figure, diagonal=""))
    assert "domain" not in plain["layer"][0]["encoding"]["x"]["scale"]


@pytest.mark.parametrize("value", [0.0, 3.0, float("nan")])
def test_a_diagonal_of_one_value_is_drawn(value: float) -> None:
    columns = (Series(name="x", values=(value, value)), Series(name="y", values=(value, value)))
    figure = Figure(kind="point", title="t", x_title="x", y_title="y", columns=columns, diagonal="x = y")
    assert "x = y" in _texts(_drawn(figure)) or value != value
