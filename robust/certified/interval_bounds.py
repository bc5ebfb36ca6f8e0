"""Interval bounds of every node, with the rounding of the model's own arithmetic inside (Gowal et al. 2018).

A model does not compute W z + b. In its own precision, with n products in any order and fused or not, it computes
W z + b + δ with |δ| ≤ γ (|W| |z| + |b|), γ = k u / (1 − k u), k = n + 2 (Higham 2002, section 3.1), and underflow
adds at most a smallest normal number a term. So each node has an error, which widens its interval and which the
linear bounds subtract: what is proved holds for the numbers that the model gives, not only for those of exact
arithmetic (Jia and Rinard 2021 show certified networks that rounding breaks). The bounds' own double precision enters
the same error, with u = 2⁻⁵³ and k = n_in + n_out + 64.
"""

from dataclasses import dataclass, field

import numpy as np

from robust.certified.network import Network, Node
from robust.certified.operators import Maximum, Rectifier, Sum
from robust.certified.perturbations import UNIT, Perturbations
from robust.types import BoolArray, FloatArray


@dataclass(slots=True, kw_only=True, eq=False)
class Bounds:
    """Bounds of the nodes of a network over the changes of b rows, filled node by node.

    Args:
        network: The network.
        changes: Where the rows may go.
        lower: Lower bounds (b, n) of the nodes done so far.
        upper: Upper bounds (b, n).
        error: How far each value of a node may be from its operator's on the values of its sources (b, n).
    """

    network: Network
    changes: Perturbations
    lower: list[FloatArray] = field(default_factory=list)
    upper: list[FloatArray] = field(default_factory=list)
    error: list[FloatArray] = field(default_factory=list)

    def step(self) -> int:
        """Bound the next node from its sources.

        Returns:
            Its number.
        """
        with np.errstate(invalid="ignore", over="ignore"):  # what is not bounded is told by `too_large`
            return self._step(len(self.lower))

    def _step(self, i: int) -> int:
        node = self.network.nodes[i]
        if node.operator is None:
            lower, upper, error = self._input()
        elif isinstance(node.operator, Rectifier):
            lower, upper, error = self._rectified(node, node.operator)
        elif isinstance(node.operator, Maximum):
            lower, upper, error = self._largest(node, node.operator)
        elif isinstance(node.operator, Sum):
            one, other = node.sources
            lower, upper = self.lower[one] + self.lower[other], self.upper[one] + self.upper[other]
            size = self._size(one) + self._size(other)
            error = (self.network.unit + self._own(node)) * size
        else:
            lower, upper, error = self._mapped(node)
        self.lower.append(lower - error)
        self.upper.append(upper + error)
        self.error.append(error)
        return i

    def narrow(self, i: int, lower: FloatArray, upper: FloatArray) -> None:
        """Keep the better of two bounds of a node."""
        self.lower[i], self.upper[i] = np.maximum(self.lower[i], lower), np.minimum(self.upper[i], upper)

    def too_large(self) -> BoolArray:
        """Rows with a value that may overflow in the model's precision, or that is not bounded (b,)."""
        found = np.zeros(len(self.changes), dtype=bool)
        for i in range(len(self.lower)):
            found |= ~(self._size(i) < self.network.largest / 4.0).all(axis=1)
        return found

    def part(self, rows: BoolArray) -> "Bounds":
        """The same for some of the rows."""
        return Bounds(
            network=self.network,
            changes=self.changes.part(rows),
            lower=[bound[rows] for bound in self.lower],
            upper=[bound[rows] for bound in self.upper],
            error=[bound[rows] for bound in self.error],
        )

    def _input(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The changed rows, rounded to the model's precision where it is not theirs."""
        changes, net = self.changes, self.network
        error: FloatArray = np.zeros(changes.lower.shape)
        if net.inexact_input:
            error = 1.001 * net.unit * changes.size + net.tiny
        return changes.lower, changes.upper, error

    def _mapped(self, node: Node) -> tuple[FloatArray, FloatArray, FloatArray]:
        """An affine map of an interval; of a ball, where it is the first that mixes features."""
        (source,), operator = node.sources, node.operator
        if operator is None or isinstance(operator, Rectifier | Maximum | Sum):
            raise TypeError("an affine operator is needed")
        lower, upper = self.lower[source], self.upper[source]
        middle, radius = (lower + upper) / 2.0, (upper - lower) / 2.0
        bias = operator.bias
        centre, spread = operator.linear(middle) + bias, operator.linear(radius, power=1)
        terms = (operator.terms + 2) * self.network.unit
        gamma = terms / (1.0 - terms) if terms < 0.1 else np.inf
        size = operator.linear(np.maximum(np.abs(lower), np.abs(upper)), power=1) + operator.parts
        error = (gamma + self._own(node)) * size + (operator.terms + 2) * self.network.tiny
        low, high = centre - spread, centre + spread
        if source == 0 and self.changes.norm != "linf":
            # The l1 ball lies in the l2 ball of the same axes, whose support function is ‖w ∘ eps‖₂.
            reach = np.sqrt(operator.linear(self.changes.eps[None, :] ** 2, power=2)) * (1.0 + 1e-9)
            reach = reach + operator.linear(self.error[0], power=1)
            at = operator.linear(self.changes.centre) + bias
            low, high = np.maximum(low, at - reach), np.minimum(high, at + reach)
        return low, high, error

    def _rectified(self, node: Node, operator: Rectifier) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A rectifier keeps the order."""
        (source,) = node.sources
        lower, upper = self.lower[source], self.upper[source]
        rounding = 2.0 * self.network.unit if operator.slope else 0.0
        error = (rounding + self._own(node)) * self._size(source) + (self.network.tiny if operator.slope else 0.0)
        return np.maximum(lower, operator.slope * lower), np.maximum(upper, operator.slope * upper), error

    def _largest(self, node: Node, operator: Maximum) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The largest lower and the largest upper bound of each window."""
        (source,) = node.sources
        lower = windowed(self.lower[source], operator).max(axis=2)
        upper = windowed(self.upper[source], operator).max(axis=2)
        size = np.maximum(np.abs(windowed(self.lower[source], operator, 0.0)).max(axis=2), np.abs(upper))
        return lower, upper, self._own(node) * size

    def _size(self, i: int) -> FloatArray:
        """Largest magnitude of each value of a node (b, n)."""
        return np.maximum(np.abs(self.lower[i]), np.abs(self.upper[i]))

    def _own(self, node: Node) -> float:
        """Relative error of the bounds' own arithmetic at a node."""
        widths = [self.network.nodes[source].width for source in node.sources]
        return float(sum(widths) + node.width + 64) * UNIT


def interval_bounds(network: Network, changes: Perturbations) -> Bounds:
    """Interval bounds of all nodes."""
    bounds = Bounds(network=network, changes=changes)
    while len(bounds.lower) < len(network.nodes):
        bounds.step()
    return bounds


def windowed(values: FloatArray, operator: Maximum, padding: float = -np.inf) -> FloatArray:
    """The members of each window (b, n_out, w)."""
    filled = np.concatenate([values, np.full((len(values), 1), padding)], axis=1)
    return np.asarray(filled[:, operator.index])
