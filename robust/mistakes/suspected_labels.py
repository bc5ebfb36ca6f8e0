"""Labels that look wrong, because the model is confident of another class."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Finding, RowId, Rows, SelfCheck
from robust.intervals.arguments import check_level, check_whole
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.confusions import label_matrix_figure
from robust.measures.details import row_ids
from robust.measures.row_contents import row_contents
from robust.measures.row_means import share_interval
from robust.mistakes.confident_joint import ConfidentJoint, confident_joint, normalized_margin
from robust.mistakes.wrong_rows import Judged, judge_rows
from robust.predicting.metering import metered
from robust.types import BoolArray, FloatArray, IntArray

_LISTED = 10
_NAMED = 3
#: A share of right rows from which on a model has perhaps seen the labels that it is asked to judge.
_MEMORISED = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectedLabel:
    """One row whose label looks wrong.

    Args:
        id: Its id.
        label: The given label.
        suggested: The class that the model is confident of.
        margin: Probability of the given label less that of the most probable other class; negative.
    """

    id: RowId
    label: str
    suggested: str
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelErrors(Measurement):
    """The share of suspected labels, a measurement that also lists them.

    Args:
        suspects: The suspected rows, the most suspect first.
        noise: Estimated share of rows with a wrong label, from the calibrated confident joint.
    """

    suspects: tuple[SuspectedLabel, ...]
    noise: float


def label_errors(model: Any, data: Any, *, train: Any = None, level: float = 0.95, seed: int = 0) -> LabelErrors:
    """Share of rows whose label a confident model contradicts: candidates for a second look, not proven errors.

    A row labelled j is suspected where another class l reaches its threshold t_l, the mean probability of l over the
    rows labelled l, and is the most probable of those that do (confident learning). Suspects are ranked by the
    normalised margin p_j − max_{l≠j} p_l. A class that no row is labelled with takes the mean of the other thresholds.

    Few right labels are suspected, at the price of wrong ones that are missed: of 5 % planted in the handwritten digits
    of scikit-learn, under a forest, 6 of 10 are found, without a false alarm; `.noise` estimates how many there are.

    The figure says how many labels to look at, and no more: a wrong model suspects right labels, and a gate on it
    judges model and labels together. It works only with probabilities for rows that the model was not trained on: a
    model that memorised a wrong label is confident of it.

    Args:
        model: A classifier that `as_model` takes, with probabilities or logits, not trained on these rows.
        data: Anything `as_data` takes, with targets.
        train: The rows that the model was trained on, so that shared rows are noticed; None where unknown.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap for rows that depend on each other.

    Returns:
        A share in [0, 1], lower is better, with `.suspects` and `.noise`. Bounds are those of a share, with the
        thresholds taken as given. If rows of `data` are among the training rows a self-check fails: the share can only
        be too low. So it can where the model says of rows that they are of a class that no row is labelled with: its
        threshold is not known, only assumed.

    Raises:
        InvalidInput: If the model gives labels only, is no classifier, or gives several labels a row.
        ModelFault: If the model breaks its contract.

    Source: Northcutt, Jiang and Chuang (2021), Journal of Artificial Intelligence Research 70:1373.

    >>> from robust.models.conversion import as_model
    >>> net = as_model(lambda x: np.hstack([1 - x, x]), output="probabilities")
    >>> found = label_errors(net, (np.array([[0.1], [0.2], [0.7], [0.9], [0.15]]), [0, 0, 1, 1, 1]))
    >>> found.value, [(row.id, row.label, row.suggested) for row in found.suspects]
    (0.2, [(4, '1', '0')])
    """
    level, seed = check_level(level), check_whole("seed", seed, least=0)
    with metered() as meter:
        judged = judge_rows(model, data, one_label="a suspected label")
        if not judged.has_scores:
            raise InvalidInput(f"{judged.model.name} gives labels only; suspected labels need probabilities or logits")
        rows, labels = judged.data, np.asarray(judged.scored.truth)
        probabilities = judged.scored.predictions.probabilities
        joint = confident_joint(labels, probabilities)
        suspected = (joint.guess >= 0) & (joint.guess != labels)
        found = np.flatnonzero(suspected)
        margins = normalized_margin(labels[found], probabilities[found])
        order = np.argsort(margins, kind="stable")
        found, margins = found[order], margins[order]
        suspects = _listed(judged, joint, found, margins)
        measured = assemble(
            share_interval(suspected, rows, level=level, seed=seed),
            name="label_errors",
            unit="share",
            higher_is_better=False,
            models=(judged.model,),
            data=rows,
            meter=meter,
            seed=seed,
            evidence=_evidence(judged, joint, suspects, margins, trained=train is not None),
            validity=(*_checks(rows, train, judged.wrong), *_unlabelled(judged, labels)),
        )
    base = {field.name: getattr(measured, field.name) for field in fields(Measurement)}
    return LabelErrors(**base, suspects=suspects, noise=joint.noise)


def _listed(judged: Judged, joint: ConfidentJoint, found: IntArray, margins: FloatArray) -> tuple[SuspectedLabel, ...]:
    classes = judged.scored.predictions.classes
    return tuple(
        SuspectedLabel(
            id=row_id,
            label=str(classes[judged.scored.truth[i]]),
            suggested=str(classes[joint.guess[i]]),
            margin=float(margin),
        )
        for i, row_id, margin in zip(found, row_ids(judged.data, found), margins, strict=True)
    )


def _checks(rows: Dataset, train: Any, wrong: BoolArray) -> tuple[SelfCheck, ...]:
    """Whether the model can have learnt the labels that it judges."""
    if train is not None:
        seen = as_data(train, name="train")
        shared = row_contents(seen).shared(rows)
        return (
            SelfCheck(
                name="labels not seen in training",
                passed=shared == 0,
                reason=f"no row of {rows.name} is among those of {seen.name}"
                if shared == 0
                else f"{shared} of {len(rows)} rows of {rows.name} are among those of {seen.name}, on which the model "
                "was trained: it may have memorised their labels, wrong ones too; use cross-validated predictions",
                bias="lowers",
            ),
        )
    memorised = len(wrong) >= 100 and float(1.0 - wrong.mean()) >= _MEMORISED
    return (
        SelfCheck(
            name="labels not seen in training",
            passed=not memorised,
            reason=f"{_all_but(int(wrong.sum()))} rows of {rows.name} are predicted as labelled: the model was perhaps "
            "trained on them, and then it repeats wrong labels too; give train= to make sure"
            if memorised
            else "not known: the training rows were not given (train=)",
            bias="none",
        ),
    )


def _all_but(wrong: int) -> str:
    return "all" if not wrong else f"all but {wrong} of the"


def _unlabelled(judged: Judged, labels: IntArray) -> tuple[SelfCheck, ...]:
    """Whether rows look like classes that no row is labelled with, whose thresholds are assumed."""
    scores, classes = judged.scored.predictions.probabilities, judged.scored.predictions.classes
    absent = np.bincount(labels, minlength=len(classes)) == 0
    if not absent.any():
        return ()
    taken = np.bincount(scores.argmax(axis=1), minlength=len(classes)) * absent
    names = ", ".join(str(classes[c]) for c in np.argsort(-taken, kind="stable")[: int((taken > 0).sum())][:_NAMED])
    more = f" and {int((taken > 0).sum()) - _NAMED} other classes" if (taken > 0).sum() > _NAMED else ""
    rows = "1 row is" if taken.sum() == 1 else f"{taken.sum()} rows are"
    return (
        SelfCheck(
            name="labelled rows of each class",
            passed=not taken.any(),
            reason=f"{rows} most probably {names}{more}, which no row is labelled: its threshold is not known, and the "
            "mean of the others, which it is given, may miss wrong labels"
            if taken.any()
            else f"{int(absent.sum())} of {len(absent)} classes have no labelled rows, and no row looks like them",
            bias="lowers",
        ),
    )


def _evidence(
    judged: Judged, joint: ConfidentJoint, suspects: Sequence[SuspectedLabel], margins: FloatArray, *, trained: bool
) -> tuple[Evidence, ...]:
    shown = suspects[:_LISTED]
    facts: list[Evidence] = [
        Fact(name="estimated share of wrong labels", value=float(f"{joint.noise:.4g}")),
        Fact(name="what it means", value="labels to look at; a gate on this share judges model and labels together"),
    ]
    if not trained:
        facts.append(Fact(name="training rows", value="not given: that the model has not seen these rows is assumed"))
    if not suspects:
        return tuple(facts)
    first = suspects[0]
    of = len(judged.data)
    return (
        Finding(
            text=f"{len(suspects)} of {of} labels look wrong, first that of row {first.id}: labelled {first.label}, "
            f"the model is confident of {first.suggested}"
        ),
        Rows(
            what="suspected labels (given → suggested): " + ", ".join(f"{s.label} → {s.suggested}" for s in shown),
            ids=tuple(s.id for s in shown),
            values=tuple(float(f"{margin:.4g}") for margin in margins[:_LISTED]),
            total=len(suspects),
        ),
        *facts,
        _figure(judged, joint),
    )


def _figure(judged: Judged, joint: ConfidentJoint) -> Figure:
    """Suspected rows by given and suggested label, over the classes with the most of them."""
    names = tuple(str(label) for label in judged.scored.predictions.classes)
    off = joint.counts - np.diag(np.diag(joint.counts))
    return label_matrix_figure(
        off, names, title="Suspected labels", x_title="suggested", y_title="given label", most="the most"
    )
