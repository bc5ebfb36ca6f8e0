import re

from msgspec import structs

from robust.evidence import Figure, Series
from robust.report.charts import still
from robust.report.drawing import draw, svg


def test_a_figure_for_a_page(figures: dict[str, Figure]) -> None:
    drawn = draw(figures["line"], "ATK001-figure-1")
    assert drawn.fault == ""
    assert drawn.caption == (
        "one-sided bounds",
        "dashed line: operating point (0.025)",
        "dashed line: chance (0.1)",
    )
    assert drawn.headings == ("eps", "robust accuracy", "series", "bounds")
    assert drawn.numbers[1] == ("0.01", "0.8", "attack", "0.7 .. 0.9")
    assert "zoom" in drawn.hint
    assert "legend" in drawn.hint
    assert drawn.spec is not None
    assert "title" not in drawn.spec  # the page sets it


def test_what_cannot_be_handled_has_no_hint(figures: dict[str, Figure]) -> None:
    assert draw(figures["bar"], "a").hint == ""


def test_the_numbers_are_capped_and_the_rest_counted(figures: dict[str, Figure]) -> None:
    columns = tuple(Series(name=name, values=tuple(map(float, range(100)))) for name in "xy")
    drawn = draw(structs.replace(figures["point"], columns=columns), "a")
    assert (len(drawn.numbers), drawn.omitted) == (60, 40)


def test_a_figure_that_does_not_fit_is_a_fault_not_a_crash(figures: dict[str, Figure]) -> None:
    drawn = draw(structs.replace(figures["bar"], columns=()), "a")
    assert drawn.spec is None
    assert "lacks x, y" in drawn.fault


def test_stills_do_not_share_ids(figures: dict[str, Figure]) -> None:
    spec = still(figures["line"])
    first, second = svg(spec, "one"), svg(spec, "two")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, own in zip((first, second), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", text)) <= own
