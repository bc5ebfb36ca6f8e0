"""Transfer from a network that is fitted to what the model answers: gradients for models that give none."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.apgd import APGD
from robust.attacks.balls import ball_around, numbers_a_row
from robust.attacks.base import Attack
from robust.attacks.fitted_network import FittedNetwork, Learner
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.projection import Space
from robust.attacks.repeated import Askings
from robust.attacks.target import Target, unanswered
from robust.attacks.unlimited import sampled
from robust.data.budget import Eps
from robust.predicting.calling import bind
from robust.predicting.metering import uncounted
from robust.randomness import row_uniform
from robust.types import AnyArray, FloatArray, Norm

_STREAM = 9 << 32
# Points are drawn from balls of these many budgets, around rows and around points on the way to other rows, up to so
# far; of five points, two lie around rows.
_WIDTHS = (0.5, 1.0, 2.0)
_FAR, _ROWS = 0.6, 0.4
# Points that a network is fitted to, at most, and numbers in them: of many rows, a sample teaches it, with so many
# points each at least.
_POINTS, _CELLS, _EACH = 1 << 15, 1 << 24, 20
# Passes over all points before the network is attacked, each time anew; of the points of a row, half are drawn before,
# half from balls of this share of the budget around where the attack has led.
_EPOCHS, _CLOSE = (20, 5, 5, 5, 5, 5, 5, 5), 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute(Attack):
    """APGD on a network that is fitted to the model's own labels, at points around and between the rows.

    x' = argmax of the network's margin loss in the ball, judged by the model

    It sees labels alone, so it serves every model; scores that saturate, round or are decisions themselves hide nothing
    from it. It learns from all rows together: what it finds for one depends on the others. Rows with missing values are
    not fitted to.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        queries: Points drawn a row, at most, which the model labels; the row itself and up to eight candidates come on
            top.
        steps: Gradient steps on the network.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Papernot, McDaniel, Goodfellow, Jha, Celik and Swami (2017), section 4: a substitute trained on labels.

    >>> Substitute().at(0.1)
    Substitute(eps=0.1, norm='linf', queries=200, steps=40)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    queries: int = 200
    steps: int = 40

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "queries", "steps")

    @property
    def gradients(self) -> bool:
        """It needs none of the model under test."""
        return False

    @property
    def alone(self) -> bool:
        """All rows teach the network."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Learn from points drawn at random, then in turn attack the network and learn from where that led."""
        found = target.x.copy()
        # In the order of their ids: the network is the same in whatever order rows come.
        left = np.argsort(target.data.row_keys(), kind="stable")
        left = left[~np.isnan(target.x[left].astype(np.float64)).any(axis=1)]
        room = min(_POINTS, _CELLS // space.schema.width)
        if not len(left) or not (space.eps > 0).any() or room < _EACH:
            return found
        part = target.part(left)
        teaching = np.zeros(len(left), dtype=bool)
        teaching[sampled(part, seed=seed, most=room // _EACH)] = True
        teachers, each = part.part(teaching), min(self.queries, room // int(teaching.sum()))
        turns = iter(range(each))
        learner = Learner(teachers.x, target.classes + (target.kind == "labels"), seed=seed)
        _teach(learner, teachers, teachers.x)
        for turn in itertools.islice(turns, each // 2):
            _teach(learner, teachers, _near(teachers, space, turn, seed=seed))
        for epochs in _EPOCHS:
            points = self._climbed(learner.learn(epochs), part, space, seed=seed)
            scores = part.scores(points)
            broken = part.wrong(scores, slice(None))
            found[left] = points
            _learn(learner, points[teaching], scores[teaching])
            left, points, teaching = left[~broken], points[~broken], teaching[~broken]
            if not len(left):
                break
            part = target.part(left)
            teachers = part.part(teaching)
            for turn in itertools.islice(turns, each // (2 * len(_EPOCHS)) if teaching.any() else 0):
                _teach(learner, teachers, _around(teachers, points[teaching], space, turn, seed=seed))
        return found

    def _climbed(self, network: FittedNetwork, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Attack the network patiently: a row that only just breaks it seldom breaks the model."""
        schema = target.data.schema
        twin = replace(
            target,
            caller=bind(network.model(schema.shape), schema),
            kind="logits",
            classes=len(network.last[1]),
            labels=np.empty(0),
            patient=True,
            askings=Askings(),
        )
        with uncounted():
            return APGD(norm=self.norm, steps=self.steps, loss="margin").search(twin, space, seed=seed)


def _teach(learner: Learner, target: Target, points: AnyArray) -> None:
    """Ask the model about points (n, d), and tell the learner."""
    _learn(learner, points, target.scores(points))


def _learn(learner: Learner, points: AnyArray, scores: FloatArray) -> None:
    """Tell the learner what the model answered (n, k); what it did not answer teaches nothing."""
    known = ~unanswered(scores)
    learner.add(points[known], scores[known].argmax(axis=1))


def _around(target: Target, points: AnyArray, space: Space, turn: int, *, seed: int) -> AnyArray:
    """One point near each of some others (n, d)."""
    ball = ball_around(replace(space, eps=space.eps * _CLOSE), points)
    keys = target.data.row_keys()
    return ball.points(ball.drawn(row_uniform(keys, numbers_a_row(space), seed=seed, stream=_STREAM + turn)))


def _near(target: Target, space: Space, turn: int, *, seed: int) -> AnyArray:
    """One point for each row that obeys the schema (n, d): around it, or on its way to another row."""
    keys, width = target.data.row_keys(), numbers_a_row(space)
    drawn = row_uniform(keys, width + 2, seed=seed, stream=_STREAM + turn)
    x = target.x
    centres = x
    if not space.schema.relations:
        share = np.where(drawn[:, -1:] < _ROWS, 0.0, _FAR * (drawn[:, -1:] - _ROWS) / (1.0 - _ROWS))
        other = x[(np.arange(len(x)) + 1 + (drawn[:, -2] * (len(x) - 1)).astype(np.intp)) % len(x)]
        centres = _between(x, other, share, space)
    ball = ball_around(replace(space, eps=space.eps * _WIDTHS[turn % len(_WIDTHS)]), centres)
    return ball.points(ball.drawn(drawn[:, :width]))


def _between(x: AnyArray, other: AnyArray, share: FloatArray, space: Space) -> AnyArray:
    """Points on the way from rows to others, along the continuous features that may move."""
    schema = space.schema
    moves = (space.eps > 0) & ~schema.mask("integer", "binary", "one_hot", "categorical")
    start = x.astype(np.float64)
    return np.asarray((start + np.where(moves, share * (other.astype(np.float64) - start), 0.0)).astype(x.dtype))
