"""Linear relaxation bounds, propagated backwards from what is asked to the input.

After Zhang et al. (2018) and Singh et al. (2019). A lower bound of a·z for a node's values z is carried back: through
an affine map by Wᵀ, through a rectifier between l < 0 < u by the line u (z − l)/(u − l) above and a line through 0
below, through a maximum by a member below and a line in its leading member above. At the input the least value over
the changed rows is known exactly. Every node's rounding error e costs |a| e on the way: see `interval_bounds`.
"""

from dataclasses import dataclass

import numpy as np

from robust.certified.interval_bounds import Bounds, windowed
from robust.certified.network import Network
from robust.certified.operators import Maximum, Rectifier, Sum
from robust.certified.perturbations import UNIT
from robust.certified.relaxations import Below, maximum_lines, rectifier_lines, to_members
from robust.types import AnyArray, BoolArray, FloatArray, Norm

# Coefficients that are held at once; and values that are asked together at least, however wide the network is.
_NUMBERS, _LEAST = 2**19, 16


@dataclass(slots=True, eq=False)
class _Tally:
    """The constant part of a bound (b, m), and the magnitude of what was added up, which bounds its rounding error."""

    value: FloatArray
    size: FloatArray

    def add(self, part: FloatArray) -> None:
        self.value = self.value + part
        self.size = self.size + np.abs(part)


def least(bounds: Bounds, node: int, a: FloatArray, *, relax: bool, below: Below = "nearer") -> FloatArray:
    """Lower bounds of a·z over the changed rows, z the values that the model gives at a node.

    Args:
        bounds: Bounds of all nodes up to this one.
        node: The node.
        a: Coefficients (b, m, n).
        relax: Go back to the input through lines; else stop at rectifiers and maxima, at their intervals.
        below: Which line lies below a rectifier.

    Returns:
        Bounds (b, m).
    """
    # What is not bounded gives infinities and NaN on the way, which the caller takes for no bound.
    with np.errstate(invalid="ignore", over="ignore"):
        return _least(bounds, node, a, relax=relax, below=below)


def _least(bounds: Bounds, node: int, a: FloatArray, *, relax: bool, below: Below) -> FloatArray:
    """Walk back from a node; see `least`."""
    network, shape = bounds.network, a.shape[:2]
    pending = {node: a}
    tally = _Tally(np.zeros(shape), np.zeros(shape))
    for i in range(node, -1, -1):
        if i not in pending:
            continue
        a, current = pending.pop(i), network.nodes[i]
        operator = current.operator
        if operator is None:
            tally.add(bounds.changes.least(a, bounds.error[0]))
            continue
        tally.add(-_dot(np.abs(a), bounds.error[i] + 4.0 * UNIT * _size(bounds, i)))
        if isinstance(operator, Sum):
            for source in current.sources:
                _collect(pending, source, a)
        elif isinstance(operator, Rectifier | Maximum) and not relax:
            tally.add(_dot(np.maximum(a, 0.0), bounds.lower[i]) + _dot(np.minimum(a, 0.0), bounds.upper[i]))
        elif isinstance(operator, Rectifier | Maximum):
            (source,) = current.sources
            if isinstance(operator, Maximum):
                around = maximum_lines(bounds, source, operator)
                tally.add(_dot(np.minimum(a, 0.0), around.offset))
                _collect(pending, source, to_members(a, operator, around))
            else:
                lines, down = rectifier_lines(bounds, source, operator), np.minimum(a, 0.0)
                tally.add(_dot(down, lines.offset))
                low = lines.low(below)[:, None, :]
                down *= lines.high[:, None, :] - low
                down += a * low
                _collect(pending, source, down)
        else:
            (source,) = current.sources
            tally.add(a @ operator.bias)
            flow = operator.transposed(a.reshape(-1, current.width))
            _collect(pending, source, flow.reshape(*shape, -1))
    return np.asarray(tally.value - (len(network.nodes) + 8.0) * UNIT * tally.size)


def _collect(pending: dict[int, FloatArray], node: int, a: FloatArray) -> None:
    """Add coefficients of a node: several operators may read it."""
    pending[node] = pending[node] + a if node in pending else a


def rivals(bounds: Bounds, i: int, operator: Maximum) -> BoolArray:
    """Values of a node (b, n) that blur a maximum over windows of them: rivals for it, or its only and unstable one."""
    lower, upper = windowed(bounds.lower[i], operator), windowed(bounds.upper[i], operator)
    floor = lower.max(axis=2, keepdims=True)
    able = (upper >= floor) & np.isfinite(upper)
    blurred = ((able.sum(axis=2, keepdims=True) > 1) | (floor < 0.0)) & (upper.max(axis=2, keepdims=True) > 0.0)
    found = np.zeros((len(lower), operator.width + 1), dtype=bool)
    every: AnyArray = np.arange(len(lower))[:, None]
    for place in range(operator.index.shape[1]):
        at = operator.index[None, :, place]
        np.logical_or.at(found, (every, at), (able & blurred)[:, :, place])
    return found[:, :-1]


def tighten(bounds: Bounds, i: int, wanted: BoolArray) -> None:
    """Narrow some values of a node by linear bounds of their own.

    Args:
        bounds: Bounds of all nodes up to this one; changed.
        i: The node.
        wanted: Which values (b, n).
    """
    most = int(wanted.sum(axis=1).max(initial=0))
    if most == 0:
        return
    order = np.argsort(~wanted, axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    widest = max(node.width for node in bounds.network.nodes[: i + 1])
    step = max(_LEAST, _NUMBERS // (2 * len(order) * widest))
    lower, upper = bounds.lower[i].copy(), bounds.upper[i].copy()
    for start in range(0, most, step):
        index = order[:, start : min(start + step, most)]
        count = index.shape[1]
        a = np.zeros((len(index), 2 * count, wanted.shape[1]))
        a[rows, np.arange(count), index] = 1.0
        a[rows, count + np.arange(count), index] = -1.0
        found = least(bounds, i, a, relax=True)
        lower[rows, index], upper[rows, index] = found[:, :count], -found[:, count:]
    bounds.narrow(i, lower, upper)


def exact_intervals(network: Network, *, norm: Norm, grouped: bool) -> list[bool]:
    """Which nodes' intervals are as narrow as linear bounds: one mixing map of the input, then scalings alone.

    Args:
        network: The network.
        norm: Norm of the changes: of a ball, only the map that reads the input itself is that narrow.
        grouped: Whether features change together, as the members of a one-hot group do.
    """
    alone, exact = [not grouped and norm != "l1"], [True]
    for node in network.nodes[1:]:
        operator = node.operator
        if operator is None or isinstance(operator, Rectifier | Maximum | Sum):
            alone.append(False)
            exact.append(False)
        else:
            (source,) = node.sources
            alone.append(alone[source] and not operator.mixes and norm == "linf")
            exact.append(alone[source] if operator.mixes else exact[source])
    return exact


def _size(bounds: Bounds, i: int) -> FloatArray:
    return np.maximum(np.abs(bounds.lower[i]), np.abs(bounds.upper[i]))


def _dot(a: FloatArray, z: FloatArray) -> FloatArray:
    return np.asarray(np.matmul(a, z[:, :, None])[:, :, 0])
