"""The layers of a comparison as text and figures."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from robust.costing.words import counted
from robust.evidence import Evidence, Fact, Figure, Finding, Series
from robust.layers.point_sums import ROUNDING

if TYPE_CHECKING:
    from robust.layers.layer_result import LayerError
    from robust.layers.matching import Unmatched

_COLUMNS = ("layer", "SQNR dB", "own dB", "weights dB", "loss dB", "cosine", "max error", "mean error")
_MOST_BARS = 40
#: Weights are most of a layer's own noise where they have no more than this beyond it, dB, and little of it where more.
_MOST, _LITTLE = 1.5, 6.0


def table_text(rows: Sequence["LayerError"], unmatched: Sequence["Unmatched"]) -> str:
    """All layers in the order of the run, worst marked, and below them what was not compared."""
    worst = min(rows, key=lambda row: row.own_sqnr, default=None)
    cells = [_COLUMNS, *(_cells(row, marked=row is worst and row.own_sqnr < ROUNDING) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_COLUMNS))]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in cells
    ]
    rule = "-" * max(map(len, lines))
    left = [f"not compared: {one.layer} of the {one.model}: {one.reason}" for one in unmatched]
    return "\n".join([lines[0], rule, *lines[1:], *([rule, *left] if left else [])])


def findings(ranking: Sequence["LayerError"], unmatched: Sequence["Unmatched"], exact: int) -> tuple[Finding, ...]:
    """What a reader would want to know, in sentences: the worst layers, exact ones, those not compared."""
    noisy = [row for row in ranking if row.own_sqnr < ROUNDING]
    found = [Finding(text=_sentence(row)) for row in noisy[:1]]
    if not noisy and ranking:
        found.append(Finding(text=f"no layer of {len(ranking)} adds more than rounding: none is quantized"))
    elif exact:
        said = "adds no error of its own" if exact == 1 else "add no error of their own"
        found.append(Finding(text=f"{counted(exact, 'layer')} of {len(ranking)} {said}"))
    if unmatched:
        few = "; ".join(f"{one.layer} of the {one.model}: {one.reason}" for one in unmatched[:3])
        more = "" if len(unmatched) <= 3 else f"; and {len(unmatched) - 3} more"
        found.append(Finding(text=f"{counted(len(unmatched), 'layer')} could not be compared: {few}{more}"))
    return tuple(found)


def evidence(
    rows: Sequence["LayerError"], ranking: Sequence["LayerError"], unmatched: Sequence["Unmatched"]
) -> tuple[Evidence, ...]:
    """Findings, figures of both ratios by layer, and the ranking."""
    exact = sum(row.own_sqnr == math.inf for row in ranking)
    figures = (
        bars(rows, "Signal to quantization noise after each layer", lambda row: row.sqnr),
        bars(rows, "Signal to noise that each layer adds by itself", lambda row: row.own_sqnr),
        bars(rows, "Signal to quantization noise of the weights", lambda row: row.weight_sqnr),
    )
    return (
        *findings(ranking, unmatched, exact),
        *(figure for figure in figures if figure is not None),
        Fact(
            name="layers by what they add themselves, worst first",
            value=", ".join(f"{row.label} {decibel_text(row.own_sqnr)}" for row in ranking[:10]),
        ),
    )


def bars(rows: Sequence["LayerError"], title: str, amount: "Callable[[LayerError], float | None]") -> Figure | None:
    """A ratio by layer, in the order of the run; layers where it is infinite are left out.

    Args:
        rows: The layers.
        title: Title of the figure.
        amount: The ratio of a layer, in dB; None where there is none.

    Returns:
        A bar chart; None where there is nothing to draw.
    """
    known = [(row.label, amount(row)) for row in rows]
    finite = [(name, value) for name, value in known if value is not None and math.isfinite(value)]
    if not finite:
        return None
    least = sorted(value for _, value in finite)[:_MOST_BARS][-1]
    kept = [(name, value) for name, value in finite if value <= least][:_MOST_BARS]
    exact = sum(value == math.inf for _, value in known)
    notes = [f"{counted(exact, 'layer')} without any error left out"] if exact else []
    notes += [f"the {len(kept)} lowest of {len(finite)}"] if len(kept) < len(finite) else []
    return Figure(
        kind="bar",
        title=title,
        x_title="layer",
        y_title="dB",
        columns=(
            Series(name="x", values=tuple(_distinct([name for name, _ in kept]))),
            Series(name="y", values=tuple(float(f"{value:.6g}") for _, value in kept)),
        ),
        note="; ".join(notes),
    )


def decibel_text(value: float | None) -> str:
    """A ratio in dB.

    >>> decibel_text(31.04), decibel_text(math.inf), decibel_text(None)
    ('31.0 dB', 'exact', 'n.a.')
    """
    if value is None or math.isnan(value):
        return "n.a."
    return "exact" if value == math.inf else f"{value:.1f} dB"


def _sentence(row: "LayerError") -> str:
    """What the worst layer loses, and whether its weights or its activations do."""
    said = f"{row.label} adds the most noise: {decibel_text(row.own_sqnr)} by itself"
    if row.loss is not None and row.before is not None and row.loss > 0:
        said = (
            f"{row.label} loses {row.loss:.1f} dB at the point after it: {decibel_text(row.sqnr)}, "
            f"{decibel_text(row.before)} before it; by itself it has {decibel_text(row.own_sqnr)}"
        )
    elif row.sqnr != row.own_sqnr:
        said += f", {decibel_text(row.sqnr)} at the point after it"
    if row.weight_sqnr is None:
        return said
    beyond = row.weight_sqnr - row.own_sqnr
    blamed = (
        ", which is most of it" if beyond <= _MOST else ": its activations are to blame" if beyond >= _LITTLE else ""
    )
    return f"{said}; its weights have {decibel_text(row.weight_sqnr)}{blamed}"


def _cells(row: "LayerError", *, marked: bool) -> tuple[str, ...]:
    numbers = (row.sqnr, row.own_sqnr, row.weight_sqnr, row.loss)
    return (
        f"{row.label} {'<- worst' if marked else ''}".rstrip(),
        *(_number(value) for value in numbers),
        "n.a." if math.isnan(row.cosine) else f"{row.cosine:.6f}",
        f"{row.max_error:.4g}",
        f"{row.mean_error:.4g}",
    )


def _number(value: float | None) -> str:
    return "" if value is None else "exact" if value == math.inf else f"{value:.1f}"


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that are bars of their own: a second one of a name is numbered."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return distinct
