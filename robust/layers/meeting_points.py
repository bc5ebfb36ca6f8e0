"""The point at which two layers of one name mean the same: the same activation applied, the same constants added."""

import math

import numpy as np

from robust.layers.blocks import Block, Point
from robust.layers.shifts import gap
from robust.layers.weights import folded
from robust.types import FloatArray

#: Families whose layers have weights, by which they are told apart.
WEIGHTED = ("conv", "convtranspose", "linear")
#: Activations that a quantizer's range can stand for, since it ends where they do.
_CLIPS = ("relu", "clip(")
#: Another point's constants have to agree so many times better than those before the ends.
_BETTER = 4.0
#: Constants that agree so well, as a share of their size, are the same.
_SAME = 1e-3
#: Factors that agree so well are the same; what is quantized agrees so well on the whole.
_SAME_SCALE = 0.01


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
    """Behind how many constants two layers are to be compared: 0 and 0, unless these tell others.

    Of several that do, the one that tells best.
    """
    first, second = _shifts(old), _shifts(new)
    pairs = [(a, 0) for a in first if a] + [(0, b) for b in second if b]
    if _relative(_scale(first[max(first)]), _scale(second[max(second)])) > _SAME_SCALE:
        found = _scaled(old, new, first, second, pairs)
        if found is not None:
            return found
    plain = gap(old.shift, new.shift)
    if first.keys() == second.keys() or plain is None or old.shift is None or plain <= _SAME * _size(old):
        return 0, 0
    near = []
    for a, b in pairs:
        distance = gap(first[a].shift, second[b].shift)
        alike = _relative(_scale(first[a]), _scale(second[b])) <= _SAME_SCALE
        if alike and distance is not None and distance * _BETTER <= min(plain, max(_size(old), _size(new))):
            near.append((distance, a, b))
    return min(near)[1:] if near else (0, 0)


def _scaled(
    old: Block, new: Block, first: dict[int, Point], second: dict[int, Point], pairs: list[tuple[int, int]]
) -> tuple[int, int] | None:
    """Behind how many constants weights that took up a factor mean the same; None where none did.

    The operators say that one model alone has the factor behind its layer; weights say which of several it is, or that
    it went elsewhere, as into an activation that the other model knows: where they are those of the other layer.
    """
    found = []
    for a, b in pairs:
        if first[a].scale is None and second[b].scale is None:
            continue
        if _relative(_scale(first[a]), _scale(second[b])) > _SAME_SCALE:
            shift = gap(first[a].shift, second[b].shift)
            weights = _weights(old.at(first[a]), new.at(second[b]))
            found.append((weights, math.inf if shift is None else shift, -a - b, a, b))
    if not found:
        return None
    best, _, _, a, b = min(found)
    one, other = folded(old, new), folded(new, old)
    if one is not None and other is not None and one.shape == other.shape and np.any(one):
        gain = float(np.vdot(one, other) / np.vdot(one, one))
        if abs(gain - 1.0) <= _SAME_SCALE and _weights(old, new) * _BETTER <= best:
            return None
    return a, b


def _weights(old: Block, new: Block) -> float:
    """How far weights are apart, as a share of their size; 1 where they are not known."""
    one, other = folded(old, new), folded(new, old)
    return 1.0 if one is None or other is None or one.shape != other.shape else _relative(one, other)


def _scale(point: Point) -> FloatArray:
    return np.ones(()) if point.scale is None else point.scale


def _relative(a: FloatArray, b: FloatArray) -> float:
    """Distance of two arrays, as a share of the larger one's size."""
    distance, size = gap(a, b), max(gap(one, 0 * one) or 0.0 for one in (a, b))
    return math.inf if distance is None else distance / size if size else 0.0


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
