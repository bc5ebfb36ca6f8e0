"""The most fragile classes: of the rows of each that are right, the share that an attack breaks."""

from robust.attacks.rungs import Outcome
from robust.attacks.target import Target
from robust.evidence import Evidence, Finding, Slice, Slices
from robust.measures.dependence import bindings
from robust.measures.row_means import share_interval
from robust.measures.slicing import target_slicing

_SHOWN = 20
_MEASURE = "share of right rows that break"


def fragile_classes(outcome: Outcome, target: Target, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """The share of broken rows in each true class, worst first, with bounds that hold for all classes at once.

    Args:
        outcome: What the attacks did.
        target: The rows that they were tried on, all right before (n).
        level: Confidence that all bounds hold at once.
        seed: Seed of a bootstrap, where one is used.

    Returns:
        The table; and a finding where a class is proved to break more often than all rows together do. Nothing where
        there is one class only, or where nothing broke.
    """
    if not outcome.broken.any():
        return ()
    overall = float(outcome.broken.mean())
    for table in target_slicing(target.data):
        if len(table.parts) < 2:
            return ()
        parts = []
        for name, inside in table.parts:
            hits = outcome.broken[inside]
            interval = share_interval(hits, bindings(target.data, inside), level=table.level(level), seed=seed)
            note = f"{int(hits.sum())} of {len(hits)} broken"
            parts.append(
                Slice(
                    name=name,
                    n=len(hits),
                    value=interval.value,
                    lower=interval.lower,
                    upper=interval.upper,
                    note=note,
                )
            )
        parts.sort(key=lambda part: (-part.value, part.name))
        slices = Slices(by=table.by, measure=_MEASURE, level=level, slices=tuple(parts[:_SHOWN]))
        worst = max(parts, key=lambda part: part.lower)
        if worst.lower <= overall:
            return (slices,)
        label = worst.name.partition("=")[2]
        text = (
            f"class {label} is the most fragile: {worst.value:.1%} of its rows that are right break under attack "
            f"({worst.lower:.1%} .. {worst.upper:.1%}, for all classes at once), against {overall:.1%} of all"
        )
        return (Finding(text=text), slices)
    return ()
