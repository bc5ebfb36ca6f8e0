"""Which attacks push an output, and what each of them reached; every one is tried on all rows."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.apgd import APGD
from robust.attacks.base import Attack, adversarial_rows, require_budget
from robust.attacks.fgsm import FGSM
from robust.attacks.linear_exact import linear_scores
from robust.attacks.noise import RandomNoise
from robust.attacks.output_plateaus import FromEdges, flat_at
from robust.attacks.output_slopes import differenced, few_features
from robust.attacks.output_target import OutputTarget
from robust.attacks.output_trees import TreeOutput, regression_trees
from robust.attacks.pgd import PGD
from robust.attacks.projection import Space, space_of
from robust.attacks.random_search import RandomSearch
from robust.attacks.rungs import FLOOR_DRAWS
from robust.attacks.square import Square
from robust.attacks.strengths import Strength
from robust.data.budget import Eps, feature_eps
from robust.predicting.metering import metered
from robust.types import AnyArray, FloatArray, Norm

# Forward passes a row of a search that sees outputs alone; steps and starts along gradients, and steps along measured
# slopes. Large budgets have many local maxima: what starts buy there, steps do not.
_QUERIES: dict[Strength, int] = {"quick": 100, "standard": 300, "thorough": 2000}
_CLIMBS: dict[Strength, tuple[int, int]] = {"quick": (20, 1), "standard": (40, 4), "thorough": (100, 10)}
_STEPS: dict[Strength, int] = {"quick": 5, "standard": 15, "thorough": 40}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pushed:
    """How far the attacks pushed one output one way.

    Args:
        target: Output, way and rows.
        rungs: The attacks, in turn.
        reached: How far each of them pushed it (rungs, n), at least 0.
        floor: How far noise did (n,).
        rows: The rows that moved it farthest, noise included (n, d).
        passes: For each rung, forward and backward passes, in rows.
    """

    target: OutputTarget
    rungs: tuple[Attack, ...]
    reached: FloatArray
    floor: FloatArray
    rows: AnyArray
    passes: tuple[tuple[int, int], ...]

    @property
    def attacked(self) -> FloatArray:
        """The farthest that an attack pushed it (n,)."""
        return np.asarray(self.reached.max(axis=0))

    @property
    def farthest(self) -> FloatArray:
        """The farthest that anything pushed it (n,)."""
        return np.maximum(self.attacked, self.floor)


def output_rungs(target: OutputTarget, *, eps: Eps, norm: Norm, strength: Strength) -> tuple[Attack, ...]:
    """The attacks that a strength stands for.

    Linear models: the optimum along their gradient, which is exact. Other models with gradients: FGSM and APGD, 20
    steps from one start, 40 from four, or 100 from ten, and where rows have no gradient also from the edge of their
    plateau; `thorough`, and `standard` for few features, add a search that sees outputs alone. Tree ensembles: their
    leaves. The rest: that search and, with few features, APGD along measured slopes. Where features move by steps or
    are bound to each other, the search always takes part.

    Args:
        target: Output and rows.
        eps: The budget.
        norm: Its norm.
        strength: `quick`, `standard` or `thorough`.

    Returns:
        The attacks, cheap to strong.
    """
    model, space = target.caller.model, push_space(target, eps, norm)
    search = black_box(target, eps, norm, queries=_QUERIES[strength])
    also: tuple[Attack, ...] = (search,) if is_odd(target, space) else ()
    if linear_scores(model) is not None:
        return (PGD(eps=eps, norm=norm, steps=1, random_start=False), *also)
    if model.gradients is not None:
        steps, starts = _CLIMBS[strength]
        edges = (FromEdges(eps=eps, norm=norm),) if bool(flat_at(target, target.x).any()) else ()
        climb = APGD(eps=eps, norm=norm, loss="margin", steps=steps, restarts=starts)
        # Beside several starts, a search finds what these miss in every twentieth row; of few features it is cheap.
        if strength == "thorough" or (strength == "standard" and few_features(space)):
            also = (search,)
        return (*also, FGSM(eps=eps, norm=norm), *edges, climb)
    if regression_trees(model) is not None:
        # Calls of forests are dear, and leaves tell more than a search: it is a second opinion.
        second = (black_box(target, eps, norm, queries=_QUERIES["standard"]),) if strength == "thorough" else ()
        return (*second, TreeOutput(eps=eps, norm=norm))
    if few_features(space):
        return (search, FGSM(eps=eps, norm=norm), APGD(eps=eps, norm=norm, loss="margin", steps=_STEPS[strength]))
    return (search,)


def push_space(target: OutputTarget, eps: Eps, norm: Norm) -> Space:
    """Where rows may go."""
    schema = target.data.schema
    return space_of(schema, target.x.dtype, eps=feature_eps(eps, schema), norm=norm)


def is_odd(target: OutputTarget, space: Space) -> bool:
    """Whether features move by steps, jump, or are bound to each other."""
    schema = target.data.schema
    return bool(space.steps.any() or schema.mask("one_hot", "categorical").any() or schema.relations)


def black_box(target: OutputTarget, eps: Eps, norm: Norm, *, queries: int) -> Attack:
    """A search that sees outputs alone: of tables feature by feature, of images and series block by block."""
    if len(target.data.schema.shape) == 1 or is_odd(target, push_space(target, eps, norm)):
        return RandomSearch(eps=eps, norm=norm, queries=queries)
    return Square(eps=eps, norm=norm, queries=queries)


def pushed_rows(attack: Attack, target: OutputTarget, *, seed: int) -> tuple[AnyArray, FloatArray]:
    """Run one attack; rows (n, d) that obey budget and schema, and how far the model, asked afresh, says they moved."""
    aimed = target
    if attack.gradients and target.caller.model.gradients is None:
        aimed = differenced(target, push_space(target, require_budget(attack), attack.norm))
    rows = adversarial_rows(attack, aimed, seed=seed)
    moved = np.any((rows != target.x) & ~np.isnan(rows), axis=1)
    return rows, np.where(moved, np.maximum(target.changes(rows), 0.0), 0.0)


def push(target: OutputTarget, rungs: tuple[Attack, ...], *, seed: int) -> Pushed:
    """Run noise and attacks on all rows.

    Args:
        target: Output and way.
        rungs: Attacks of one budget.
        seed: Seed of whatever is random.

    Returns:
        What they reached.
    """
    noise = RandomNoise(eps=require_budget(rungs[0]), norm=rungs[0].norm, draws=FLOOR_DRAWS)
    rows, floor = pushed_rows(noise, target, seed=seed)
    rows, best = rows.copy(), floor.copy()
    reached, passes = [], []
    for rung in rungs:
        with metered() as meter:
            found, change = pushed_rows(rung, target, seed=seed)
        better = change > best
        rows[better], best[better] = found[better], change[better]
        reached.append(change)
        passes.append((meter.forward_rows, meter.backward_rows))
    rows[best == 0] = target.x[best == 0]
    return Pushed(target=target, rungs=rungs, reached=np.array(reached), floor=floor, rows=rows, passes=tuple(passes))
