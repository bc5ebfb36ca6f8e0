"""What a figure on how far outputs move rests on: the rows that move farthest, what each rung bought, a figure."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from robust.attacks.output_least_search import LeastPush
from robust.attacks.output_rungs import Pushed
from robust.attacks.output_target import Regression
from robust.attacks.transfer import title
from robust.data.budget import Eps, feature_eps
from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Finding, Rows
from robust.measures.details import WORST, costliest, histogram, row_ids
from robust.measures.each_output import output_name
from robust.measures.unanswered import attacked_silence, clean_silence
from robust.predicting.calling import bind
from robust.predicting.metering import Meter
from robust.types import FloatArray, Norm


def change_evidence(
    pushes: Sequence[Pushed],
    changes: FloatArray,
    data: Dataset,
    meter: Meter,
    *,
    eps: Eps,
    norm: Norm,
    strength: str,
    outputs: int,
    rule: tuple[float, str],
) -> tuple[Evidence, ...]:
    """Evidence of one figure.

    Args:
        pushes: How far each output was pushed each way.
        changes: The largest of these, by row (n,).
        data: The rows.
        meter: What was asked of the model so far.
        eps: The budget.
        norm: Its norm.
        strength: How strong the attacks were.
        outputs: Outputs of the model.
        rule: Where the figure has a line, and what that is.
    """
    n, known = len(data), np.flatnonzero(np.isfinite(changes))
    told, facts = _lost(pushes), [*_ways(pushes, outputs)]
    if len(known):
        what = "rows whose output moves farthest (units of the output)"
        facts.insert(0, costliest(changes[known], data.rows(known), what=what))
        top = known[changes[known].argmax()]
        if changes[top] > 0:
            text = (
                f"changes within {budget_words(eps, norm, data)} move the output of row {data.ids[top]} by "
                f"{changes[top]:.3g}, of half of the rows by {np.median(changes):.3g} or more"
            )
            told.append(Finding(text=text))
    facts += [
        *_bought(pushes, changes),
        Fact(name="what a pass means", value=_meaning(pushes, strength)),
        Fact(name="forward passes a row", value=round(meter.forward_rows / n, 2)),
        Fact(name="backward passes a row", value=round(meter.backward_rows / n, 2)),
    ]
    if len(known):
        facts.append(_figure(changes[known], *rule))
    return (*told, *facts)


def silent_outputs(regression: Regression, data: Dataset, *, counted: str) -> tuple[Evidence, ...]:
    """Rows that a model gives no number for as they are.

    Args:
        regression: What it answered.
        data: All rows.
        counted: What the others count as.
    """
    return clean_silence(bind(regression.model, data.schema), data, ~regression.answered, counted=counted)


def _lost(pushes: Sequence[Pushed]) -> list[Evidence]:
    """Rows that were pushed to where the model gives no number."""
    first = pushes[0].target
    rows, lost = first.x.copy(), np.zeros(len(first), dtype=bool)
    for push in pushes:
        out = np.isinf(push.farthest)
        rows[out], lost = push.rows[out], lost | out
    return list(attacked_silence(first.caller, first.data, rows, lost, counted="moved without bound"))


def least_evidence(
    found: Sequence[LeastPush],
    norms: FloatArray,
    data: Dataset,
    meter: Meter,
    *,
    change: float,
    norm: Norm,
    median: float,
) -> tuple[Evidence, ...]:
    """Evidence of the smallest changes that move an output.

    Args:
        found: What was found for each output and way.
        norms: The smallest norms of all, inf where nothing was found (n,).
        data: The rows.
        meter: What was asked of the model so far.
        change: How far the output had to move.
        norm: The norm.
        median: The median norm.
    """
    order = np.argsort(norms, kind="stable")[:WORST]
    order, n = order[np.isfinite(norms[order])], len(data)
    names = ", then ".join(repr(rung) for rung in found[0].rungs)
    facts: list[Evidence] = [
        Rows(
            what=f"most fragile rows, smallest change first ({norm} norm)",
            ids=row_ids(data, order),
            values=tuple(float(f"{size:.4g}") for size in norms[order]),
            total=int(np.isfinite(norms).sum()),
        ),
        Fact(name="rows for which nothing was found (norm inf)", value=int(np.isinf(norms).sum())),
        *(
            Fact(
                name=f"median after {type(rung).__name__}",
                value=f"{np.median(np.min([one.norms[k] for one in found], axis=0)):.4g}",
            )
            for k, rung in enumerate(found[0].rungs)
        ),
        Fact(
            name="what it means",
            value=f"an upper bound of the true median: {names} found changes of these norms, and no attack proves that "
            "there is no smaller change",
        ),
        Fact(name="forward passes a row", value=round(meter.forward_rows / n, 2)),
        Fact(name="backward passes a row", value=round(meter.backward_rows / n, 2)),
    ]
    if len(order):
        known, title = norms[np.isfinite(norms)], f"Smallest change that moves the output by {change:g}"
        rules: tuple[tuple[Literal["x", "y"], float, str], ...] = ()
        if np.isfinite(median):
            rules = (("x", float(f"{median:.6g}"), "median"),)
        columns = histogram(known, title).columns
        axis = f"{norm} norm of the change"
        facts.append(Figure(kind="histogram", title=title, x_title=axis, y_title="rows", columns=columns, rules=rules))
    if not np.isfinite(median):
        return tuple(facts)
    text = f"the output of half of the rows moves by {change:g} with a change of {norm} norm {median:.3g} or less"
    return (Finding(text=text), *facts)


def budget_words(eps: Eps, norm: Norm, data: Dataset) -> str:
    """The budget in words; of features that may move, by name, where it differs between them."""
    if isinstance(eps, float):
        return f"±{eps:.3g} of every feature" if norm == "linf" else f"an {norm} norm of {eps:.3g}"
    amounts = feature_eps(eps, data.schema)
    moving = np.flatnonzero(amounts)
    shown = ", ".join(f"±{amounts[j]:.3g} of {data.schema.names[j]}" for j in moving[:3])
    more = f" and budgets of {len(moving) - 3} more" if len(moving) > 3 else ""
    return f"{shown}{more}" if norm == "linf" else f"{shown}{more} ({norm}: all together)"


def _ways(pushes: Sequence[Pushed], outputs: int) -> list[Evidence]:
    """Mean change of each output each way."""
    facts: list[Evidence] = []
    for push in pushes:
        target = push.target
        which = "" if outputs == 1 else f" of {output_name(target.output, outputs)}"
        way = "up" if target.sign > 0 else "down"
        facts.append(Fact(name=f"mean largest change{which}, {way}", value=_mean(push.farthest)))
    return facts


def _bought(pushes: Sequence[Pushed], changes: FloatArray) -> list[Evidence]:
    """The mean largest change after noise, after each rung, and what the rung asked."""
    n, so_far = len(changes), np.max([push.floor for push in pushes], axis=0)
    facts: list[Evidence] = [Fact(name="mean largest change by noise", value=_mean(so_far))]
    for k, rung in enumerate(pushes[0].rungs):
        so_far = np.max([so_far, *(push.reached[k] for push in pushes)], axis=0)
        facts.append(Fact(name=f"mean largest change after {title(rung)}", value=_mean(so_far)))
        forward, backward = (sum(push.passes[k][side] for push in pushes) / n for side in (0, 1))
        if forward + backward:
            text = f"{forward:.3g} forward, {backward:.3g} backward a row"
            facts.append(Fact(name=f"passes of {title(rung)}", value=text))
    return facts


def _mean(changes: FloatArray) -> float:
    """Of the changes that have a bound, four digits."""
    known = changes[np.isfinite(changes)]
    return float(f"{known.mean():.4g}") if len(known) else 0.0


def _meaning(pushes: Sequence[Pushed], strength: str) -> str:
    """What was tried, and that something stronger may still move outputs farther."""
    names = ", then ".join(repr(rung) for rung in pushes[0].rungs)
    return (
        f"a lower bound of the true largest change: no attack of strength {strength!r} moved outputs farther: noise, "
        f"then {names}. A stronger attack may"
    )


def _figure(changes: FloatArray, rule: float, words: str) -> Figure:
    """How the changes that have a bound are distributed."""
    return Figure(
        kind="histogram",
        title="Largest change of the output",
        x_title="largest change that was found (units of the output)",
        y_title="rows",
        columns=histogram(changes, "largest change of the output").columns,
        rules=(("x", float(f"{rule:.6g}"), words),) if np.isfinite(rule) else (),
    )
