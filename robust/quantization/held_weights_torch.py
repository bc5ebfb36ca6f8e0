"""In what width a torch module holds the factors of its products."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from robust.models.layer_bits import NARROW
from robust.quantization.flow_torch import Flow, Use
from robust.quantization.stored_tensors_torch import Root, is_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Weights that one stored tensor holds.

    Args:
        size: How many.
        bits: Bits of each; None where its numbers are rounded on their way, in a manner that nobody here knows.
        whole: Whether they are multiplied as whole numbers, with whole numbers.
    """

    size: int
    bits: int | None
    whole: bool = False


@dataclass(slots=True, kw_only=True)
class HeldWeights:
    """What a run showed.

    Args:
        ran: Identities of the modules that were called.
        found: Weights by the identity of the stored tensor.
        owners: These tensors.
        unsettled: Whether tensors were computed outside torch, where no weights are seen.
    """

    ran: set[int]
    found: dict[int, Held] = field(default_factory=dict)
    owners: dict[int, torch.Tensor] = field(default_factory=dict)
    unsettled: bool = False

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a stored tensor holds weights."""
        return id(tensor) in self.found

    def of(self, tensor: torch.Tensor) -> Held:
        """The weights that it holds."""
        return self.found[id(tensor)]

    def add(self, owner: torch.Tensor, one: Held) -> None:
        """Note a use; of several the widest counts."""
        have = self.found.get(id(owner), one)
        bits = None if have.bits is None or one.bits is None else max(have.bits, one.bits)
        self.found[id(owner)] = Held(size=max(have.size, one.size), bits=bits, whole=have.whole and one.whole)
        self.owners[id(owner)] = owner


def held_weights(flow: Flow) -> HeldWeights:
    """The stored tensors that hold the factors of products, or tables.

    Of the tensors that a factor is made of, those hold its numbers that are large enough: a scale or a mask does not.

    Args:
        flow: A run.
    """
    held = HeldWeights(ran=flow.ran, unsettled=any(_may_be_weights(value) for value in flow.outside))
    live = flow.live()
    for use in flow.uses:
        for root in _holders(use, flow) if use.step in live else ():
            held.add(root.owner, _read(root, use, flow))
    for step, origin in flow.unread:
        for root in [flow.roots[one] for one in origin.roots] if step in live else []:
            if not is_mask(root.part) and root.part.dim() > 1:
                held.add(root.owner, Held(size=root.owner.numel(), bits=None))
    return held


def _may_be_weights(value: object) -> bool:
    """Whether a tensor from outside torch holds numbers that weights take part in, rather than places and counts."""
    return not isinstance(value, tuple) or "float" in str(value[0]) or "int8" in str(value[0])


def _holders(use: Use, flow: Flow) -> Sequence[Root]:
    """Those of the stored tensors behind a factor that hold its numbers."""
    roots = [flow.roots[one] for one in use.origin.roots]
    if use.origin.recast:
        return roots
    floating = [root for root in roots if root.part.is_floating_point() or root.part.is_complex()]
    large = [root for root in floating if 2 * root.part.numel() > use.size]
    # Alone it says which numbers meet, such as a graph's edges; with a scale it is a weight of one bit.
    alone = len(roots) == 1 and not use.origin.unpacked
    whole = [root for root in roots if root not in floating and not (alone and is_mask(root.part))]
    whole = [root for root in whole if root.part.numel() > 1]  # one number is a scale, a zero point or a place
    if large:
        return [root for root in large if not is_mask(root.part)] or large
    enough = sum(8 * root.part.numel() * root.part.element_size() for root in whole) >= use.size
    return whole if whole and enough else floating


def _read(root: Root, use: Use, flow: Flow) -> Held:
    """How a stored tensor holds numbers of a factor."""
    part, owner = root.part, root.owner
    if owner is not part:
        return Held(size=owner.numel(), bits=bits_of(owner), whole=use.whole)
    width, rounded = 8 * part.element_size(), use.origin.roots[id(part)]
    if id(part) in use.origin.vectors and not math.isinf(rounded):  # the places and the table, spread over the numbers
        return Held(size=use.size, bits=max(1, math.ceil(_taken(use, flow))), whole=use.whole)
    if part.is_floating_point() or part.is_complex():
        bits = None if math.isinf(rounded) else min(width, int(rounded)) if rounded else width
        return Held(size=part.numel(), bits=bits, whole=use.whole)
    if use.origin.recast:  # bytes of numbers that are wider
        return Held(size=part.numel() * width // use.origin.recast, bits=use.origin.recast)
    taken = _taken(use, flow)
    if taken >= 2 * NARROW:  # made of several stored numbers each, they are as wide as floats
        return Held(size=part.numel(), bits=math.ceil(taken), whole=use.whole)
    words = use.origin.unpacked or part.element_size() > 1
    each = max(1, round(use.size / max(1, part.numel()))) if words else 1
    bits = math.ceil(width / each)
    if 0 < rounded < math.inf:  # places in a table
        bits = min(bits, int(rounded))
    return Held(size=part.numel() * each, bits=bits, whole=use.whole)


def _taken(use: Use, flow: Flow) -> float:
    """Stored bits behind each number of a factor: no tensor has more than all of its own."""
    taken = 0.0
    for key, bits in use.origin.taken.items():
        part = flow.roots[key].part
        taken += min(bits, 8.0 * part.numel() * part.element_size() / max(1, use.size))
    return taken


def bits_of(tensor: torch.Tensor) -> int:
    """Bits of one weight as it is held: a tensor of torchao has a narrow one inside.

    Args:
        tensor: Any tensor.
    """
    if hasattr(tensor, "__tensor_flatten__"):
        names, context = tensor.__tensor_flatten__()
        target = context.get("target_dtype") if isinstance(context, dict) else None
        declared = None if target is None else digits_of(str(target))
        parts = [getattr(tensor, name) for name in names]
        largest = max(parts, key=lambda part: part.numel(), default=None)
        if largest is None:
            return 8 * int(tensor.element_size())
        held = bits_of(largest)
        if largest.numel() < tensor.numel():  # several numbers in each stored one
            held = math.ceil(held * largest.numel() / tensor.numel())
        return held if declared is None else min(held, declared)
    return 8 * int(tensor.element_size())


def digits_of(text: str) -> int | None:
    """The number in the name of a type, such as 4 in `int4`; None where there is none."""
    digits = "".join(letter for letter in text if letter.isdigit())
    return int(digits) if digits else None
