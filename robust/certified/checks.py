"""The bracket in the catalogue: what is proved beside what an attack left, on the same rows and budget."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from msgspec import structs

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.checks import default_eps
from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.bracketing import BrokenProof, bracket
from robust.certified.unsupported import Unsupported
from robust.check import Check, Subject
from robust.data.budget import Eps
from robust.errors import Inapplicable
from robust.evidence import Evidence, Fact, SelfCheck
from robust.measurement import Measurement
from robust.measures.details import sampled


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedAccuracyOptions:
    """What a gate on certified accuracy may set.

    Args:
        eps: Budget in the data's units, one number or numbers by feature; None for 3 % of a bounded feature's
            range, and a tenth of an unbounded one's standard deviation.
        norm: `linf`, `l2` or `l1`.
        method: `interval`, `linear`, or None for the former and then the latter.
        strength: Of the attack at the upper end: `quick`, `standard` or `thorough`.
        rows: Rows at most, evenly spaced: a proof takes much longer than a prediction.
    """

    eps: float | dict[str, float] | None = None
    norm: Literal["linf", "l2", "l1"] = "linf"
    method: Literal["interval", "linear"] | None = None
    strength: Literal["quick", "standard", "thorough"] = "standard"
    rows: int = 256


def _run(subject: Subject, options: CertifiedAccuracyOptions) -> Measurement:
    """Prove what can be proved, attack the same rows, and put the two around the truth."""
    n, most = len(subject.test), max(options.rows, 1)
    data = subject.test if n <= most else subject.test.rows(sampled(n, most))
    eps: Eps = default_eps(subject.test) if options.eps is None else options.eps
    if isinstance(eps, Mapping):
        eps = dict(eps)
    level, seed = subject.level, subject.seed
    try:
        certified = certified_accuracy(
            subject.model, data, eps=eps, norm=options.norm, method=options.method, level=level, seed=seed
        )
    except Unsupported as error:
        raise Inapplicable(
            "needs a candidate that bounds are known of: a feed-forward or convolutional ReLU network of torch or ONNX "
            f"in floating point, a linear model or trees of scikit-learn; {error.part.rstrip(',')} has none here"
        ) from error
    borrowed = subject.model.gradients is None and subject.surrogate is not None
    attacked = robust_accuracy(
        subject.model,
        data,
        eps=eps,
        norm=options.norm,
        strength=options.strength,
        surrogate=subject.surrogate if borrowed else None,
        level=level,
        seed=seed,
    )
    taken = (Fact(name="rows taken", value=f"{len(data)} of {n}, evenly spaced"),) if len(data) < n else ()
    return _bracketed(certified, attacked, taken)


def _bracketed(certified: Measurement, attacked: Measurement, facts: tuple[Fact, ...]) -> Measurement:
    """The certified accuracy with the bracket among its evidence; invalid where the two ends contradict each other."""
    cost = certified.provenance.cost + attacked.provenance.cost
    made = replace(certified, provenance=structs.replace(certified.provenance, cost=cost))
    try:
        found = bracket(certified, attacked)
    except BrokenProof as error:
        broken = SelfCheck(name="bracket", passed=False, reason=str(error), bias="either")
        return replace(made, evidence=(*facts, *certified.evidence), validity=(*certified.validity, broken))
    doubts = [check for check in attacked.validity if not check.passed and check.bias in ("raises", "either")]
    told: list[Evidence] = [Fact(name="accuracy that an attack left", value=round(attacked.value, 4))]
    told += [Fact(name="the attacked end may be too high", value=f"{check.name}: {check.reason}") for check in doubts]
    holds = SelfCheck(name="bracket", passed=True, reason="no row is both proved and broken", bias="either")
    return replace(
        made,
        evidence=(*found.facts, *facts, *told, found.figure, *certified.evidence),
        validity=(*certified.validity, holds),
    )


CHECKS = (
    Check(
        code="ATK020",
        name="certified_accuracy",
        title="accuracy proved, beside what an attack left",
        measure=certified_accuracy,
        run=_run,
        options=CertifiedAccuracyOptions,
        needs=frozenset({"targets", "classification"}),
        reach=(0.0, 1.0),
        why="An attack that finds nothing proves nothing. What is proved is a lower end, what an attack left an upper "
        "one: the accuracy under the worst change lies between the two. It takes a ReLU network in floating point, a "
        "linear model or trees.",
        remedy="A wide gap means that neither end is tight: look at the rows that are neither proved nor broken, and "
        'attack them harder (strength = "thorough"). Networks that were trained on adversarial rows, with fewer and '
        "smaller weights, are proved on more rows.",
    ),
)
