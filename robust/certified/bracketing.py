"""The bracket around the true robust accuracy: certified ≤ true ≤ attacked."""

from dataclasses import dataclass

import numpy as np

from robust.errors import InvalidInput, RobustError
from robust.evidence import Fact, Figure, Finding, Series
from robust.measurement import Measurement
from robust.types import FloatArray


class BrokenProof(RobustError):
    """A row is both proved to hold and broken by an attack: one of the two is wrong, and neither can be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Two measurements of the same model, rows and budget, and what lies between them.

    Args:
        certified: A lower bound of the true robust accuracy, by proof.
        attacked: An upper bound of it, by the rows that an attack broke.
        undecided: Share of rows that are neither proved nor broken.
        facts: The bracket in words.
        figure: Both, with their bounds.
    """

    certified: Measurement
    attacked: Measurement
    undecided: float
    facts: tuple[Finding | Fact, ...]
    figure: Figure

    def __str__(self) -> str:
        return f"robust accuracy between {self.certified.value:.4f} (proved) and {self.attacked.value:.4f} (attacked)"


def bracket(certified: Measurement, attacked: Measurement) -> Bracket:
    """Put a certified and an attacked accuracy around the true robust accuracy.

    certified ≤ true ≤ attacked, row by row: a row that is proved is not broken

    Args:
        certified: What `certified_accuracy` gave.
        attacked: What `robust_accuracy` gave for the same model, rows, budget and norm.

    Returns:
        The bracket.

    Raises:
        InvalidInput: If the two are of different models, rows or budgets, keep no rows, or the certificate is of a
            smoothed model, which an attack on the model itself says nothing about.
        BrokenProof: If a row is both proved and broken.

    Example:
        Of four rows two are proved, and one is broken.

        >>> def of(name, *rows):
        ...     mean = sum(rows) / len(rows)
        ...     return Measurement(
        ...         name=name, value=mean, lower=0.0, upper=1.0, n=len(rows), method="test", row_values=np.array(rows)
        ...     )
        >>> found = bracket(of("certified_accuracy", 1.0, 1.0, 0.0, 0.0), of("robust_accuracy", 1.0, 1.0, 1.0, 0.0))
        >>> print(found, found.undecided)
        robust accuracy between 0.5000 (proved) and 0.7500 (attacked) 0.25
    """
    proved, held = _rows(certified, attacked)
    both = np.flatnonzero((proved == 1.0) & (held == 0.0))
    if len(both):
        raise BrokenProof(
            f"{len(both)} rows are proved to hold and broken by the attack, first at position {both[0]}: this is a "
            "mistake in the proof or in the attack, unless their budgets differ"
        )
    undecided = float(np.mean((proved == 0.0) & (held == 1.0)))
    facts = (
        Finding(
            text=f"robust accuracy{_budget(certified, attacked)} lies between {certified.value:.1%}, which is proved, "
            f"and {attacked.value:.1%}, which an attack left; {undecided:.1%} of the rows are neither proved nor broken"
        ),
        Fact(name="rows neither proved nor broken", value=int(np.sum((proved == 0.0) & (held == 1.0)))),
    )
    return Bracket(
        certified=certified, attacked=attacked, undecided=undecided, facts=facts, figure=_figure(certified, attacked)
    )


def _rows(certified: Measurement, attacked: Measurement) -> tuple[FloatArray, FloatArray]:
    """Row by row, 1 where proved and 1 where held, of two measurements that belong together."""
    if certified.name != "certified_accuracy":
        raise InvalidInput(
            f"the lower end got {certified.name!r}; a certified_accuracy of the model itself would be right (an attack "
            "on a model says nothing about its smoothed twin)"
        )
    ends = (certified.provenance, attacked.provenance)
    for what, one, other in (
        ("models", ends[0].models[:1], ends[1].models[:1]),
        ("rows", ends[0].data, ends[1].data),
    ):
        if one != other:
            raise InvalidInput(f"the two ends are of different {what}: {one} and {other}")
    for name, what in (("eps", "budgets"), ("norm", "norms")):
        given = [dict(end.options).get(name) for end in ends]
        if None not in given and given[0] != given[1]:
            raise InvalidInput(f"the two ends are of different {what}: {given[0]} and {given[1]}")
    rows = [end.row_values for end in (certified, attacked)]
    if rows[0] is None or rows[1] is None or len(rows[0]) != len(rows[1]):
        raise InvalidInput("a bracket needs the values of the same rows at both ends: measure both in this process")
    return rows[0], rows[1]


def _budget(certified: Measurement, attacked: Measurement) -> str:
    """What both ends were measured at, in words; nothing where neither says so."""
    told = dict(attacked.provenance.options) | dict(certified.provenance.options)
    eps, norm = told.get("eps"), told.get("norm", "").strip("'")
    if eps is None:
        return ""
    return f" at {'budgets by feature' if eps.startswith('{') else f'eps {eps}'}{f' in {norm}' if norm else ''}"


def _figure(certified: Measurement, attacked: Measurement) -> Figure:
    """Both ends with their bounds."""
    ends = {"certified": certified, "attacked": attacked}
    return Figure(
        kind="interval",
        title="Robust accuracy: between what is proved and what an attack left",
        x_title="accuracy",
        y_title="",
        columns=(
            Series(name="y", values=tuple(ends)),
            Series(name="x", values=tuple(end.value for end in ends.values())),
            Series(name="lower", values=tuple(end.lower for end in ends.values())),
            Series(name="upper", values=tuple(end.upper for end in ends.values())),
        ),
        note=f"the truth{_budget(certified, attacked)} lies between the two dots; whiskers are one-sided "
        f"{certified.level:.0%} bounds",
    )
