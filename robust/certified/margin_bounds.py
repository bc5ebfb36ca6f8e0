"""Proves rows of a network: lower bounds of the margins of the true class over all changes of a row."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from robust.certified.interval_bounds import Bounds, interval_bounds
from robust.certified.linear_bounds import exact_intervals, least, rivals, tighten
from robust.certified.network import Network
from robust.certified.operators import Maximum, Rectifier
from robust.certified.perturbations import Perturbations
from robust.certified.relaxations import BELOW
from robust.types import BoolArray, FloatArray, IntArray

Method: TypeAlias = Literal["interval", "linear"]

# A softmax or sigmoid rounds too: logits that differ by more than this many rounding errors stay in order.
_TAIL = 64.0
_NUMBERS, _MOST_ROWS = 2**18, 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proof:
    """What was proved of n rows.

    Args:
        margin: Lower bound of the smallest margin over the changes (n,), in units of the logits; −inf where none.
        interval: Rows that interval bounds alone prove (n,).
    """

    margin: FloatArray
    interval: BoolArray

    @property
    def proved(self) -> BoolArray:
        """Rows that stay right for every change (n,)."""
        return np.asarray(self.margin > 0.0)


def prove_rows(network: Network, changes: Perturbations, y: IntArray, *, method: Method | None) -> Proof:
    """Bound the margin f_y − f_j of every other class j at once, the last affine maps merged into the difference.

    Args:
        network: The network.
        changes: Where each row may go (n).
        y: True classes (n,), as numbers of the network's logits.
        method: `interval` alone, or `linear`; None asks linear bounds about the rows that intervals leave.

    Returns:
        The proof.
    """
    n = len(changes)
    margin, by_interval = np.full(n, -np.inf), np.zeros(n, dtype=bool)
    widest = max(node.width for node in network.nodes)
    size = int(np.clip(_NUMBERS // (widest * max(network.nodes[-1].width, 8)), 1, _MOST_ROWS))
    for start in range(0, n, size):
        rows = np.arange(start, min(start + size, n))
        part = changes.part(rows)
        margin[rows] = _margin(interval_bounds(network, part), y[rows], relax=False)
        by_interval[rows] = margin[rows] > 0
    if method == "interval":
        return Proof(margin=margin, interval=by_interval)
    left = np.arange(n) if method == "linear" else np.flatnonzero(~by_interval)
    size = int(np.clip(2 * _NUMBERS // (2 * widest * max(widest // 2, 16)), 1, 32))
    for start in range(0, len(left), size):
        rows = left[start : start + size]
        margin[rows] = np.maximum(margin[rows], linear_margins(network, changes.part(rows), y[rows], method=method))
    return Proof(margin=margin, interval=by_interval)


def linear_margins(network: Network, changes: Perturbations, y: IntArray, *, method: Method | None) -> FloatArray:
    """Margins (b,) by linear bounds, on intervals first, and on bounds that are linear themselves for the rest.

    Args:
        network: The network.
        changes: Where each row may go (b).
        y: True classes (b,).
        method: `linear` does the second step for every row; None for those that the first leaves.
    """
    margin = _margin(interval_bounds(network, changes), y, relax=True)
    rest = np.flatnonzero(~(margin > 0)) if method is None else np.arange(len(y))
    if len(rest):
        bounds = narrowed(network, changes.part(rest))
        for relax in (True, False):
            margin[rest] = np.maximum(margin[rest], _margin(bounds, y[rest], relax=relax))
    return margin


def narrowed(network: Network, changes: Perturbations) -> Bounds:
    """Bounds of every node, those that rectifiers and maxima read by linear bounds where it pays."""
    bounds = Bounds(network=network, changes=changes)
    exact = exact_intervals(network, norm=changes.norm, grouped=bool(changes.groups))
    while len(bounds.lower) < len(network.nodes):
        i = bounds.step()
        # The sources of rectifiers and maxima are narrow already, and so are they.
        if exact[i] or isinstance(network.nodes[i].operator, Rectifier | Maximum):
            continue
        wanted = np.zeros(bounds.lower[i].shape, dtype=bool)
        for node in network.nodes:
            if i in node.sources and isinstance(node.operator, Rectifier):
                wanted |= (bounds.upper[i] > 0.0) & (bounds.lower[i] < 0.0)
            elif i in node.sources and isinstance(node.operator, Maximum):
                wanted |= rivals(bounds, i, node.operator)
        tighten(bounds, i, wanted)
    return bounds


def _margin(bounds: Bounds, y: IntArray, *, relax: bool) -> FloatArray:
    """The smallest margin of each row (b,), less what the last step of the model may round away."""
    network, last = bounds.network, len(bounds.network.nodes) - 1
    classes = network.nodes[last].width
    rows = np.arange(len(y))
    others = np.argsort(np.arange(classes)[None, :] == y[:, None], axis=1, kind="stable")[:, : classes - 1]
    a = np.zeros((len(y), classes - 1, classes))
    a[rows[:, None], np.arange(classes - 1), others] = -1.0
    a[rows, :, y] = 1.0
    lines = BELOW if relax else BELOW[:1]
    found = np.max([least(bounds, last, a, relax=relax, below=below) for below in lines], axis=0)
    margin = found.min(axis=1)
    if network.tail != "none":
        size = np.maximum(np.abs(bounds.lower[last]), np.abs(bounds.upper[last])).max(axis=1)
        margin = margin - _TAIL * network.unit * (1.0 + size)
    return np.where(np.isnan(margin) | bounds.too_large(), -np.inf, margin)
