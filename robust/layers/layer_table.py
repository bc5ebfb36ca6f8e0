"""The layers of a comparison as text and figures."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from robust.costing.words import counted
from robust.evidence import Evidence, Fact, Figure, Finding, Series
from robust.layers.blocks import ENTRY, OUTPUT, plain_kind
from robust.layers.point_sums import ROUNDING

if TYPE_CHECKING:
    from robust.layers.layer_result import LayerError
    from robust.layers.matching import Unmatched

_COLUMNS = ("layer", "SQNR dB", "own dB", "weights dB", "loss dB", "cosine", "max error", "mean error")
_MOST_BARS = 40
#: Letters for which figures have room at a bar.
_SHORT = 16
#: Weights are most of a layer's own noise where they have no more than this beyond it, dB, and little of it where more.
_MOST, _LITTLE = 1.5, 6.0


def table_text(rows: Sequence["LayerError"], unmatched: Sequence["Unmatched"]) -> str:
    """All layers in the order of the run, worst marked, and what was not compared: how much above, what below them."""
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
    share = [f"{compared_text(rows, unmatched)} compared"] if _missed(unmatched) else []
    return "\n".join([*share, lines[0], rule, *lines[1:], *([rule, *left] if left else [])])


def compared_text(rows: Sequence["LayerError"], unmatched: Sequence["Unmatched"]) -> str:
    """How many layers of the reference were compared, of how many.

    >>> compared_text((), ())
    '0 of 0 layers'
    """
    compared = len(_layers(rows))
    return f"{compared} of {counted(compared + _missed(unmatched), 'layer')}"


def _missed(unmatched: Sequence["Unmatched"]) -> int:
    """Layers of the reference that were not compared."""
    return sum(one.model == "reference" and one.layer != f"{OUTPUT} (Output)" for one in unmatched)


def _layers(rows: Sequence["LayerError"]) -> list["LayerError"]:
    """Rows of layers, those of the models' own rows and outputs left out."""
    return [row for row in rows if row.layer not in (ENTRY, OUTPUT)]


def findings(
    ranking: Sequence["LayerError"], unmatched: Sequence["Unmatched"], *, nothing: bool
) -> tuple[Finding, ...]:
    """What a reader would want to know, in sentences: the worst layers, exact ones, those not compared.

    Args:
        ranking: Worst first.
        unmatched: What was not compared.
        nothing: Whether every layer and the output were compared, and none differs.
    """
    layers, noisy = _layers(ranking), [row for row in ranking if row.own_sqnr < ROUNDING]
    exact = sum(row.own_sqnr == math.inf for row in layers)
    among = f" (of those compared, {compared_text(ranking, unmatched)})" if _missed(unmatched) else ""
    found = [Finding(text=_sentence(row) + among) for row in noisy[:1]]
    if not noisy and layers:
        told = ": none is quantized" if nothing else ", of those that were compared" if unmatched else ""
        found.append(Finding(text=f"no layer of {len(layers)} adds more than rounding{told}"))
    elif exact:
        said = "adds no error of its own" if exact == 1 else "add no error of their own"
        found.append(Finding(text=f"{counted(exact, 'layer')} of {len(layers)} {said}"))
    if unmatched:
        few = "; ".join(f"{one.layer} of the {one.model}: {one.reason}" for one in unmatched[:3])
        more = "" if len(unmatched) <= 3 else f"; and {len(unmatched) - 3} more"
        found.append(Finding(text=f"{counted(len(unmatched), 'layer')} could not be compared: {few}{more}"))
    return tuple(found)


def evidence(
    rows: Sequence["LayerError"],
    ranking: Sequence["LayerError"],
    unmatched: Sequence["Unmatched"],
    *,
    nothing: bool,
) -> tuple[Evidence, ...]:
    """Findings, figures of both ratios by layer, and the ranking."""
    figures = (
        bars(rows, "Signal to quantization noise after each layer", lambda row: row.sqnr),
        bars(rows, "Signal to noise that each layer adds by itself", lambda row: row.own_sqnr),
        bars(rows, "Signal to quantization noise of the weights", lambda row: row.weight_sqnr),
    )
    return (
        *findings(ranking, unmatched, nothing=nothing),
        *(figure for figure in figures if figure is not None),
        Fact(name="layers compared", value=compared_text(rows, unmatched)),
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
    known = list(zip(short_labels(rows), map(amount, rows), strict=True))
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
            Series(name="x", values=tuple(name for name, _ in kept)),
            Series(name="y", values=tuple(float(f"{value:.6g}") for _, value in kept)),
        ),
        note="; ".join(notes),
    )


def short_labels(rows: Sequence["LayerError"]) -> list[str]:
    """Labels that figures have room for, one a row, each another.

    A module's name, with its kind where both are short and without the modules around it where it is long; for an
    operator whose module is not known its kind and its number among those.

    Args:
        rows: The layers, in the order of a run.
    """
    found, seen = [], dict[str, int]()
    for row in rows:
        kind = plain_kind(row.kind)
        if row.layer in (ENTRY, OUTPUT):
            found.append(row.layer)
        elif not row.named:
            seen[kind] = seen.get(kind, 0) + 1
            found.append(f"{kind} {seen[kind]}")
        else:
            found.append(row.label if len(row.label) <= _SHORT else _inner(row.layer))
    return _distinct(found)


def _inner(name: str) -> str:
    """A module's name without those around it, as far as there is no room.

    >>> _inner("encoder.layers.0.self_attn"), _inner("features.denseblock3.conv1")
    ('…0.self_attn', '…conv1')
    """
    parts = name.split(".")
    while len(parts) > 1 and len(".".join(parts)) > _SHORT:
        del parts[0]
    short = ".".join(parts)
    short = short if len(short) <= _SHORT else short[-_SHORT:]
    return short if short == name else f"…{short}"


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
    who = f"{OUTPUT}, what follows the compared layers," if row.layer == OUTPUT else row.label
    said = f"{who} adds the most noise: {decibel_text(row.own_sqnr)} by itself"
    if row.loss is not None and row.before is not None and row.loss > 0:
        place = "" if row.layer == OUTPUT else " at the point after it"
        said = (
            f"{who} loses {row.loss:.1f} dB{place}: {decibel_text(row.sqnr)}, "
            f"{decibel_text(row.before)} before it; by itself it has {decibel_text(row.own_sqnr)}"
        )
    elif row.sqnr != row.own_sqnr:
        said += f", {decibel_text(row.sqnr)} at the point after it"
    if row.weight_sqnr is None:
        return said
    beyond = row.weight_sqnr - row.own_sqnr
    shared = f", whose quantizer {_and(row.readers)} share" if len(row.readers) > 1 else ""
    blamed = (
        ", which is most of it"
        if beyond <= _MOST
        else f": its bias or its activations are to blame{shared}"
        if beyond >= _LITTLE
        else ""
    )
    if row.weight_sqnr == math.inf:
        return f"{said}; its weights are exact{blamed}"
    return f"{said}; its weights have {decibel_text(row.weight_sqnr)}{blamed}"


def _and(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> _and(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


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
