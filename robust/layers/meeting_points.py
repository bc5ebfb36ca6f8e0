"""The point at which two layers of one name mean the same: the same activation applied, the same constants added."""

from robust.layers.blocks import Block, Point
from robust.layers.shifts import gap

#: Families whose layers have weights, by which they are told apart.
WEIGHTED = ("conv", "convtranspose", "linear")
#: Activations that a quantizer's range can stand for, since it ends where they do.
_CLIPS = ("relu", "clip(")
#: Another point's constants have to agree so many times better than those before the ends.
_BETTER = 4.0
#: Constants that agree so well, as a share of their size, are the same.
_SAME = 1e-3


def meeting(old: Block, new: Block) -> tuple[Block, Block] | str:
    """Two layers at the points where they mean the same, or why there are none.

    Their ends, unless constants tell another point: a file may have those in a layer's bias that are added behind it
    in the other model, or the bias itself in an operator of its own. Where other activations follow, the point before.
    Ends of one name are one tensor: what its layer lacks there is an error of the layer.

    Args:
        old: Of the reference.
        new: Of the candidate.
    """
    if old.family != new.family and old.family in WEIGHTED and new.family in WEIGHTED:
        return f"a {old.kind} in the reference, a {new.kind} in the candidate"
    if old.weight is not None and new.weight is not None and old.weight.shape != new.weight.shape:
        return f"its weights have shape {old.weight.shape} in the reference, {new.weight.shape} in the candidate"
    if old.aliases[:1] == new.aliases[:1] != ():  # one tensor, whatever is counted to the layer before it
        return old, new
    first, second = _levels(old, new)
    pairs = [(a, b) for a in _points(old, first) for b in _points(new, second)]
    for a, b in sorted(pairs, key=lambda pair: -len(pair[0].activations) - len(pair[1].activations)):
        if _difference(a, b) is None:
            return old.at(a), new.at(b)
    return _difference(*pairs[0]) or ""


def _points(block: Block, level: int) -> list[Point]:
    """The points of a layer behind so many constants, the last one first."""
    own = [block.own_point] if level == 0 else []
    return [*own, *(point for point in reversed(block.points) if point.level == level)]


def _levels(old: Block, new: Block) -> tuple[int, int]:
    """Behind how many constants two layers are to be compared: 0 and 0, unless what is added tells others.

    Of several that do, the one that tells best.
    """
    first, second = _shifts(old), _shifts(new)
    plain = gap(old.shift, new.shift)
    if first.keys() == second.keys() or plain is None or old.shift is None or plain <= _SAME * _size(old):
        return 0, 0
    found = []
    for a, b in [(a, 0) for a in first if a] + [(0, b) for b in second if b]:
        distance = gap(first[a].shift, second[b].shift)
        if distance is not None and distance * _BETTER <= min(plain, max(_size(old), _size(new))):
            found.append((distance, a, b))
    return min(found)[1:] if found else (0, 0)


def _shifts(block: Block) -> dict[int, Point]:
    """A point behind each number of constants."""
    return {0: block.own_point, **{point.level: point for point in block.points if point.level}}


def _size(block: Block) -> float:
    """Size of all that is added to a layer's products, as far as it is known."""
    known = [gap(point.shift, 0 * point.shift) for point in _shifts(block).values() if point.shift is not None]
    return max((size for size in known if size is not None), default=0.0)


def _difference(old: Point, new: Point) -> str | None:
    """Why two points do not mean the same, or None."""
    missing = [one for one in old.activations if one not in new.activations]
    added = [one for one in new.activations if one not in old.activations]
    for lacking, names, there, absent in (
        (old, added, "candidate", "reference"),
        (new, missing, "reference", "candidate"),
    ):
        if names and not (lacking.integers and all(one.startswith(_CLIPS) for one in names)):
            return f"followed by {', '.join(names)} in the {there}, not in the {absent}"
    return None
