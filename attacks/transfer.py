"""Transfer: rows are perturbed on a twin that has gradients, and judged on the model that has none."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

from robust.attacks.apgd import APGD
from robust.attacks.base import Attack, Swept
from robust.attacks.bim import BIM
from robust.attacks.boundary import Boundary
from robust.attacks.fgsm import FGSM
from robust.attacks.foreign import Foreign
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.losses import Loss
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.pgd import PGD
from robust.attacks.projection import Space
from robust.attacks.target import Target, aim
from robust.data.budget import Eps
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Borrowed(Target):
    """A classifier that is judged by its own answers, with the slopes of another one.

    Args:
        twin: The other one, aimed at the same rows.
    """

    twin: Target

    def part(self, keep: IntArray | BoolArray) -> "Borrowed":
        """Both, and some of the rows."""
        return replace(self, data=self.data.rows(keep), y=self.y[keep], twin=self.twin.part(keep))

    def gradient(
        self, x: AnyArray, rows: IntArray | slice, *, loss: Loss = "cross_entropy", aims: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Scores of the classifier (m, k), and the direction in which the loss of the twin rises (m, d)."""
        return self.scores(x), self.twin.gradient(x, rows, loss=loss, aims=aims)[1]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Transfer(Attack):
    """An attack on a surrogate, whose rows are handed over to the model under test.

    The surrogate is attacked for the largest loss, with all steps: a row that only just breaks it seldom
    breaks another model.

    Args:
        attack: The attack; its budget and norm are the transfer's.
        surrogate: A differentiable model of the same rows and classes, e.g. the float model of an int8 build,
            or what `as_model` takes.

    Raises:
        InvalidInput: If `attack` is no attack of this package.

    Source:
        Papernot, McDaniel and Goodfellow (2016), section 2.

    Labels beyond 0.5 have no slope; the twin's leads there:

    >>> import numpy as np
    >>> step = as_model(lambda x: (x[:, 0] > 0.5).astype(int), name="step")
    >>> logits = lambda x: np.hstack([0.5 - x, x - 0.5])
    >>> slopes = lambda x, cotangent: (logits(x), cotangent(logits(x)) @ [[-1.0], [1.0]])
    >>> twin = as_model(logits, gradients=slopes, output="logits", name="twin")
    >>> Transfer(attack=PGD(eps=0.2), surrogate=twin).perturb(step, (np.array([[0.6]]), [1])).round(6).tolist()
    [[0.4]]
    """

    attack: Attack
    surrogate: object

    def __post_init__(self) -> None:
        """Check the parts."""
        if not isinstance(self.attack, Attack) or isinstance(self.attack, Transfer):
            raise InvalidInput(f"attack got {self.attack!r}; an attack such as PGD(eps=…) would be right")
        object.__setattr__(self, "surrogate", as_model(self.surrogate))

    def __repr__(self) -> str:
        """Attack and surrogate, the latter by its name."""
        return f"Transfer(attack={self.attack!r}, surrogate={as_model(self.surrogate).name!r})"

    @property
    def eps(self) -> Eps | None:
        """The budget of the attack that is transferred."""
        return self.attack.eps

    @property
    def norm(self) -> Norm:
        """The norm of the attack that is transferred."""
        return self.attack.norm

    @property
    def gradients(self) -> bool:
        """It needs none of the model under test."""
        return False

    @property
    def alone(self) -> bool:
        """As the attack on the surrogate is."""
        return self.attack.alone

    def identity(self) -> str | None:
        """The attack and the surrogate's content hash."""
        weights = as_model(self.surrogate).identity()
        return None if weights is None else f"Transfer({self.attack!r}, {weights})"

    def at(self, eps: Eps) -> Self:
        """The same transfer with a budget."""
        return replace(self, attack=self.attack.at(eps))

    def aimed(self, target: Target) -> Target:
        """The surrogate, and the rows of another target; a file gets those of its conversion where it has to."""
        surrogate = as_model(self.surrogate)
        if self.attack.gradients:
            surrogate = with_own_gradients(surrogate, target.data, wanted=True)
        return aim(surrogate, target.data)

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Attack the surrogate patiently, but for walks along its boundary, which go where it is just wrong."""
        twin = self.aimed(target)
        if not isinstance(self.attack, HopSkipJump | Boundary):
            return self.attack.search(replace(twin, patient=True), space, seed=seed)
        found, right = target.x.copy(), ~twin.wrong(twin.scores(twin.x), slice(None))
        if right.any():
            found[right] = self.attack.search(twin.part(right), space, seed=seed)
        return found

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """The attack's own search over all budgets, up the surrogate's slopes; the model says when a row is broken.

        An attack that asks for more than slopes, as scores, weights or trees, is handed over budget by budget.
        """
        if not isinstance(self.attack, FGSM | BIM | PGD | APGD):
            return Attack.sweep(self, target, grid, seed=seed)
        twin, own = self.aimed(target), {part.name: getattr(target, part.name) for part in fields(Target)}
        one, other = target.caller.identity, twin.caller.identity
        # What is kept is found by both: the same attack may climb the model's own slopes, too.
        known = None if one is None or other is None else f"{one} up the slopes of {other}"
        own["caller"] = replace(target.caller, identity=known)
        return self.attack.sweep(Borrowed(**own, twin=twin), grid, seed=seed)


def title(attack: Attack) -> str:
    """What a reader calls an attack, e.g. `PGD`, `APGD targeted` or `PGD, transferred`."""
    if isinstance(attack, Foreign):
        return attack.title
    if isinstance(attack, Transfer):
        return f"{title(attack.attack)}, transferred"
    loss = getattr(attack, "loss", "")
    return f"{type(attack).__name__} {loss}".strip()


def twins(attack: Attack) -> tuple[Model, ...]:
    """The surrogate of a transfer, which takes part in a measurement; nothing for other attacks."""
    return (as_model(attack.surrogate),) if isinstance(attack, Transfer) else ()
