"""Layers that hold the same tensor: one tensor is stored once, so that its widths are one choice."""

from collections.abc import Collection, Hashable, Sequence

#: Names that a shared layer's own name spells out.
_SPELT = 3


def joined(held: Sequence[Collection[Hashable]]) -> list[list[int]]:
    """Positions of those that share something, directly or by way of others, in the order of the first of each.

    Args:
        held: What each one holds.

    >>> joined([{"a"}, {"b"}, {"a", "c"}, {"c"}])
    [[0, 2, 3], [1]]
    """
    groups: list[tuple[list[int], set[Hashable]]] = []
    for place, things in enumerate(held):
        own, mine = [place], set(things)
        others = []
        for members, theirs in groups:
            if theirs & mine:
                own, mine = members + own, mine | theirs
            else:
                others.append((members, theirs))
        groups = [*others, (sorted(own), mine)]
    return sorted(members for members, _ in groups)


def name_of_all(names: Sequence[str]) -> str:
    """One name for layers that are one choice.

    >>> name_of_all(["a"]), name_of_all(["a", "b"]), name_of_all(["a", "b", "a", "c", "d"])
    ('a', 'a, b', 'a, b, c and 1 more')
    """
    distinct = list(dict.fromkeys(names))
    rest = len(distinct) - _SPELT
    return ", ".join(distinct[:_SPELT]) + (f" and {rest} more" if rest > 0 else "")
