"""Finds the points at which two models mean the same: after bias, normalisation and activation of a layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from robust.costing.words import counted
from robust.layers.blocks import ENTRY, RECURRENT, Block
from robust.layers.meeting_points import WEIGHTED, meeting
from robust.layers.weights import same_weights, surely_same

How: TypeAlias = Literal["tensor name", "module name", "weights", "order"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """A layer of both models.

    Args:
        reference: In the reference.
        candidate: In the candidate.
        how: By what it was found.
    """

    reference: Block
    candidate: Block
    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """A layer that is not compared.

    Args:
        layer: Name and kind, e.g. `4 (Conv)`.
        model: `reference` or `candidate`.
        reason: Why not.
    """

    layer: str
    model: Literal["reference", "candidate"]
    reason: str


def matched(reference: Sequence[Block], candidate: Sequence[Block]) -> tuple[tuple[Match, ...], tuple[Unmatched, ...]]:
    """Pair the layers of two models.

    A tensor of the same name, else a module of the same name and kind unless weights say that the name is another
    layer's now, else weights that are like those of no other layer, else the place: among the layers with weights
    where no name tells any of them and both models have equally many, of the same kinds and shapes; else by what a
    layer reads, where one alone of its kind reads the same paired layers, and, of a layer with weights, is of the same
    module or, where no name tells a module, has weights that point the same way. Each layer has one partner at most;
    none is guessed.

    Args:
        reference: Layers, in the order of a run.
        candidate: Likewise.

    Returns:
        The pairs, in the order of the reference, and what has no partner, with the reason.
    """
    pairing = _Pairing(reference, candidate)
    for how, key in _KEYS:
        pairing.by(how, key)
    pairing.by_weights()
    pairing.by_order()
    pairing.by_inputs()
    return pairing.pairs(), pairing.left()


def _end_name(block: Block) -> list[object]:
    return [("tensor", block.aliases[0])] if block.aliases else []


def _any_name(block: Block) -> list[object]:
    return [("tensor", name) for name in block.aliases]


def _module_and_family(block: Block) -> list[object]:
    return [(block.name, block.part, block.family)]


def _module(block: Block) -> list[object]:
    return [(block.name, block.part)]


_KEYS: tuple[tuple[How, Callable[[Block], list[object]]], ...] = (
    ("tensor name", _end_name),
    ("tensor name", _any_name),
    ("module name", _module_and_family),
    ("module name", _module),
)


class _Pairing:
    """Pairs found so far."""

    def __init__(self, reference: Sequence[Block], candidate: Sequence[Block]) -> None:
        self._old, self._new = tuple(reference), tuple(candidate)
        self._partner: dict[int, tuple[int, How]] = {}
        self._met: dict[int, tuple[Block, Block]] = {}
        self._reasons: dict[int, str] = {}
        self._told: set[int] = set()

    def by(self, how: How, key: Callable[[Block], list[object]]) -> None:
        """Pair layers that share a key which no other free layer of their model has."""
        old, new = self._free()
        places = _unique(self._new, new, key)
        for i, keys in [(i, key(self._old[i])) for i in old]:
            others = {places[one] for one in keys if one in places and one in _unique(self._old, old, key)}
            others -= {j for j, _ in self._partner.values()}
            others = {j for j in others if not _behind(self._old[i], self._new[j])}
            if how == "module name":
                others = {j for j in others if not self._renamed(i, j)}
            if len(others) == 1:
                self._pair(i, others.pop(), how)

    def by_weights(self) -> None:
        """Pair layers whose weights are surely the same, one alone in each model."""
        old, new = self._free()
        sure = [(i, j) for i in old for j in new if surely_same(self._old[i], self._new[j])]
        for i, j in sure:
            if sum(a == i for a, _ in sure) == sum(b == j for _, b in sure) == 1 and i not in self._reasons:
                self._pair(i, j, "weights")

    def _renamed(self, i: int, j: int) -> bool:
        """Whether weights say of two layers of one name that one of them is another layer in the other model."""
        first, second = self._old[i], self._new[j]
        if first.weight is None or second.weight is None or same_weights(first, second):
            return False
        old, new = self._free()
        others = [(first, self._new[k]) for k in new] + [(self._old[k], second) for k in old]
        return any(surely_same(one, other) for one, other in others)

    def by_order(self) -> None:
        """Pair the layers with weights by their place, where no name of a layer with weights says anything."""
        old, new = self._free()
        first = [i for i in old if self._old[i].family in WEIGHTED]
        second = [j for j in new if self._new[j].family in WEIGHTED]
        named = any(self._old[i].family in WEIGHTED for i in self._partner)
        if named or len(first) != len(second):
            return
        if all(_alike(self._old[i], self._new[j]) for i, j in zip(first, second, strict=True)):
            for i, j in zip(first, second, strict=True):
                self._pair(i, j, "order")

    def by_inputs(self) -> None:
        """Pair layers that read paired layers alone, one of its kind in each model."""
        for i, block in enumerate(self._old):
            if i in self._partner or i in self._reasons:
                continue
            same = [j for j in self._free()[1] if self._placed_alike(i, j)]
            # One that is told by its place alone has no twin, paired or not; weights tell those apart that are left.
            among = self._free()[0] if block.family in WEIGHTED else range(len(self._old))
            if len(same) == 1 and sum(self._placed_alike(k, same[0]) for k in among) == 1:
                self._pair(i, same[0], "order")

    def _placed_alike(self, i: int, j: int) -> bool:
        """Whether a layer of each model is of one kind and reads the same paired layers."""
        old, new = self._old[i], self._new[j]
        if (old.family, old.part) != (new.family, new.part):
            return False
        if old.family in RECURRENT and not self._as_many(old, new):
            return False
        nameless = not (old.named and new.named) and same_weights(old, new)
        if old.family in WEIGHTED and old.module != new.module and not nameless:
            return False
        ends = {block.end: place for place, block in enumerate(self._old)}
        return [self._end_of_partner(ends.get(feed), feed) for feed in old.feeds] == list(new.feeds)

    def _as_many(self, old: Block, new: Block) -> bool:
        """Whether two layers are of one module of which both models have as many: one may be several operators."""
        counts = [
            sum(
                (other.module, other.family, other.part) == (block.module, block.family, block.part) for other in blocks
            )
            for block, blocks in ((old, self._old), (new, self._new))
        ]
        return old.module == new.module and counts[0] == counts[1]

    def _end_of_partner(self, place: int | None, feed: str) -> str | None:
        """Where the partner of a layer that is read ends; the model's own rows are each other's partners."""
        if place is None:
            return feed if feed == ENTRY else None
        return self._new[self._partner[place][0]].end if place in self._partner else None

    def pairs(self) -> tuple[Match, ...]:
        """All pairs, in the order of the reference."""
        return tuple(
            Match(reference=self._met[i][0], candidate=self._met[i][1], how=how)
            for i, (_, how) in sorted(self._partner.items())
        )

    def left(self) -> tuple[Unmatched, ...]:
        """What has no partner, without the operators whose constants the other model has in a layer."""
        old, new = self._free()
        ends = {end for met in self._met.values() for block in met for end in (block.end, *block.passed)}
        old = [i for i in old if self._old[i].family in WEIGHTED or not _ends(self._old[i]) & ends]
        new = [j for j in new if self._new[j].family in WEIGHTED or not _ends(self._new[j]) & ends]
        olds, news = [self._old[i] for i in old], [self._new[j] for j in new]
        missing = [
            Unmatched(
                layer=self._old[i].label,
                model="reference",
                reason=self._reasons.get(i) or _missing(self._old[i], news, "candidate"),
            )
            for i in old
        ]
        return (
            *missing,
            *(
                Unmatched(
                    layer=self._new[j].label,
                    model="candidate",
                    reason=_missing(self._new[j], olds, "reference"),
                )
                for j in new
                if j not in self._told
            ),
        )

    def _free(self) -> tuple[list[int], list[int]]:
        gone = {j for j, _ in self._partner.values()}
        return (
            [i for i in range(len(self._old)) if i not in self._partner],
            [j for j in range(len(self._new)) if j not in gone],
        )

    def _pair(self, i: int, j: int, how: How) -> None:
        met = meeting(self._old[i], self._new[j])
        if isinstance(met, str):
            self._reasons[i] = met
            self._told.add(j)
        else:
            self._partner[i], self._met[i] = (j, how), met


def _missing(block: Block, others: Sequence[Block], model: str) -> str:
    """Why a layer has no partner among those of the other model that have none."""
    same = sum(other.module == block.module for other in others)
    if not same:
        return f"the {model} has no tensor or module of this name"
    return f"the {model} has {counted(same, 'layer')} of this module, and nothing tells that one is the same"


def _constant(block: Block) -> bool:
    """Whether it may add a constant, or multiply by one, as a batch normalisation does."""
    return block.family in ("add", "sub", "mul", "div") or "batchnorm" in block.family


def _ends(block: Block) -> set[str]:
    """Keys of all its points."""
    return {block.end, *(point.end for point in block.points)}


def _behind(old: Block, new: Block) -> bool:
    """Whether one is a layer with weights, and the other takes constants and has its tensor's name: it took it up."""
    return (old.family in WEIGHTED and _constant(new)) or (new.family in WEIGHTED and _constant(old))


def _alike(old: Block, new: Block) -> bool:
    """Whether two layers compute the same with weights of the same shape."""
    shapes = [None if block.weight is None else block.weight.shape for block in (old, new)]
    return old.family == new.family and shapes[0] == shapes[1] and shapes[0] is not None


def _unique(blocks: Sequence[Block], places: list[int], key: Callable[[Block], list[object]]) -> dict[object, int]:
    """Keys that one block alone has, and its place."""
    found: dict[object, list[int]] = {}
    for place in places:
        for one in dict.fromkeys(key(blocks[place])):
            found.setdefault(one, []).append(place)
    return {one: at[0] for one, at in found.items() if len(at) == 1}
