"""An order of the nodes of an ONNX graph in which each finds what it reads."""

from collections.abc import Iterable, Sequence


def places_in_order(made: Sequence[Iterable[str]], read: Sequence[Iterable[str]]) -> list[int]:
    """Put what a node reads before it, and leave all else where it stands.

    Args:
        made: Names that each node makes.
        read: Names that each node reads, those that graphs inside it take from outside included.

    Returns:
        The places of all nodes; 0, 1, 2, … where they are in such an order, or where there is none, for a circle.

    >>> places_in_order([["y"], ["a"], ["z"]], [["a"], ["x"], ["y"]])
    [1, 0, 2]
    """
    makers = {name: place for place, names in enumerate(made) for name in names if name}
    found: list[int] = []
    entered: set[int] = set()
    done: set[int] = set()
    for start in range(len(made)):
        waiting = [(start, False)]
        while waiting:  # not by recursion: a graph may be deeper than the stack
            place, ready = waiting.pop()
            if ready:
                found.append(place)
                done.add(place)
            elif place not in entered:
                entered.add(place)
                waiting.append((place, True))
                earlier = [makers[name] for name in read[place] if name in makers]
                if not entered.difference(done).isdisjoint(earlier):
                    return list(range(len(made)))
                waiting += [(other, False) for other in reversed(earlier)]
    return found
