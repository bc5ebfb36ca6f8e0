"""Randomised smoothing: certifies the majority vote of a classifier under Gaussian noise, not itself."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from robust.certified.noisy_votes import count_hits, hits_needed, radius_needed
from robust.certified.true_classes import true_classes
from robust.data.budget import Eps, every_eps, read_norm, require_eps
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Rows, SelfCheck, Values
from robust.intervals.arguments import check_whole
from robust.intervals.interval import Interval, Sizing
from robust.limits import is_number
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.details import row_ids
from robust.measures.row_means import share_interval
from robust.measures.unanswered import clean_silence
from robust.models.conversion import as_model
from robust.predicting.answered import predict_answered
from robust.predicting.calling import bind
from robust.predicting.metering import metered
from robust.types import BoolArray, FloatArray, Norm

_MOST_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedSizing:
    """Bounds of a share of rows of which some may be certified wrongly, at another n.

    Args:
        sizing: How the bounds of the share move.
        alpha: Chance that a row is certified wrongly.
    """

    sizing: Sizing
    alpha: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        lower, upper = self.sizing.at(n)
        return corrected(lower, self.alpha), upper


def smoothed_accuracy(
    model: object,
    data: object,
    *,
    eps: Eps,
    norm: str = "l2",
    sigma: Eps | None = None,
    draws: int = 1000,
    alpha: float = 0.001,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Measure the share of rows that the *smoothed* model provably gets right for every change within eps.

    g(x) = the class that f(x + ν) gives most often, ν ~ N(0, σ²): where it gives the true class with probability p,
    g is right for every change of l2 norm below σ Φ⁻¹(p)

    It certifies g, which answers by majority over noisy copies, and says nothing about f, which answers once: only who
    deploys g may rely on it. Each row's p is bounded from below by Clopper-Pearson's bound of `draws` draws at level
    1 − alpha; a row whose bound does not reach what eps needs is not certified, and so is one that g abstains on or
    gets wrong. A row is certified wrongly with a chance of at most alpha. Let c be the true share of rows that g
    holds, and q the chance that a random row is certified: q ≤ c + (1 − c) alpha, so c ≥ (q − alpha)/(1 − alpha).
    Draws that the model does not answer count as wrong.
    Rows and their noise are drawn independently, so that the Clopper-Pearson bound of q holds at `level`, and that of
    c is made of it: no Bonferroni correction is needed. The noise is not clipped to the schema's bounds; features
    that may not move get none.

    Args:
        model: Any classifier, or what `as_model` takes.
        data: Rows with true labels, or what `as_data` takes.
        eps: A budget in the data's units: a number, or numbers by feature name (the others stay).
        norm: Norm of `eps`: `l2`; `linf` and `l1` by the l2 norm that such a change can have (Σ (eps_j/σ_j)² for linf).
        sigma: Standard deviation of the noise, in the data's units: a number, or numbers by name. None takes eps, for
            linf eps·√(number of features that may move): a row then needs p > Φ(1) = 0.84.
        draws: Draws a row.
        alpha: Chance that a row is certified wrongly, in (0, 0.5).
        level: Confidence of each one-sided bound, in (0.5, 1).
        seed: Seed of the noise; a row's noise depends on its id alone, not on its neighbours.

    Returns:
        The share certified, in [0, 1], higher is better, with the bounds above; where rows depend on each other, q is
        bounded by a bootstrap.

    Raises:
        InvalidInput: On a budget, noise or chance that is none, data outside its bounds, or a model that is no
            classifier of these labels.

    Source:
        Cohen, Rosenfeld and Kolter (2019), theorem 1 and section 3.2.2.

    >>> rows = np.array([[-3.0], [-0.5], [0.5], [3.0]])
    >>> sign = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
    >>> m = smoothed_accuracy(sign, (rows, [0, 0, 1, 1]), eps=1.0, sigma=1.0)
    >>> m.value, m.n  # Φ(3) > Φ(1) > Φ(0.5)
    (0.5, 4)
    """
    budget, ball = require_eps(eps), read_norm(norm)
    draws = check_whole("draws", draws, least=1)
    if not is_number(alpha) or not 0.0 < float(alpha) < 0.5:
        raise InvalidInput(f"alpha got {alpha!r}; a chance above 0 and below 0.5, such as 0.001, would be right")
    noise = None if sigma is None else require_eps(sigma, name="sigma")
    model, data = as_model(model), as_data(data)
    with metered() as meter:
        predictions, answered = predict_answered(model, data)
        y, caller = true_classes(predictions, data), bind(model, data.schema)
        axes = every_eps(budget, data.schema)
        spread = _spread(axes, noise, data, norm=ball)
        needed = float(ndtr(radius_needed(axes, spread, norm=ball)))
        hits = hits_needed(needed, draws, alpha)
        certified = np.zeros(len(data), dtype=bool)
        if hits <= draws:
            lenient = replace(caller, lenient=True)
            certified, _ = count_hits(lenient, data, predictions, y, spread, draws, hits, seed=seed)
        interval = _with_errors(share_interval(certified, data, level=level, seed=seed), alpha)
        clean = np.zeros(len(data), dtype=bool)
        clean[answered] = predictions.labels == y[answered]
        return assemble(
            interval,
            name="smoothed_certified_accuracy",
            unit="share",
            higher_is_better=True,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            options={
                "eps": budget,
                "norm": ball,
                "method": "smoothing",
                "sigma": noise,
                "draws": draws,
                "alpha": alpha,
            },
            evidence=(
                *clean_silence(caller, data, ~answered, counted="wrong"),
                *_evidence(certified, clean, data, hits=hits, draws=draws, alpha=alpha, level=level),
            ),
            validity=(_room(axes), _reachable(hits, draws, needed)),
            row_values=certified.astype(np.float64),
        )


def corrected(share: float, alpha: float) -> float:
    """The share of rows that hold, from a share of rows certified of which each may be wrong: (q − α)/(1 − α).

    >>> corrected(0.625, 0.25)
    0.5
    """
    return min(share, max(0.0, (share - alpha) / (1.0 - alpha)))


def _with_errors(interval: Interval, alpha: float) -> Interval:
    """The interval with a lower bound that allows for rows that are certified wrongly."""
    return Interval(
        value=interval.value,
        lower=corrected(interval.lower, alpha),
        upper=interval.upper,
        level=interval.level,
        n=interval.n,
        method=f"{interval.method}, certificates at alpha",
        sizing=CorrectedSizing(sizing=interval.sizing, alpha=alpha),
        notes=interval.notes,
    )


def _spread(axes: FloatArray, noise: Eps | None, data: Dataset, *, norm: Norm) -> FloatArray:
    """Standard deviation of each feature's noise (d,)."""
    moves = axes > 0
    if noise is None:
        return axes * (np.sqrt(moves.sum()) if norm == "linf" else 1.0)
    spread = np.where(moves, every_eps(noise, data.schema), 0.0)
    still = np.flatnonzero(moves & (spread <= 0))
    if len(still):
        name = data.schema.names[still[0]]
        raise InvalidInput(
            f"sigma got {noise!r}, which gives {name!r} no noise, but eps lets it move: no noise, no proof"
        )
    return spread


def _evidence(
    certified: BoolArray,
    clean: BoolArray,
    data: Dataset,
    *,
    hits: int,
    draws: int,
    alpha: float,
    level: float,
) -> tuple[Evidence, ...]:
    """What was certified, and of whom."""
    meaning = (
        "it is the smoothed model that is certified, the majority vote over noisy copies of a row; nothing is proved "
        "of the model itself, which answers once"
    )
    missed = np.flatnonzero(clean & ~certified)[:_MOST_ROWS]
    return (
        Values(
            metric="accuracy",
            reference=float(clean.mean()),
            candidate=float(certified.mean()),
            names=("the model itself", "smoothed and certified"),
        ),
        Fact(name="what a pass means", value=meaning),
        Fact(name="draws a row must get right", value=f"{hits} of {draws}"),
        Fact(
            name="what the lower bound allows for",
            value=f"each row is certified wrongly with a chance of at most {alpha:g}; the bound (q − α)/(1 − α) of the "
            f"share q certified holds at {level:.0%}",
        ),
        Rows(
            what="rows that the model gets right, and that are not certified",
            ids=row_ids(data, missed),
            total=int((clean & ~certified).sum()),
        ),
    )


def _room(axes: FloatArray) -> SelfCheck:
    moves = bool((axes > 0).any())
    reason = "budget and schema let features move" if moves else "budget and schema let no feature move"
    return SelfCheck(name="room to move", passed=moves, reason=reason, bias="raises")


def _reachable(hits: int, draws: int, needed: float) -> SelfCheck:
    """Whether any row could be certified with so many draws."""
    if hits <= draws:
        return SelfCheck(name="draws", passed=True, reason=f"{draws} draws can certify a row", bias="lowers")
    reason = f"no row can be certified: a chance above {needed:.6g} is needed, more draws or more noise can show it"
    return SelfCheck(name="draws", passed=False, reason=reason, bias="lowers")
