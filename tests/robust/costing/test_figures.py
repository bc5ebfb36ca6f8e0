"""Figures of costs: what is drawn where there is too much to draw."""

from robust.costing.figures import layer_bars, live_line
from robust.costing.tally import Layer, Peak
from robust.report.charts import still


def layer(name, macc):
    return Layer(name=name, kind="Linear", macc=macc, parameters=0, rom=0, output=0)


def bars(layers):
    return layer_bars(layers, title="MACC by layer", unit="MACC", amount=lambda one: one.macc)


def columns(figure):
    return {series.name: series.values for series in figure.columns}


def test_layers_in_the_order_of_the_run_without_those_that_cost_nothing():
    figure = bars([layer("b", 2), layer("relu", 0), layer("tree", None), layer("a", 5)])
    assert columns(figure) == {"x": ("b", "a"), "y": (2.0, 5.0)}
    assert figure.note == ""
    assert still(figure)["description"] == "MACC by layer. Bar chart of MACC by layer, 2 values."


def test_only_the_largest_of_many_are_drawn_and_the_rest_is_told():
    figure = bars([layer(f"l{i}", i + 1) for i in range(100)])
    found = columns(figure)
    assert len(found["x"]) == 40
    assert found["x"][0] == "l60"
    assert figure.note == "the 40 largest of 100 layers; the others come to 1,830 MACC"
    assert len(columns(bars([layer(f"l{i}", 7) for i in range(50)]))["x"]) == 40


def test_layers_of_one_name_are_bars_of_their_own():
    assert columns(bars([layer("fc", 1), layer("fc", 2)]))["x"] == ("fc", "fc (2)")


def test_nothing_to_draw():
    assert bars([layer("relu", 0)]) is None
    assert live_line(Peak(bytes=4, at="", live=())) is None


def test_the_peak_of_a_long_run_stays():
    live = [("s", 10)] * 5000
    live[3333] = ("fullest", 99)
    figure = live_line(Peak(bytes=99, at="fullest", live=tuple(live)))
    assert len(columns(figure)["x"]) == 500
    assert max(columns(figure)["y"]) == 99
    assert figure.rules == (("y", 99.0, "peak, in fullest"),)
    assert still(figure)["description"].startswith("Live activations over the run. Line chart of bytes against step")
