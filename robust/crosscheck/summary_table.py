"""The summary table of an X-cross comparison, and the line on which it is judged."""

from collections.abc import Sequence

from robust.crosscheck.output_rows import OutputRow
from robust.crosscheck.tensor_metrics import TensorMetrics

#: What l2r has to stay below, on the samples at hand.
L2R_LIMIT = 0.01
NOT_APPLICABLE = "n.a."
NOTHING = "nothing was compared: there is neither a reference nor ground truth"
COLUMNS = ("Output", "acc", "rmse", "mae", "l2r", "mean", "std", "nse", "cos", "tensor")
_FIGURES = ("rmse", "mae", "l2r", "mean", "std", "nse", "cos")
#: A share that is not 1 never reads as 100 %.
_ALMOST = 0.9999


def percentage_text(share: float | None) -> str:
    """A share in per cent, with two decimals; what is not 1 does not read as 100.00%.

    >>> percentage_text(1.0), percentage_text(0.99999), percentage_text(0.9765625), percentage_text(None)
    ('100.00%', '99.99%', '97.66%', 'n.a.')
    """
    if share is None:
        return NOT_APPLICABLE
    shown = f"{100 * share:.2f}%"
    return f"{100 * _ALMOST:.2f}%" if share < 1.0 and shown == "100.00%" else shown


def figure_text(value: float | None, places: int = 7) -> str:
    """A figure with a fixed number of decimals; `n.a.` where there is none, and no negative zero.

    >>> figure_text(0.5), figure_text(-1e-9), figure_text(None)
    ('0.5000000', '0.0000000', 'n.a.')
    """
    if value is None:
        return NOT_APPLICABLE
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def summary_text(rows: Sequence[OutputRow]) -> str:
    """The table: against the ground truth where there is one, then the X-cross, one line an output.

    Args:
        rows: Lines, in any order.

    Returns:
        A title and the table (or that there is nothing), columns `Output acc rmse mae l2r mean std nse cos tensor`.
    """
    if not rows:
        return f"Evaluation report (summary)\n{NOTHING}"
    cells = [COLUMNS, *(_cells(row) for row in ordered(rows))]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    last = len(COLUMNS) - 1
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join(["Evaluation report (summary)", rule, lines[0], rule, *lines[1:], rule])


def ordered(rows: Sequence[OutputRow]) -> list[OutputRow]:
    """Lines as the table has them: all of the candidate, of the reference, of the X-cross, by output."""
    roles = ("candidate", "reference", "X-cross")
    return sorted(rows, key=lambda row: (roles.index(row.role), row.number))


def verdict_lines(rows: Sequence[OutputRow]) -> list[str]:
    """One line an output: its l2r on these samples, and what it is expected to stay below."""
    return [
        f"X-cross (l2r) #{row.number} error : {row.metrics.l2r:.8e} (expected to be < {L2R_LIMIT:g})"
        for row in ordered(rows)
        if row.role == "X-cross"
    ]


def figures_line(metrics: TensorMetrics) -> str:
    """All figures of one line with nine decimals, and those that the table leaves out."""
    figures = ", ".join(f"{name}={figure_text(getattr(metrics, name), 9)}" for name in _FIGURES)
    more = ", ".join(
        f"{label}={figure_text(value, 9)}"
        for label, value in (
            ("mse", metrics.mse),
            ("var", metrics.var),
            ("f1", metrics.f1),
            ("l2r against |r|", metrics.l2r_reference),
        )
    )
    return f"acc={percentage_text(metrics.acc)}, {figures}\n({more})"


def _cells(row: OutputRow) -> tuple[str, ...]:
    metrics = row.metrics
    figures = (figure_text(getattr(metrics, name)) for name in _FIGURES)
    return (row.name, percentage_text(metrics.acc), *figures, row.tensor)
