"""Which leaves a row can reach, and what each of them asks for."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.tree_choices import Choices
from robust.attacks.tree_structure import TreeEnsemble
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaves:
    """The leaves in one row's reach.

    Args:
        tree: Tree of each leaf (leaves,), increasing.
        values: What it adds to each class (leaves, k).
        box: Which options lead to it (leaves, all options); options of things that no node on its path compares are
            all in.
    """

    tree: IntArray
    values: FloatArray
    box: BoolArray

    def entered(self, choices: Choices, state: IntArray) -> IntArray:
        """For each leaf, the state that enters it: options that fit stay, the others go to the cheapest that fits."""
        states = np.repeat(state[None, :], len(self.tree), axis=0)
        for thing in range(len(choices.columns)):
            options = slice(choices.start[thing], choices.start[thing + 1])
            fits = self.box[:, options]
            price = np.where(fits, _distance(choices, thing, int(state[thing])), np.inf)
            states[:, thing] = choices.start[thing] + price.argmin(axis=1)
        return states


def _distance(choices: Choices, thing: int, own: int) -> FloatArray:
    """How far the options of a thing are from the one chosen, in price and, where that is equal, in value."""
    options = slice(choices.start[thing], choices.start[thing + 1])
    price = choices.price[options].copy()
    values = choices.values[thing]
    gap = np.abs(values.astype(np.float64) - values[:1].astype(np.float64)).sum(axis=1)
    price += 1e-6 * gap / max(gap.max(), 1.0)
    price[own - choices.start[thing]] = -1.0
    return price


def reachable_leaves(trees: TreeEnsemble, choices: Choices, columns: IntArray) -> Leaves:
    """Walk all trees with all options at once.

    Args:
        trees: The ensemble.
        choices: What the row may become.
        columns: Which feature of the row each feature of the trees is.
    """
    thing_of = np.full(len(choices.x), -1)
    for thing, members in enumerate(choices.columns):
        thing_of[members] = thing
    seen = choices.x.astype(np.float32 if trees.single else np.float64)
    tree: list[int] = []
    leaf: list[int] = []
    box: list[BoolArray] = []
    for t, root in enumerate(trees.roots):
        waiting = [(int(root), np.ones(len(choices.price), dtype=bool))]
        while waiting:
            node, inside = waiting.pop()
            if trees.feature[node] < 0:
                tree.append(t)
                leaf.append(node)
                box.append(inside)
                continue
            j = columns[trees.feature[node]]
            thing = thing_of[j]
            if thing < 0:
                left = bool(trees.goes_left(seen[j], np.array(node)))
                waiting.append((int(trees.left[node] if left else trees.right[node]), inside))
                continue
            options = slice(choices.start[thing], choices.start[thing + 1])
            lefts = _lefts(trees, choices, thing, int(j), node)
            for goes, child in ((lefts, trees.left[node]), (~lefts, trees.right[node])):
                both = inside[options] & goes
                if both.any():
                    part = inside.copy()
                    part[options] = both
                    waiting.append((int(child), part))
    return Leaves(tree=np.array(tree), values=trees.values[np.array(leaf, dtype=int)], box=np.array(box))


def _lefts(trees: TreeEnsemble, choices: Choices, thing: int, j: int, node: int) -> BoolArray:
    """Which options of a thing a node sends left."""
    place = int(np.flatnonzero(choices.columns[thing] == j)[0])
    values: AnyArray = choices.values[thing][:, place].astype(np.float32 if trees.single else np.float64)
    return trees.goes_left(values, np.array(node))
