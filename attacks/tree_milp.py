"""The exact attack on a tree ensemble: a mixed-integer linear program over leaves and options."""

import numpy as np

from robust.attacks.tree_choices import Choices
from robust.attacks.tree_leaves import Leaves
from robust.types import FloatArray, IntArray

# The solver keeps constraints to 1e-6 of the largest leaf: a lead must be larger, a tie may miss by that much.
_LEAD, _TIE = 1e-5, -2e-6


def exact_state(
    choices: Choices, leaves: Leaves, gain: FloatArray, offset: float, *, tie: bool, nodes: int
) -> tuple[IntArray | None, bool]:
    """A state that makes one class beat the true one, or the proof that there is none.

    Binary z_o says that option o is taken, one a thing, within the budget; λ_l ≥ 0 that leaf l is reached, one a tree,
    and λ_l ≤ Σ_{o in box_l} z_o for each thing that leaf l asks for. Wanted: offset + Σ gain_l λ_l > 0, by more than
    1e-5 of the largest leaf.

    Args:
        choices: What the row may become.
        leaves: The leaves in reach.
        gain: What each leaf adds to the margin (leaves,).
        offset: The margin before any tree.
        tie: Whether a tie is enough, since it goes to the class that comes first.
        nodes: Branches that may be searched.

    Returns:
        The option of each thing (things,), counted through all things, or None; and whether the search ended with an
        answer.

    Source:
        Kantchelian, Tygar and Joseph (2016), section 3, with a variable an option in place of one a threshold.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    options, count = len(choices.price), len(leaves.tree)
    lines: list[tuple[IntArray, FloatArray, float, float]] = []
    for thing in range(len(choices.columns)):
        own = np.arange(choices.start[thing], choices.start[thing + 1])
        lines.append((own, np.ones(len(own)), 1.0, 1.0))
        boxes = leaves.box[:, own]
        # Leaves of a tree that ask for the same options of a thing share a line: their sum is at most one.
        asking = np.flatnonzero(~boxes.all(axis=1))
        kinds = np.column_stack([leaves.tree[asking], boxes[asking]])
        _, inverse = np.unique(kinds, axis=0, return_inverse=True)
        for kind in range(inverse.max(initial=-1) + 1):
            members = asking[inverse.ravel() == kind]
            taken = own[boxes[members[0]]]
            columns = np.concatenate([options + members, taken])
            lines.append((columns, np.concatenate([np.ones(len(members)), -np.ones(len(taken))]), -np.inf, 0.0))
    for tree in np.unique(leaves.tree):
        members = options + np.flatnonzero(leaves.tree == tree)
        lines.append((members, np.ones(len(members)), 1.0, 1.0))
    if choices.price.any():
        lines.append((np.arange(options), choices.price, -np.inf, 1.0))
    scale = max(float(np.abs(gain).max(initial=0.0)), abs(offset), np.finfo(float).tiny)
    least = _TIE if tie else _LEAD
    lines.append((options + np.arange(count), gain / scale, least - offset / scale, np.inf))
    place = np.repeat(np.arange(len(lines)), [len(columns) for columns, *_ in lines])
    matrix = coo_array(
        (np.concatenate([w for _, w, *_ in lines]), (place, np.concatenate([c for c, *_ in lines]))),
        shape=(len(lines), options + count),
    ).tocsr()
    cost = np.concatenate([1e-6 * choices.price, -gain / scale])
    found = milp(
        cost,
        integrality=np.concatenate([np.ones(options), np.zeros(count)]),
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(matrix, [low for *_, low, _ in lines], [high for *_, high in lines]),
        options={"node_limit": nodes, "mip_rel_gap": 1e9},
    )
    if found.x is None:
        return None, found.status == 2  # 2: infeasible, the proof; else the limit
    taken = np.array(
        [
            choices.start[thing] + found.x[choices.start[thing] : choices.start[thing + 1]].argmax()
            for thing in range(len(choices.columns))
        ]
    )
    return taken, True
