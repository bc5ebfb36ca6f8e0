"""Evidence of a robust accuracy: what each attack bought, a figure, and which classes and rows broke first."""

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.gallery import gallery_evidence
from robust.attacks.gallery_classes import fragile_classes
from robust.attacks.rungs import Outcome
from robust.attacks.target import Target
from robust.attacks.transfer import title
from robust.data.budget import feature_eps
from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Finding, Series, Values
from robust.measures.row_means import share_interval
from robust.predicting.metering import Meter
from robust.types import BoolArray, IntArray

#: What the two values of an accuracy under attack are.
NAMES = ("clean", "under attack")
#: The fact that says what was tried.
MEANING = "what a pass means"
# How the sentence starts that says what the attacks did to accuracy.
_LOSS = "changes within"
_PERCENT = 0.01
_MOST_NAMES = 3


def outcome_evidence(
    outcome: Outcome | None,
    target: Target | None,
    data: Dataset,
    right: BoolArray,
    meter: Meter,
    *,
    level: float,
    seed: int,
) -> tuple[Evidence, ...]:
    """Evidence of one ladder's run.

    Args:
        outcome: What the attacks did to the rows that were right; None where no row was.
        target: Those rows.
        data: All rows (n).
        right: Which of them were right (n,).
        meter: What was asked of the model so far.
        level: Confidence of each bound in the figure.
        seed: Seed of a bootstrap, where one is used.

    Returns:
        The evidence.
    """
    n, rightly = len(data), np.flatnonzero(right)
    clean = len(rightly) / n
    if outcome is None or target is None:
        none = Fact(name="attack success rate", value="not measurable: no row is right before the attack")
        return (Values(metric="accuracy", reference=clean, candidate=0.0, names=NAMES), none)
    broken = int(outcome.broken.sum())
    robust = (len(rightly) - broken) / n
    facts = [
        Values(metric="accuracy", reference=clean, candidate=robust, names=NAMES),
        Fact(name="attack success rate", value=broken / len(rightly)),
        *_bought(outcome),
        Fact(name=MEANING, value=_meaning(outcome)),
        Fact(name="forward passes a row", value=round(meter.forward_rows / n, 2)),
        Fact(name="backward passes a row", value=round(meter.backward_rows / n, 2)),
        _figure(outcome, data, rightly, level=level, seed=seed),
        *fragile_classes(outcome, target, level=level, seed=seed),
        # Last: what it costs to look for the smallest changes is none of the attacks' passes.
        *gallery_evidence(outcome, target),
    ]
    if broken >= _PERCENT * n:
        strongest = title(outcome.ladder.strongest)
        text = f"{_LOSS} {_budget(outcome, data)} take accuracy from {clean:.1%} to {robust:.1%} ({strongest})"
        return (Finding(text=text), *facts)
    return tuple(facts)


def of_loss(item: Evidence) -> bool:
    """Whether it is the sentence that says what the attacks did to accuracy.

    Args:
        item: Evidence of a robust accuracy.
    """
    return isinstance(item, Finding) and item.text.startswith(_LOSS)


def _budget(outcome: Outcome, data: Dataset) -> str:
    """The budget in words; of features that may move, by name, where it differs between them."""
    attack = outcome.ladder.strongest
    if not isinstance(attack.eps, dict):
        return (
            f"±{attack.eps:.3g} of every feature"
            if attack.norm == "linf"
            else f"an {attack.norm} norm of {attack.eps:.3g}"
        )
    amounts = feature_eps(attack.eps, data.schema)
    moving = np.flatnonzero(amounts)
    shown = ", ".join(f"±{amounts[j]:.3g} of {data.schema.names[j]}" for j in moving[:3])
    more = f" and budgets of {len(moving) - 3} more" if len(moving) > 3 else ""
    return f"{shown}{more}" if attack.norm == "linf" else f"{shown}{more} ({attack.norm}: all together)"


def _meaning(outcome: Outcome) -> str:
    """What was tried, and that something stronger may still find rows."""
    names = [_called(rung) for rung in outcome.ladder.rungs]
    if outcome.ladder.cascade and outcome.ladder.floor is not None:
        names.insert(0, _called(outcome.ladder.floor))
    kind = f"of strength {outcome.ladder.strength!r}" if outcome.ladder.strength else "of this kind"
    return (
        f"no attack {kind} found an adversarial row for that share of the rows: {', then '.join(names)}. A stronger "
        "attack may find more"
    )


def _called(attack: Attack) -> str:
    """An attack with its settings; of budgets by name the first few, the options have them all."""
    if not isinstance(attack.eps, dict) or len(attack.eps) <= _MOST_NAMES:
        return repr(attack)
    few = repr(dict(list(attack.eps.items())[:_MOST_NAMES])).removesuffix("}")
    return repr(attack).replace(repr(attack.eps), f"{few}, …}}")


def _bought(outcome: Outcome) -> list[Evidence]:
    """What floor and rungs broke, in turn."""
    facts: list[Evidence] = []
    if outcome.ladder.floor is not None:
        facts.append(Fact(name="rows broken by the noise floor", value=int(outcome.floor.sum())))
    facts += [
        Fact(name=f"rows broken by {title(rung)}", value=int(broken.sum()))
        for rung, broken in zip(outcome.ladder.rungs, outcome.broken_by, strict=True)
    ]
    n = len(outcome.broken)
    facts += [
        Fact(name=f"passes of {title(rung)}", value=f"{forward / n:.3g} forward, {backward / n:.3g} backward a row")
        for rung, (forward, backward) in zip(outcome.ladder.rungs, outcome.passes, strict=True)
        if forward + backward
    ]
    if outcome.ladder.floor is None:
        facts.append(Fact(name="floor", value="random noise is the floor that a real attack must beat, not an attack"))
    else:
        missed = int((outcome.floor & ~outcome.attacked).sum())
        if missed:
            counted = "counted" if outcome.ladder.cascade else "not counted"
            facts.append(Fact(name=f"rows that only noise broke ({counted})", value=missed))
    return facts


def _figure(outcome: Outcome, data: Dataset, rightly: IntArray, *, level: float, seed: int) -> Figure:
    """Accuracy clean, under noise, and after each rung, with bounds."""
    stages = [("clean", np.zeros(len(rightly), dtype=bool))]
    if outcome.ladder.floor is not None:
        stages.append(("noise floor", outcome.floor))
    gone = outcome.floor.copy() if outcome.ladder.cascade else np.zeros(len(rightly), dtype=bool)
    for rung, broken in zip(outcome.ladder.rungs, outcome.broken_by, strict=True):
        gone = gone | broken
        stages.append((title(rung), gone))
    intervals = []
    for _, lost in stages:
        hits = np.zeros(len(data), dtype=bool)
        hits[rightly] = ~lost
        intervals.append(share_interval(hits, data, level=level, seed=seed))
    return Figure(
        kind="bar",
        title="Accuracy under attack",
        x_title="attack",
        y_title="accuracy",
        columns=(
            Series(name="x", values=tuple(name for name, _ in stages)),
            Series(name="y", values=tuple(interval.value for interval in intervals)),
            Series(name="lower", values=tuple(interval.lower for interval in intervals)),
            Series(name="upper", values=tuple(interval.upper for interval in intervals)),
        ),
        note=f"{_LOSS} {_budget(outcome, data)}; whiskers are one-sided {level:.0%} bounds",
    )
