"""Tensors that a torch module stores, and what is known of a tensor that was made of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from torch.utils._pytree import tree_leaves

from robust.costing.storages_torch import PLAIN, SPARSE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Root:
    """A stored tensor, or one of those that a tensor of a type of its own is made of.

    Args:
        owner: What the module holds.
        part: The tensor itself.
    """

    owner: torch.Tensor
    part: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What a tensor was made of, where no input took part.

    Args:
        roots: Stored tensors by identity, each with the bits that its numbers were rounded to on the way: 0 where they
            were not, infinitely many where nobody knows.
        unpacked: Whether bits were picked out of words on the way.
        recast: Bits of the floating type that stored bytes were read as; 0 where they were not.
        taken: Bits of each stored tensor that one number takes, by identity.
        vectors: Numbers that each entry of a table of vectors gives, by the identities of the table and of the places.
    """

    roots: Mapping[int, float] = field(default_factory=dict)
    unpacked: bool = False
    recast: int = 0
    taken: Mapping[int, float] = field(default_factory=dict)
    vectors: Mapping[int, float] = field(default_factory=dict)

    def __or__(self, other: "Origin") -> "Origin":
        return Origin(
            _largest(self.roots, other.roots),
            self.unpacked or other.unpacked,
            max(self.recast, other.recast),
            _largest(self.taken, other.taken),
            _largest(self.vectors, other.vectors),
        )

    def rounded(self, bits: float) -> "Origin":
        """The same after its numbers were rounded."""
        return replace(self, roots=dict.fromkeys(self.roots, bits))


#: None is what depends on the input.
Source: TypeAlias = Origin | None

#: Operators with the place of what says where numbers are taken from, or by how much they are shifted.
_SELECTING = {
    **dict.fromkeys(("bitwise_right_shift", "__rshift__", "bitwise_left_shift", "__lshift__", "masked_fill"), 1),
    "where": 0,
}
#: Operators that make a number of one each of what they are given.
_PAIRED = frozenset(("mul", "add", "sub", "rsub", "div"))


def _largest(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    return {key: max(one.get(key, 0.0), other.get(key, 0.0)) for key in {*one, *other}}


def looked_up(given: Sequence[tuple[torch.Tensor, Source]], numbers: int) -> Origin:
    """Numbers of a stored table at stored places: each takes its place, and its share of the table.

    A place takes as many bits as tell the entries of the table apart, whatever its type; one that follows the place
    before says nothing. Where a place stands for a vector of the table, as in product quantization, its numbers share
    these bits.

    Args:
        given: The table, and the places.
        numbers: How many numbers are taken.
    """
    (table, source), *places = given
    taken = {} if source is None else dict(source.taken)
    share = table.numel() / max(1, numbers)
    found = Origin({} if source is None else source.roots, taken={key: bits * share for key, bits in taken.items()})
    chosen = [(one, of) for one, of in places if of is not None and of.roots]
    for one, of in chosen:
        length = numbers // max(1, one.numel()) if len(chosen) == 1 and table.dim() > 1 else 1
        bits = max(1, (table.numel() // max(1, length) - 1).bit_length())
        telling = tells_apart(one, of)
        each = bits * min(1.0, one.numel() / max(1, numbers)) if telling else 0.0
        known = dict.fromkeys(of.roots, float(bits))
        found |= replace(of, roots=known, taken=dict.fromkeys(of.taken, each))
        if length > 1 and telling:
            found = replace(found, vectors=dict.fromkeys(found.roots, float(length)))
    return found


def tells_apart(places: torch.Tensor, source: Source) -> bool:
    """Whether stored places hold a part of the numbers that are looked up: not where each follows the one before.

    Args:
        places: In a table.
        source: What they were made of.
    """
    if source is None or not source.roots:
        return False
    return not (_can_be_read(places) and bool((places.reshape(-1).diff() == 1).all()))


def taken_by(given: Sequence[tuple[torch.Tensor, Source]], numbers: int) -> dict[int, float]:
    """Bits of each stored tensor that one number of an operator's result takes.

    A number that is made of another of each of two tensors takes the bits of both; one that is repeated is stored once
    for all of them. Masks, and scales that vary along one axis beside numbers that vary along two, are left out: these
    come out of the sum of products, where others are a part of each weight.

    Args:
        given: The tensors that the operator took, and what they were made of.
        numbers: How many numbers the result has.
    """
    made = [(one, source.taken) for one, source in given if source is not None and source.taken and one.numel() > 1]
    if len(made) > 1:
        wide = [(one, taken) for one, taken in made if sum(length > 1 for length in one.shape) > 1]
        made = [(one, taken) for one, taken in wide if not is_mask(one)] or wide or made
    found: dict[int, float] = {}
    for one, taken in made:
        share = min(1.0, one.numel() / max(1, numbers))
        found = _largest(found, {key: bits * share for key, bits in taken.items()})
    return found


def numbers_of(
    name: str, args: Sequence[object], given: Sequence[tuple[torch.Tensor, Source]]
) -> list[tuple[torch.Tensor, Source]]:
    """What the numbers of an operator's result are made of: amounts of shifts, masks and conditions are none of it.

    Scales and zero points along one axis, beside numbers that vary along two, come out of the sum of products.

    Args:
        name: Of the operator.
        args: What it took.
        given: The tensors among it, and what they were made of.
    """
    place = _SELECTING.get(name)
    if place is not None and place < len(args):
        return [(one, source) for one, source in given if one is not args[place]] or list(given)
    if name not in _PAIRED:
        return list(given)
    wide = [one for one, source in given if source is not None and source.roots and _varies(one)]
    weights = [one for one in wide if name != "mul" or not is_mask(one)]
    size = max((one.numel() for one in weights), default=0)
    return [
        (one, source)
        for one, source in given
        if source is None
        or not weights
        or (_varies(one) and (one.numel() > 2 * size or any(one is w for w in weights)))
    ]


def _varies(tensor: torch.Tensor) -> bool:
    """Whether numbers vary along two axes, as those of a matrix do."""
    return len([length for length in tensor.shape if length > 1]) > 1


def held_tensors(part: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Parameters, buffers and plain attributes of one module, its children's aside."""
    named = (*part._parameters.values(), *part._buffers.values())
    plain = [value for key, value in vars(part).items() if key not in ("_parameters", "_buffers", "_modules")]
    seen: set[int] = set()
    for leaf in (*named, *tree_leaves(plain)):
        if isinstance(leaf, torch.Tensor) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf


def roots_of(tensor: torch.Tensor) -> Iterator[Root]:
    """A tensor, or those that one of a type of its own is made of.

    Args:
        tensor: A stored one.
    """
    if hasattr(tensor, "__tensor_flatten__") and type(tensor) not in PLAIN and tensor.layout not in SPARSE:
        for name in tensor.__tensor_flatten__()[0]:
            for inner in roots_of(getattr(tensor, name)):
                yield Root(owner=tensor, part=inner.part)
    else:
        yield Root(owner=tensor, part=tensor)


def is_mask(part: torch.Tensor) -> bool:
    """Whether a tensor says yes or no.

    Args:
        part: Any tensor.
    """
    return part.dtype is torch.bool or (_can_be_read(part) and bool(((part == 0) | (part == 1)).all()))


def is_zero(part: torch.Tensor) -> bool:
    """Whether all numbers of a tensor are 0.

    Args:
        part: Any tensor.
    """
    return _can_be_read(part) and not bool(part.any())


def heard(name: str, args: Sequence[object], given: Sequence[tuple[torch.Tensor, Source]]) -> list[torch.Tensor]:
    """The tensors that an operator's result depends on: that of a product with a constant 0 on nothing else.

    Args:
        name: Of the operator.
        args: What it took.
        given: The tensors among it, and what they were made of.
    """
    if name == "mul":
        silent = [one for one, source in given if source is not None and is_zero(one)]
        if silent or any(isinstance(one, (int, float)) and one == 0 for one in args):
            return silent
    return [one for one, _ in given]


def _can_be_read(part: torch.Tensor) -> bool:
    return part.layout is torch.strided and not part.is_quantized and part.device.type != "meta"
