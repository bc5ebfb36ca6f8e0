"""Attacks of other libraries and of the user: their rows are projected, judged by the model itself, and compared."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from robust.attacks.balls import ball_around
from robust.attacks.base import Attack
from robust.attacks.foreign_asking import Given, Question, is_foolbox
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps, read_eps, read_norm
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model, adapter_of
from robust.models.foreign_errors import brief
from robust.predicting.memory import fitted
from robust.types import AnyArray, FloatArray, IntArray, Norm


@dataclass(slots=True, kw_only=True)
class Claims:
    """What an attack said it had done, before anybody looked.

    Args:
        rows: How many rows it was given.
        broken: How many of its rows break the model as they came.
        kept: How many of them break it after they were projected.
        outside: How many of its rows were outside the budget, the bounds or the schema.
        unusable: How many were no numbers.
        unmoved: How many stayed where they were.
        stopped: With how many it could not go on, since the model raised.
    """

    rows: int = 0
    broken: int = 0
    kept: int = 0
    outside: int = 0
    unusable: int = 0
    unmoved: int = 0
    stopped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Foreign(Attack):
    """An attack object of foolbox, or any function `(model, x, y) -> x_adv`.

    A function is given what stands behind the model, and rows in the data's shape and units: for a torch model its
    module in evaluation mode, tensors and class indices; else a function from rows to scores (n, k), arrays and the
    data's own labels. What comes back is projected onto budget, bounds and schema, rounded inwards and judged afresh:
    a row that breaks the model only outside the budget does not count. Where the model raises, it is given fewer rows:
    the others go on, and the row counts as it was when the model raised. What it hangs on a module, such as hooks, is
    taken off again. Global random numbers of torch and numpy are
    seeded for the length of the call and put back: results repeat, but a row's may depend on its neighbours.

    Args:
        call: The attack.
        eps: Budget in the user's units; None for a template.
        norm: Norm of the budget; that of a foolbox attack is its own.
        claims: What it said of its own rows in the last run.

    Raises:
        InvalidInput: If it is neither, or its norm is not the one that was asked for.
    """

    call: Callable[..., Any]
    eps: Eps | None = None
    norm: Norm = "linf"
    claims: Claims = field(default_factory=Claims)

    def __post_init__(self) -> None:
        """Check the parts."""
        if not callable(self.call) or isinstance(self.call, type):
            raise InvalidInput(
                f"attack got {self.call!r}; an attack such as PGD(eps=8 / 255), an object of foolbox.attacks, or a "
                "function (model, x, y) -> x_adv would be right"
            )
        read_hyper_parameters(self)

    def __repr__(self) -> str:
        return f"{self.title}(eps={self.eps!r}, norm={self.norm!r})"

    @property
    def title(self) -> str:
        """What a reader calls it."""
        if is_foolbox(self.call):
            return f"foolbox {type(self.call).__name__}"
        name = getattr(self.call, "__name__", type(self.call).__name__)
        return "function" if name == "<lambda>" else str(name)

    @property
    def gradients(self) -> bool:
        """It takes care of its own."""
        return False

    def identity(self) -> str | None:
        """Nobody knows what its results depend on, so they are never kept."""
        return None

    def at(self, eps: Eps) -> Self:
        """The same attack with a budget."""
        return replace(self, eps=eps, claims=Claims())

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Ask the attack, batch by batch, and bring its rows inside.

        Raises:
            ModelFault: If the attack raises, or the model does on every row that it asks about; if it returns something
                else than rows, or leaves other weights behind.
        """
        found, claims, caller = target.x.copy(), Claims(rows=len(target)), target.caller
        fault: BaseException | None = None
        bounds, before, fitting = _one_range(target, space), _weights(caller.model), caller.room.rows
        question = Question(call=self.call, title=self.title, eps=self.eps, bounds=bounds, seed=seed)

        def ask(block: slice) -> tuple[IntArray, Given]:
            rows = np.arange(block.start, block.stop)
            return rows, question.ask(target.part(rows))

        for start in range(0, len(target), target.batch):
            block = slice(start, min(start + target.batch, len(target)))
            for rows, given in fitted(block, caller.room, ask):
                claims.stopped += given.stopped
                found[rows] = _judged(target, space, rows, given.rows, claims)
                fault = given.fault or fault
        caller.tell_lack(fitting)
        if fault is not None and claims.stopped == len(target):
            raise ModelFault(f"{caller.model.name} raised {brief(fault)} on every row that {self.title} asked about")
        if _weights(caller.model) != before:
            raise ModelFault(
                f"{self.title} changed the weights of {caller.model.name}, which it still has: what was broken is "
                "another model; load the model anew, and hand over an attack that only reads it, or works on a copy"
            )
        for name in ("rows", "broken", "kept", "outside", "unusable", "unmoved", "stopped"):
            setattr(self.claims, name, getattr(claims, name))
        return found


def _judged(target: Target, space: Space, rows: IntArray, given: FloatArray, claims: Claims) -> AnyArray:
    """Rows as they count: projected; what was claimed of them, and what is left of that, is added to the claims."""
    x = target.x[rows].astype(np.float64)
    usable = (np.isfinite(given) | (np.isnan(given) & np.isnan(x))).all(axis=1)
    given[~usable] = x[~usable]
    ball = ball_around(space, target.x[rows])
    points = ball.points(ball.state_of(given), given - x if space.groups else None)
    claims.unusable += int((~usable).sum())
    claims.unmoved += int(np.all((points == x) | np.isnan(x), axis=1).sum())
    claims.outside += int(np.any(~np.isclose(points, given, rtol=1e-5, atol=1e-6, equal_nan=True), axis=1).sum())
    with np.errstate(over="ignore"):  # beyond the number type lies outside any budget
        came = given.astype(target.x.dtype)
    broken = target.wrong(target.scores(came), rows)
    differ = np.flatnonzero(np.any((points != came) & ~np.isnan(came), axis=1))
    still = broken.copy()
    if len(differ):
        still[differ] = target.wrong(target.scores(points[differ]), rows[differ])
    claims.broken += int(broken.sum())
    claims.kept += int(still.sum())
    return points


def _weights(model: Model) -> str | None:
    """Content hash of the weights that an attack is lent, as they are now; None where nobody can tell."""
    weights = getattr(adapter_of(model), "weights", None)
    return None if weights is None else weights()


def _one_range(target: Target, space: Space) -> tuple[float, float]:
    """One range around all features, which is what foolbox knows; each feature's own bounds hold by projection.

    Of all rows, whichever batch they come in. Features without bounds may go as far as the budget lets them, and are in
    single precision there.
    """
    schema, x = target.data.schema, target.x.astype(np.float64)
    low = np.where(np.isfinite(schema.lower), schema.lower, np.nanmin(x, axis=0) - space.eps)
    high = np.where(np.isfinite(schema.upper), schema.upper, np.nanmax(x, axis=0) + space.eps)
    least, most = np.float32(low.min()), np.float32(high.max())
    if least > low.min():
        least = np.nextafter(least, np.float32(-np.inf))
    if most < high.max():
        most = np.nextafter(most, np.float32(np.inf))
    return float(least), float(most)


def template(attack: object, *, norm: str) -> Foreign:
    """An attack of another library without a budget.

    Args:
        attack: An object of foolbox, or a function `(model, x, y) -> x_adv`.
        norm: The norm that was asked for; that of a foolbox attack is its own.

    Raises:
        InvalidInput: If it is neither, or the norm is another than that of a foolbox attack.
    """
    wrapped = Foreign(call=attack, norm=read_norm(norm))  # type: ignore[arg-type]
    own = _norm_of(attack) if is_foolbox(attack) else None
    if own is not None and norm not in ("linf", own):
        raise InvalidInput(f"norm got {norm!r}, but {wrapped.title} has its own, {own!r}: leave norm out")
    return wrapped if own is None else replace(wrapped, norm=own)


def foreign(attack: object, *, eps: object, norm: str) -> Foreign:
    """An attack of another library with its budget.

    Args:
        attack: An object of foolbox, or a function `(model, x, y) -> x_adv`.
        eps: The budget, in the user's units.
        norm: The norm that was asked for; that of a foolbox attack is its own.

    Raises:
        InvalidInput: If it is neither, there is no budget, or the norm is another than that of a foolbox attack.
    """
    wrapped = template(attack, norm=norm)
    if eps is None:
        raise InvalidInput(
            f"{wrapped.title} comes without a budget: robust_accuracy(model, data, attack=…, eps=8 / 255, norm='linf') "
            "would be right; rows outside it do not count"
        )
    return replace(wrapped, eps=read_eps(eps))


def _norm_of(attack: object) -> Norm | None:
    """The norm of a foolbox attack that is also one of ours."""
    known: dict[float, Norm] = {1.0: "l1", 2.0: "l2", float("inf"): "linf"}
    power = None
    with suppress(ValueError):  # some have none until they are given one; then what the user says counts
        power = getattr(getattr(attack, "distance", None), "p", None)
    return None if power is None else known.get(power)
