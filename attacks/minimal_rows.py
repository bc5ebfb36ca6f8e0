"""The minimal perturbation: how small a change breaks half of the rows."""

from functools import partial

import numpy as np

from robust.attacks.ddn import DDN
from robust.attacks.fmn import FMN
from robust.attacks.keeping import by_blocks, resumable
from robust.attacks.minimal_checks import noise_below, self_checks
from robust.attacks.minimal_evidence import Search, minimal_evidence
from robust.attacks.minimal_linear import LinearStep
from robust.attacks.minimal_median import median_of_norms
from robust.attacks.minimal_norm import MinimalNorm, norm_space, verified
from robust.attacks.minimal_sizes import sizes_of
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.projection import Space
from robust.attacks.row_bounds import RowsMeasurement, assemble_rows
from robust.attacks.target import Target, aim, classified
from robust.attacks.unanswered import clean_evidence
from robust.data.budget import Eps, read_norm
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.models.base import require_gradients
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.types import AnyArray


def minimal_perturbation(
    model: object,
    data: object,
    *,
    norm: str = "l2",
    units: Eps | None = None,
    attack: MinimalNorm | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> RowsMeasurement:
    """Measure the smallest change that breaks a row: its median over the rows.

    median_i ‖x'_i − x_i‖, x'_i the nearest row inside the schema that an attack found and that the model gets wrong; 0
    for rows that are wrong already, inf where none was found

    It is an upper bound of the true median: an attack finds changes, it cannot prove that there is no smaller one.
    Without an attack, a step of the linearised model to each of the nearest classes is tried, then `DDN` in l2, `FMN`
    in linf and l1; the smallest of what they, and random noise, find counts.

    Args:
        model: A classifier with gradients, or what `as_model` takes.
        data: Rows with true labels, or what `as_data` takes.
        norm: `linf`, `l2` or `l1`: the norm of the change, in the data's own units.
        units: What a change of each feature is worth, by name, e.g. `{"age": 10, "dose": 0.5}`: the change is then
            measured as ‖(δ_j/unit_j)‖, and other features stay.
        attack: A minimal-norm attack in place of the cascade, with its own norm, and its eps as units: `DDN()`,
            `FMN(…)` or `DeepFool(…)`.
        level: Confidence of each one-sided bound, in (0.5, 1).
        seed: Seed of whatever is random.

    Returns:
        The median, at least 0, higher is better, in the data's units or those of eps; bounds are order statistics
        (Thompson 1936). `rows` has the norm of each row. Self-checks that fail (masked gradients, an attack that noise
        beats, …) make a pass INVALID.

    Raises:
        InvalidInput: If the model gives no gradients or is no classifier of these labels, the attack is no minimal-norm
            attack or has another norm, units are one number, or data lies outside its bounds.

    Source:
        Moosavi-Dezfooli, Fawzi and Frossard (2016), equation 2, with the median for the mean; Rony et al. (2019);
        Pintor et al. (2021).

    >>> rows = np.array([[-3.0], [-0.5], [0.5], [3.0], [1.0]])
    >>> def logits(x): return np.hstack([-x, x])
    >>> def gradients(x, cotangent): return logits(x), cotangent(logits(x)) @ [[-1.0], [1.0]]
    >>> line = as_model(logits, gradients=gradients, output="logits", name="line")
    >>> m = minimal_perturbation(line, (rows, [0, 0, 1, 1, 1]))
    >>> round(m.value, 3), m.rows.round(2).tolist()  # the way of each row to 0
    (1.0, [3.0, 0.5, 0.5, 3.0, 1.0])
    """
    rungs = _rungs(norm, units, attack)
    model, data = as_model(model), as_data(data)
    with metered() as meter, resumable():
        model = with_own_gradients(model, data, wanted=True)
        require_gradients(model)
        target = aim(model, data, predictions=classified(model, data))
        clean = target.scores(target.x, keep=True)
        right = ~target.wrong(clean, slice(None))
        norms = np.zeros(len(data))
        search: Search | None = None
        checks: tuple[SelfCheck, ...] = ()
        part = target.part(right) if right.any() else None
        if part is not None:
            search, checks = _searched(rungs, part, seed=seed)
            norms[right] = search.least
        found = median_of_norms(norms, data, level=level, seed=seed)
        return assemble_rows(
            found,
            norms,
            name="minimal_perturbation",
            unit=_unit(rungs[-1]),
            higher_is_better=True,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            options={"attack": attack if attack is not None else rungs},
            evidence=(
                *clean_evidence(target, clean),
                *minimal_evidence(search, part, data, norms, right, found.value, meter),
            ),
            validity=checks,
            reach=(0.0, np.inf),
        )


def _rungs(norm: str, units: Eps | None, attack: MinimalNorm | None) -> tuple[MinimalNorm, ...]:
    """The attacks to run."""
    known = read_norm(norm)
    if attack is None:
        found = LinearStep(norm=known, eps=units), DDN(eps=units) if known == "l2" else FMN(norm=known, eps=units)
        if isinstance(found[0].eps, float):
            raise InvalidInput(f"units got {units!r}; worths by feature would be right: {{'age': 10}}")
        return found
    if units is not None:
        raise InvalidInput(f"units got {units!r}, but {attack!r} has its own: its eps would be right")
    if not isinstance(attack, MinimalNorm):
        raise InvalidInput(
            f"attack got {attack!r}; a minimal-norm attack such as DDN() or FMN(norm='linf') would be right"
        )
    if isinstance(attack.eps, float):
        raise InvalidInput(
            f"{attack!r} has a budget, but the smallest change has none; leaving eps out, or units by feature name "
            "such as eps={'age': 10, 'dose': 0.5}, would be right"
        )
    if norm not in ("l2", attack.norm):
        raise InvalidInput(f"norm got {norm!r}, but {attack!r} has its own; leaving norm out would be right")
    return (attack,)


def _searched(rungs: tuple[MinimalNorm, ...], target: Target, *, seed: int) -> tuple[Search, tuple[SelfCheck, ...]]:
    """Run the rungs and noise on rows that are right, and check them."""
    space, norms = norm_space(rungs[-1], target), []
    least = np.full(len(target), np.inf)
    for rung in rungs:
        rows = by_blocks(target, type(rung).__name__, run=partial(_verified, rung, space, seed))
        broken = np.any((rows != target.x) & ~np.isnan(rows), axis=1)
        least = np.minimum(least, np.where(broken, sizes_of(space, target.x, rows), np.inf))
        norms.append(least)
    drawn = noise_below(target, space, least, seed=seed)
    sizes = sizes_of(space, target.x, drawn)
    lucky = sizes > 0
    search = Search(
        rungs=rungs, norms=np.array(norms), lucky=lucky, least=np.where(lucky, np.minimum(sizes, least), least)
    )
    return search, self_checks(rungs, target, space, least, lucky, seed=seed)


def _verified(rung: MinimalNorm, space: Space, seed: int, part: Target) -> AnyArray:
    """What an attack found for some of the rows."""
    return verified(rung, part, space, seed=seed)[0]


def _unit(attack: MinimalNorm) -> str:
    """What the norm is counted in."""
    return f"{attack.norm} norm" if attack.eps is None else f"{attack.norm} norm in units of eps"
