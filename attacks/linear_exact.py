"""The exact attack on a linear classifier: the best move in the ball has a closed form in every norm."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import ball_around
from robust.attacks.base import Attack
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.near_points import lengths, near_points
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.attacks.whole_moves import whole_rows
from robust.data.budget import Eps
from robust.errors import InvalidInput
from robust.models.base import Model, adapter_of
from robust.models.linear_gradients import LinearGradients
from robust.types import AnyArray, FloatArray, IntArray, Norm

# Of the parts of a score: a lead that rounding does not take away.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearExact(Attack):
    """The largest lead of another class that a linear model can be given within the budget, in closed form.

    max over c ≠ y and δ of (w_c − w_y)·(x + δ) + b_c − b_y; with u_j = eps_j (w_c − w_y)_j and v_j = δ_j/eps_j:
    linf v_j = sign u_j; l2 v = s·u, ‖v‖ = 1; l1 all of the budget where |u_j| is largest; each cut off at the bounds,
    and what they leave of the budget spent on the other features (water-filling).

    A row that it does not break has no adversarial row within the budget, up to rounding. That is so in every norm for
    continuous and immutable features, in linf also with whole, binary and one-hot ones, or relations between continuous
    ones. In l2 and l1 it is so as long as whole features have a dozen steps and all jumps 4,096 combinations at most;
    with more of them, and with other relations, it is a strong attack instead of an exact one.

    For scikit-learn's linear classifiers, also behind feature-wise scalers, and torch `Linear` layers.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Elementary (Hölder's inequality); with bounds, Karush-Kuhn-Tucker conditions of a linear objective.

    >>> LinearExact(eps=0.1)
    LinearExact(eps=0.1, norm='linf')
    """

    eps: Eps | None = None
    norm: Norm = "linf"

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self)

    @property
    def gradients(self) -> bool:
        """It needs none: it reads the weights."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002
        """The best move towards each other class; of these the one with the largest lead."""
        weights, bias = require_linear(target)
        x, y = target.x, target.y
        found, best = x.copy(), np.full(len(x), -np.inf)
        low, high = space.lower - x, space.upper - x
        for other in range(len(weights)):
            slope = weights[other] - weights[y]
            points = near_points(space, x, self._wish(x, slope, low, high, space), taste=slope)
            lead = np.sum(slope * points, axis=1) + bias[other] - bias[y]
            better = (y != other) & (lead > best)
            found[better], best[better] = points[better], lead[better]
            held = np.flatnonzero((y != other) & (best <= 0))
            if space.jumpy and space.norm != "linf" and len(held):
                offset = bias[other] - bias[y[held]]
                points = _smallest(space, x[held], slope[held], offset)
                lead = np.sum(slope[held] * points, axis=1) + offset
                better = (lengths(points, x[held], space) <= 1.0) & (lead > best[held])
                found[held[better]], best[held[better]] = points[better], lead[better]
        return found

    def _wish(self, x: AnyArray, slope: FloatArray, low: FloatArray, high: FloatArray, space: Space) -> FloatArray:
        """The rows at which a slope leads farthest."""
        if space.planes is None:
            move = best_moves(slope * space.eps, *_rooms(low, high, space), norm=space.norm)
            return _wished(x, move, slope, space)
        state = ball_around(space, x).optimum(slope)
        return state.astype(np.float64) if space.norm == "linf" else x.astype(np.float64) + state


def _smallest(space: Space, x: AnyArray, slope: FloatArray, offset: FloatArray) -> AnyArray:
    """Rows after the smallest moves, jumps among them, that give another class a lead."""
    parts = np.sum(np.abs(slope * np.nan_to_num(x)), axis=1) + np.abs(offset)
    behind = np.maximum(-np.sum(slope * np.nan_to_num(x), axis=1) - offset, 0.0)
    return whole_rows(space, x, slope, behind + _ROUNDING * np.maximum(parts, np.finfo(np.float64).tiny))


def best_moves(slope: FloatArray, low: FloatArray, high: FloatArray, *, norm: Norm) -> FloatArray:
    """Moves v with the largest u·v in the unit ball, between bounds.

    Args:
        slope: u (m, d).
        low: Lower bounds of v (m, d), at most 0.
        high: Upper bounds of v (m, d), at least 0.
        norm: Norm of the unit ball.

    Returns:
        v (m, d).

    >>> wide, short = np.full((1, 3), 9.0), np.array([[9.0, 0.6, 9.0]])
    >>> best_moves(np.array([[3.0, -4.0, 0.0]]), -wide, wide, norm="l2")
    array([[ 0.6, -0.8,  0. ]])
    >>> best_moves(np.array([[3.0, -4.0, 0.0]]), -short, wide, norm="l2")  # the second stops, the first takes the rest
    array([[ 0.8, -0.6,  0. ]])
    >>> best_moves(np.array([[3.0, -4.0, 0.0]]), -short, wide, norm="l1")
    array([[ 0.4, -0.6,  0. ]])
    """
    size = np.abs(slope)
    room = np.where(slope > 0, high, np.where(slope < 0, -low, 0.0))
    if norm == "linf":
        return np.asarray(np.sign(slope) * np.minimum(room, 1.0))
    if norm == "l1":
        order = np.argsort(-size, axis=1, kind="stable")
        sorted_room = np.take_along_axis(np.minimum(room, 1.0), order, axis=1)
        before = np.cumsum(sorted_room, axis=1) - sorted_room
        spent = np.clip(1.0 - before, 0.0, sorted_room)
        moves = np.empty(slope.shape)
        np.put_along_axis(moves, order, spent, axis=1)
        return np.asarray(np.sign(slope) * moves)
    return np.asarray(np.sign(slope) * _filled(size, room))


def _filled(size: FloatArray, room: FloatArray) -> FloatArray:
    """min(s·|u|, room) with the s that spends the budget: features stop one after the other as s grows."""
    stop = np.divide(room, size, out=np.full(size.shape, np.inf), where=size > 0)
    order = np.argsort(stop, axis=1, kind="stable")
    room_sorted, size_sorted = (np.take_along_axis(part, order, axis=1) for part in (room, size))
    fixed = np.cumsum(np.where(size_sorted > 0, np.minimum(room_sorted, 1e150), 0.0) ** 2, axis=1)
    fixed = np.hstack([np.zeros((len(size), 1)), fixed])
    loose = np.hstack([np.cumsum(size_sorted[:, ::-1] ** 2, axis=1)[:, ::-1], np.zeros((len(size), 1))])
    # With the first k stopped: s_k² = (1 − Σ room²)/Σ u²; right is the first k whose s_k stops no further feature.
    left = np.maximum(1.0 - fixed, 0.0)
    s = np.sqrt(np.divide(left, loose, out=np.full(left.shape, np.inf), where=loose > 0))
    ends = np.hstack([np.take_along_axis(stop, order, axis=1), np.full((len(size), 1), np.inf)])
    first = (s <= ends).argmax(axis=1)
    chosen = s[np.arange(len(size)), first][:, None]
    return np.where(np.isinf(chosen), room, np.minimum(np.where(np.isinf(chosen), 0.0, chosen) * size, room))


def linear_scores(model: Model) -> tuple[FloatArray, FloatArray] | None:
    """Weights W (k, d) and bias b (k,) of a classifier whose decision is the largest of x Wᵀ + b; None for any other.

    Features are counted as the model counts them.
    """
    weights: FloatArray
    bias: FloatArray
    if isinstance(model.gradients, LinearGradients):
        closed = model.gradients
        weights, bias = closed.weights * closed.scale, closed.bias + closed.weights @ closed.shift
    elif model.framework == "torch":
        from robust.models.linear_module_torch import affine_of

        found = affine_of(getattr(adapter_of(model), "module", None))
        if found is None:
            return None
        weights, bias = found
        if len(weights) == 1 and model.output == "probabilities":
            bias = bias - 0.5  # a probability decides at its half, a logit at 0
    else:
        return None
    if len(weights) == 1:
        return np.vstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
    return weights, bias


def linear_weights(target: Target) -> tuple[FloatArray, FloatArray] | None:
    """Weights (k, d) and bias (k,) of the classifier under attack, its features in the schema's order.

    Returns:
        None if it is not known to be linear.
    """
    model, names = target.caller.model, target.data.schema.names
    found = linear_scores(model)
    if found is None or len(found[1]) != target.classes:
        return None
    weights, bias = found
    if model.columns is not None:
        place: IntArray = np.array([names.index(column) for column in model.columns])
        wide = np.zeros((len(weights), len(names)))
        wide[:, place] = weights
        weights = wide
    return weights, bias


def require_linear(target: Target) -> tuple[FloatArray, FloatArray]:
    """The weights of a classifier that must be linear.

    Raises:
        InvalidInput: If it is not linear.
    """
    found, model = linear_weights(target), target.caller.model
    if found is None:
        raise InvalidInput(
            f"{model.name} ({model.framework}) is not known to be linear: a scikit-learn linear classifier, behind "
            "scalers if need be, or a torch Linear would be right; PGD(eps=…) attacks any model with gradients"
        )
    return found


def _rooms(low: FloatArray, high: FloatArray, space: Space) -> tuple[FloatArray, FloatArray]:
    """Bounds of moves in units of the budget; nothing where there is none."""
    free = np.broadcast_to(space.eps > 0, low.shape)
    with np.errstate(over="ignore"):
        below = np.divide(low, space.eps, out=np.zeros(low.shape), where=free)
        above = np.divide(high, space.eps, out=np.zeros(high.shape), where=free)
    return np.minimum(below, 0.0), np.maximum(above, 0.0)


def _wished(x: AnyArray, move: FloatArray, slope: FloatArray, space: Space) -> FloatArray:
    """Rows after the best move; in linf one-hot groups go to their best member, whole."""
    wish = x.astype(np.float64) + move * space.eps
    for group in space.groups if space.norm == "linf" else ():
        gain = np.where((space.eps[group] >= 1) | (x[:, group] == 1), slope[:, group], -np.inf)
        wish[:, group] = np.arange(len(group)) == gain.argmax(axis=1)[:, None]
    return wish
