"""A small network fitted to the answers of a model that gives no gradients, so that there is something to climb."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robust.models.base import Model
from robust.types import AnyArray, FloatArray, IntArray

_HIDDEN = 64
# Points of a step, and steps of a pass at least: few points are gone through more often.
_BATCH, _STEPS = 200, 25
# Steps of a call at least, where a pass has fewer: what a call checks of its arguments costs as much as five of them.
_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedNetwork:
    """One hidden layer of rectified units: z = (x − centre)/scale, h = max(0, z·W + b), logits = h·V + c.

    Args:
        centre: (d,).
        scale: (d,), above 0.
        first: W and b, (d, u) and (u,).
        last: V and c, (u, k) and (k,).
    """

    centre: FloatArray
    scale: FloatArray
    first: tuple[FloatArray, FloatArray]
    last: tuple[FloatArray, FloatArray]

    def model(self, shape: tuple[int, ...]) -> Model:
        """The network as a model of rows of some shape."""
        weights = [self.centre, self.scale, *self.first, *self.last]
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in weights)).hexdigest()

        def forward(x: AnyArray) -> FloatArray:
            return self._layers(x)[1]

        def gradients(x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
            hidden, logits = self._layers(x)
            back = (cotangent(logits) @ self.last[0].T) * (hidden > 0)
            return logits, (back @ self.first[0].T / self.scale).reshape(len(x), *shape)

        return Model(
            name="fitted network",
            framework="callable",
            forward=forward,
            task="classification",
            output="logits",
            gradients=gradients,
            identity=lambda: f"fitted network {digest}",
        )

    def _layers(self, x: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Hidden units (b, u) and logits (b, k)."""
        z = (x.reshape(len(x), -1).astype(np.float64) - self.centre) / self.scale
        hidden = np.maximum(z @ self.first[0] + self.first[1], 0.0)
        return hidden, hidden @ self.last[0] + self.last[1]


class Learner:
    """Learns what a model answers, from more and more labelled points.

    Args:
        x: Points (m, d), finite, whose features' spread is the unit.
        classes: k.
        seed: Of the first weights and of the order of the points.
    """

    __slots__ = ("_centre", "_classes", "_net", "_points", "_scale")

    def __init__(self, x: AnyArray, classes: int, *, seed: int) -> None:
        from sklearn.neural_network import MLPClassifier

        spread = x.std(axis=0, dtype=np.float64)
        self._centre, self._scale = x.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0)
        self._classes, self._net = np.arange(classes), MLPClassifier((_HIDDEN,), random_state=seed % 2**32)
        self._points: list[tuple[FloatArray, IntArray]] = []

    def add(self, x: AnyArray, y: IntArray) -> None:
        """Points (m, d) and their classes (m,)."""
        self._points.append(((x.astype(np.float64) - self._centre) / self._scale, y))

    def learn(self, epochs: int) -> FittedNetwork:
        """Go through all points so often, from where the last time ended."""
        x, y = (np.concatenate(parts) for parts in zip(*self._points, strict=True))
        batch = min(_BATCH, len(x))
        self._net.set_params(batch_size=batch)
        passes = epochs * max(1, -(-_STEPS * batch // len(x)))
        for some in _parted(passes, most=_AT_ONCE * batch // len(x)):
            self._net.partial_fit(np.tile(x, (some, 1)), np.tile(y, some), classes=self._classes)
        (first, last), (shift, bias) = self._net.coefs_, self._net.intercepts_
        if last.shape[1] == 1:  # two classes share one logit
            last, bias = np.hstack([np.zeros_like(last), last]), np.append(0.0, bias)
        # Copies: learning goes on in place.
        return FittedNetwork(
            centre=self._centre, scale=self._scale, first=(first.copy(), shift.copy()), last=(last.copy(), bias.copy())
        )


def _parted(passes: int, *, most: int) -> list[int]:
    """Passes in groups, as even as can be, of at most so many; of one where not even that fits.

    >>> _parted(7, most=3), _parted(2, most=0)
    ([3, 2, 2], [1, 1])
    """
    groups = -(-passes // max(most, 1))
    return [len(part) for part in np.array_split(np.arange(passes), groups)]
