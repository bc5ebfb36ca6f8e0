"""The confusion matrix, and whether two classes are taken for each other more often one way than the other."""

import numpy as np
from scipy.special import bdtr, bdtrc

from robust.evidence import Evidence, Figure, Finding, Slice, Slices
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.measures.details import numbers, words
from robust.types import FloatArray, IntArray

#: Classes of a matrix, and pairs of a table, that a report can show.
MOST_CLASSES, _MOST_PAIRS = 20, 10
#: Mistakes between two classes whose share is worth a line: of fewer even 0 says nothing at 5 %.
_FEWEST = 5


def confusion_figure(counts: IntArray, names: tuple[str, ...]) -> Figure:
    """Confusion counts, rows actual and columns predicted, over the classes with the most mistakes.

    Args:
        counts: (k, k), rows actual.
        names: The classes.

    Returns:
        A matrix; its row sums are the classes' rows where all classes are shown.
    """
    return label_matrix_figure(
        counts, names, title="Confusion matrix", x_title="predicted", y_title="actual", most="the most mistakes"
    )


def label_matrix_figure(
    counts: IntArray, names: tuple[str, ...], *, title: str, x_title: str, y_title: str, most: str
) -> Figure:
    """Counts by two labels, over the classes with the most off the diagonal.

    Args:
        counts: (k, k), rows the label of `y_title`.
        names: The classes.
        title: Title of the figure.
        x_title: What the columns are.
        y_title: What the rows are.
        most: What the classes that are shown have, where they are not all.

    Returns:
        A matrix.
    """
    off = counts - np.diag(np.diag(counts))
    shown = np.sort(np.argsort(-(off.sum(0) + off.sum(1)), kind="stable")[:MOST_CLASSES])
    kept = [names[c] for c in shown]
    return Figure(
        kind="matrix",
        title=title,
        x_title=x_title,
        y_title=y_title,
        columns=(
            words("x", kept * len(kept)),
            words("y", [name for name in kept for _ in kept]),
            numbers("value", counts[np.ix_(shown, shown)].ravel()),
        ),
        note="" if len(names) <= MOST_CLASSES else f"the {MOST_CLASSES} classes with {most} of {len(names)}",
    )


def asymmetries(
    counts: IntArray, names: tuple[str, ...], *, level: float, independent: bool = True
) -> tuple[Evidence, ...]:
    """Pairs of classes that are taken for each other more often in one direction than the other.

    Of the n_ab + n_ba mistakes between classes of N_a and N_b rows, n_ab is binomial with the share N_a/(N_a + N_b)
    if a row of either class is as likely to be taken for the other (½ for classes of equal size). The exact two-sided
    test is twice the smaller tail; Holm's method holds the error over all pairs.

    Args:
        counts: (k, k), rows actual and columns predicted.
        names: The classes.
        level: 1 − level is the error over all pairs.
        independent: Whether rows are independent; where not, counts are shown and nothing is tested.

    Returns:
        The pairs with the most mistakes, as shares of the mistakes between them in the first direction; and a finding
        in words for each significant one.

    Source: Przyborowski and Wilenski (1940), Biometrika 31:313; Holm (1979), Scandinavian Journal of Statistics 6:65.

    >>> found = asymmetries(np.array([[90, 10], [0, 100]]), ("cat", "dog"), level=0.95)
    >>> found[-1].text
    'cat is taken for dog 10 times (0.1 of its rows), dog for cat 0 times (0): exact p = 0.002'
    """
    both = counts + counts.T
    first, second = np.nonzero(np.triu(both, 1))
    if not len(first):
        return ()
    forth, back = counts[first, second], counts[second, first]
    sizes = counts.sum(axis=1)
    expected = sizes[first] / np.maximum(sizes[first] + sizes[second], 1)
    adjusted = holm(_two_sided(forth, forth + back, expected))
    order = np.argsort(-(forth + back), kind="stable")[:_MOST_PAIRS]
    order = order[(forth + back)[order] >= _FEWEST]
    each = 1 - (1 - level) / max(len(order), 1)
    parts = []
    for i in order:
        lower, upper = (
            clopper_pearson_bounds(int(forth[i]), int(forth[i] + back[i]), each) if independent else (0.0, 1.0)
        )
        a, b = names[first[i]], names[second[i]]
        parts.append(
            Slice(
                name=f"{a} taken for {b}",
                n=int(forth[i] + back[i]),
                value=float(forth[i] / (forth[i] + back[i])),
                lower=lower,
                upper=upper,
                note=f"{forth[i]} times, the other way {back[i]}",
            )
        )
    tables = (
        Slices(by="direction", measure="share of the mistakes between two classes", level=level, slices=tuple(parts)),
    )[: len(parts)]
    if not independent:
        return tables
    found = [i for i in np.argsort(adjusted, kind="stable") if adjusted[i] <= 1.0 - level][:_MOST_PAIRS]
    return (
        *tables,
        *(Finding(text=_sentence(counts, names, int(first[i]), int(second[i]), adjusted[i])) for i in found),
    )


def _sentence(counts: IntArray, names: tuple[str, ...], a: int, b: int, p: float) -> str:
    sizes = np.maximum(counts.sum(axis=1), 1)
    if counts[a, b] / sizes[a] < counts[b, a] / sizes[b]:
        a, b = b, a
    text = f"p = {p:.2g}" if p >= 1e-300 else "p < 1e-300"
    return (
        f"{names[a]} is taken for {names[b]} {counts[a, b]} times ({counts[a, b] / sizes[a]:.3g} of its rows), "
        f"{names[b]} for {names[a]} {counts[b, a]} times ({counts[b, a] / sizes[b]:.3g}): exact {text}"
    )


def holm(p: FloatArray) -> FloatArray:
    """P-values adjusted for their number: max over smaller ones of (m − rank + 1)·p, at most 1.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(scaled, 1.0)
    return adjusted


def _two_sided(hits: IntArray, trials: IntArray, share: FloatArray) -> FloatArray:
    """Twice the smaller binomial tail, at most 1."""
    low = bdtr(hits.astype(float), trials, share)
    high = np.where(hits > 0, bdtrc(hits - 1.0, trials, share), 1.0)
    return np.asarray(np.minimum(2.0 * np.minimum(low, high), 1.0))
